"""Every command line in the documents is one that the programs know: its commands and its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from exchange.agency.cli.main import cli as agency
from exchange.auditor.cli.main import cli as auditor
from exchange.hub.admin.cli import main as hub
from exchange.sandbox.command import sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])
PROGRAMS = {"exchange-hub": hub, "exchange-agency": agency, "exchange-audit": auditor}
_BLOCK = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
# Where a command line ends and a remark, another command or a file begins.
_END = re.compile(r"\s+(?:[#|>(].*|… *$)")


def lines(text: str) -> Iterator[str]:
    """Every command line of a page: in blocks, a continued line as one, and in the prose."""
    for block in _BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from _INLINE.findall(_BLOCK.sub("", text))


def command_lines(text: str) -> Iterator[list[str]]:
    for line in lines(text):
        for piece in re.split(r"&&|;|\$\(", line):
            plain = _END.sub("", f"{piece.strip()} ").strip()
            program, _, rest = plain.partition(" ")
            # Not the boxes of a drawing.
            if program in PROGRAMS and re.match("[a-z-]", rest):
                yield shlex.split(plain)


def unknown(words: list[str]) -> str | None:
    """The first word that the program does not know; None when it knows all."""
    command: click.Command = sandbox if words[:2] == ["exchange-hub", "sandbox"] else PROGRAMS[words[0]]
    left = words[2:] if command is sandbox else words[1:]
    while left:
        word, *left = left
        if word.startswith("-") and word != "-":
            found = option(command, word.partition("=")[0])
            if found is None:
                return word
            if not found.is_flag and "=" not in word:
                left = left[found.nargs :]
        elif isinstance(command, click.Group):
            if word == "…" or word.isupper():
                return None
            below = command.commands.get(word)
            if below is None:
                return word
            command = below
    return None


def option(command: click.Command, name: str) -> click.Option | None:
    if name in ("-h", "--help"):
        return click.Option(["--help"], is_flag=True)
    options = (one for one in command.params if isinstance(one, click.Option))
    return next((one for one in options if name in (*one.opts, *one.secondary_opts)), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_of_a_page_is_known(page: Path) -> None:
    for words in command_lines(page.read_text("utf-8")):
        assert unknown(words) is None, " ".join(words)


def test_the_pages_show_many_and_a_wrong_one_is_found() -> None:
    shown = [words for page in PAGES for words in command_lines(page.read_text("utf-8"))]
    assert len(shown) > 100
    for wrong in (
        "exchange-agency sent 7Hq2",
        "exchange-hub keys rotate token --fast",
        "exchange-audit pull -x",
    ):
        (words,) = command_lines(f"```\n{wrong}   # a remark\n```")
        assert unknown(words) is not None
