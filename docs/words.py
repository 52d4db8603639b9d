"""The message catalogues of every language: find the texts in the source, renew the .po files, make the .mo.

`python -m docs.words` does it; `--check` exits 1 when a committed file is not what source and .po make.
A text that is new stands untranslated, one that is gone is dropped. Translators edit the .po files alone.
docs/translating.md tells how.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from docs.words_beside import CLICK_COUNTED, beside_the_source
from exchange.agency.cli.main import cli as agency
from exchange.auditor.cli.main import cli as auditor
from exchange.hub.admin.cli import main as hub
from exchange.sandbox.command import sandbox
from exchange.words.help import texts
from exchange.words.languages import ENGLISH, LANGUAGES
from exchange.words.texts import DOMAIN, LOCALE

ROOT = Path(__file__).parent.parent
SHOWN = (
    "exchange/words",
    "exchange/member",
    "exchange/agency",
    "exchange/auditor",
    "exchange/hub/admin",
    "exchange/hub/api",
    "exchange/sandbox",
)
RULES = (
    "exchange/log",
    "exchange/directory",
    "exchange/consent",
    "exchange/hub",
    "exchange/net",
    "keys/exchange_keys",
    "schemas/exchange_schemas",
)
"""Below the commands: only the hints of their errors are shown in the reader's language."""
FIRST_TEXT = {
    "gettext": 0,
    "marked": 0,
    "say": 0,
    "alarm": 0,
    "sentence": 0,
    "confirm": 0,
    "_said": 0,
    "UsageError": 0,
    "BadParameter": 0,
    "steps_bar": 0,
    "_bar": 0,
    "counted": 1,
    "Sendable": 2,
}
"""Functions that show a text, and which argument it is."""
OF_OUTPUT = ("done", "line", "note", "rows")
"""Methods that show a text, of what a command of the hub calls `out`."""
COLUMN = "column"


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """One entry of a catalogue. `context` is empty where the text means the same everywhere."""

    context: str
    text: str
    many: str = ""


@cache
def all_texts() -> tuple[Text, ...]:
    """Every text that a program can show, in order; the source is read once for all languages."""
    found = set(beside_texts())
    for folder in SHOWN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found |= set(_of_source(path, hints_only=False))
    for folder in RULES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found |= set(_of_source(path, hints_only=True))
    for command in (agency, auditor, hub, sandbox):
        found |= {Text("", text) for text in _of_command(command)}
    plural = {one.text for one in found if one.many}
    shown = (one for one in found if one.text and (one.many or one.context or one.text not in plural))
    return tuple(sorted(shown))


def beside_texts() -> Iterator[Text]:
    """What comes from data: the catalogue of fields, the error tree, the rules, Click's own texts."""
    for context, text in beside_the_source():
        yield Text(context, text)
    for one, many in CLICK_COUNTED:
        yield Text("", one, many)


def _of_command(command: click.Command) -> Iterator[str]:
    for said in (command.help, command.short_help, command.epilog):
        if said is not None:
            yield from texts(said)
    for one in command.params:
        if isinstance(one, click.Option) and one.help is not None:
            yield one.help
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _of_command(below)


def _of_source(path: Path, *, hints_only: bool) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("hint", "unit", "title"):
                    yield from (Text("", text) for text in _constants(keyword.value))
                elif keyword.arg == "columns" and not hints_only:
                    yield from _columns(keyword.value)
            if not hints_only:
                yield from _of_call(node)
        elif isinstance(node, ast.Assign):
            yield from _of_assignment(node, hints_only=hints_only)


def _of_assignment(node: ast.Assign, *, hints_only: bool) -> Iterator[Text]:
    """`hint = …` and `error.hint = …`; `columns = …` where they are shown."""
    names = [getattr(target, "attr", getattr(target, "id", "")) for target in node.targets]
    if names == ["hint"]:
        yield from (Text("", text) for text in _constants(node.value))
    elif names == ["columns"] and not hints_only:
        yield from _columns(node.value)


def _of_call(call: ast.Call) -> Iterator[Text]:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    at = 0 if name in OF_OUTPUT and is_output(call.func) else FIRST_TEXT.get(name)
    if at is not None and len(call.args) > at:
        yield from (Text("", text) for text in _constants(call.args[at]))
    elif name in ("ngettext", "say_count"):
        one, many = call.args[:2]
        if isinstance(one, ast.Constant) and isinstance(many, ast.Constant):
            yield Text("", str(one.value), str(many.value))
    elif name == "pgettext" and isinstance(call.args[0], ast.Constant):
        yield from (Text(str(call.args[0].value), text) for text in _constants(call.args[1]))
    elif name in ("print_table", "table") and len(call.args) > 1:
        yield from (Text("", text) for text in _constants(call.args[0]))
        yield from _columns(call.args[1])


def is_output(func: ast.expr) -> bool:
    """Whether this is a method of what a command of the hub calls `out`."""
    of = func.value if isinstance(func, ast.Attribute) else None
    return (isinstance(of, ast.Name) and of.id == "out") or (
        isinstance(of, ast.Attribute) and of.attr == "out"
    )


def _columns(value: ast.expr) -> Iterator[Text]:
    if isinstance(value, ast.Tuple):
        for one in value.elts:
            yield from (Text(COLUMN, text.replace("_", " ")) for text in _constants(one))


def _constants(value: ast.expr) -> Iterator[str]:
    """A written-out text; both of `a if … else b`."""
    if isinstance(value, ast.IfExp):
        yield from _constants(value.body)
        yield from _constants(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value


def po_file(code: str) -> Path:
    """Where a language's texts and translations lie."""
    return LOCALE / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(code: str) -> Catalog:
    """A language's committed catalogue, or an empty one."""
    path = po_file(code)
    if not path.exists():
        return Catalog(locale=code)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def renewed(code: str) -> Catalog:
    """The catalogue of all texts, with the translations that there are."""
    kept = read(code)
    fixed = datetime(2026, 11, 26, tzinfo=UTC)
    made = Catalog(
        locale=code,
        domain=DOMAIN,
        header_comment="# Texts of Homeward; docs/translating.md tells how to work on them.",
        project="Homeward",
        version="1",
        creation_date=fixed,
        revision_date=fixed,
        msgid_bugs_address="none",
        last_translator="none",
        language_team="none",
        fuzzy=False,
    )
    for one in all_texts():
        wanted: str | tuple[str, str] = (one.text, one.many) if one.many else one.text
        context = one.context or None
        old = kept.get(wanted, context)
        usable = old is not None and not old.fuzzy and isinstance(old.id, tuple) == bool(one.many)
        made.add(wanted, old.string if usable and old is not None else None, context=context)
    return made


def files_of(code: str) -> dict[Path, bytes]:
    """The bytes of a language's .po and .mo."""
    catalogue = renewed(code)
    text, binary = BytesIO(), BytesIO()
    write_po(text, catalogue, width=110, no_location=True, sort_output=False)
    write_mo(binary, catalogue)
    path = po_file(code)
    return {path: text.getvalue(), path.with_suffix(".mo"): binary.getvalue()}


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a committed file is stale")
    check = parser.parse_args().check
    stale = 0
    for code in LANGUAGES:
        if code == ENGLISH.code:
            continue
        for path, data in files_of(code).items():
            if path.exists() and path.read_bytes() == data:
                continue
            if check:
                stale += 1
                sys.stderr.write(f"stale: {path.relative_to(ROOT)}; run `make words`\n")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
