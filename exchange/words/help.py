"""Help in the reader's language: a copy of a program's commands whose texts are translated.

A text is translated a paragraph at a time, so that a changed example or sentence costs no other translation.
In a block that Click must not fold (it begins with `\\b`) the label above it, the words after an exit code
and a remark in brackets after a command are text; the rest is what a person types, and stays.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import partial

import click

from exchange.words import gettext, language
from exchange.words.languages import ENGLISH
from exchange.words.lazy import LazyCommands

_BLOCK = "\b"
_CODE_LINE = re.compile(r"(\s*\d+  )(\S.*)()")
_REMARK = re.compile(r"(.*\S {2,}\()(.+)(\))")
_REQUIRED = re.compile(r"\brequired\]$")


def translated(command: click.Command) -> click.Command:
    """The command, and all below it, with its help in the chosen language; itself in English."""
    return command if language() == ENGLISH else _copy(command)


def texts(help_text: str) -> Iterator[str]:
    """What is to be translated in a help text."""
    for paragraph in _paragraphs(help_text):
        if paragraph.startswith(_BLOCK):
            yield from (found[1] for found in map(_text_of, paragraph.splitlines()[1:]) if found is not None)
        else:
            yield _folded(paragraph)


class _Formatter(click.HelpFormatter):
    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Click says `required` in English alone."""
        said = [(name, _REQUIRED.sub(f"{gettext('required')}]", text)) for name, text in rows]
        super().write_dl(said, col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


def _copy(command: click.Command) -> click.Command:
    made = copy.copy(command)
    made.context_class = _Context
    made._help_option = None  # Click makes the option once, in the language of that moment
    made.help = _translated(command.help)
    made.epilog = _translated(command.epilog)
    made.short_help = None if command.short_help is None else gettext(command.short_help)
    made.params = [_copy_option(one) if isinstance(one, click.Option) else one for one in command.params]
    if isinstance(command, click.Group) and isinstance(made, click.Group):
        made.commands = LazyCommands({name: partial(_copy_below, command, name) for name in command.commands})
    return made


def _copy_below(group: click.Group, name: str) -> click.Command:
    return _copy(group.commands[name])


def _copy_option(option: click.Option) -> click.Option:
    made = copy.copy(option)
    made.help = None if option.help is None else gettext(option.help)
    return made


def _translated(help_text: str | None) -> str | None:
    if help_text is None:
        return None
    return "\n\n".join(_translated_paragraph(one) for one in _paragraphs(help_text))


def _translated_paragraph(paragraph: str) -> str:
    if not paragraph.startswith(_BLOCK):
        return gettext(_folded(paragraph))
    lines = []
    for line in paragraph.splitlines():
        found = _text_of(line)
        lines.append(line if found is None else f"{found[0]}{gettext(found[1])}{found[2]}")
    return "\n".join(lines)


def _text_of(line: str) -> tuple[str, str, str] | None:
    """A line of an unfolded block as (what stays, text, what stays); None where nothing is text."""
    if line.endswith(":") and not line.startswith(" "):
        return "", line, ""
    found = _CODE_LINE.fullmatch(line) or _REMARK.fullmatch(line)
    return None if found is None else (found[1], found[2], found[3])


def _paragraphs(help_text: str) -> list[str]:
    return re.split(r"\n[ \t]*\n", inspect.cleandoc(help_text).strip("\n"))


def _folded(paragraph: str) -> str:
    return " ".join(paragraph.split())
