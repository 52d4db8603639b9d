"""What a person or a machine reads: tables, cards and JSON, with foreign text made harmless.

Text of records comes from elsewhere: control and direction-override characters are taken out and every
value is isolated, so that a right-to-left name cannot rearrange the line it stands on.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exchange.words import ISOLATE, POP, gettext, isolates_closed, ngettext, pgettext
from exchange_schemas.codec import JsonValue, format_time

# Cc control, Cf format (direction overrides, joiners aside), Cs surrogates, Zl and Zp line separators.
_UNFOLDED = 1000
_JOINERS = "\u200c\u200d"
_ISOLATES = ISOLATE + POP
_DROPPED = ("Cc", "Cf", "Cs", "Zl", "Zp")


def harmless(text: str) -> str:
    """The text without characters that steer a terminal or the direction of other text.

    Joiners stay, and isolates of which each is closed: they keep a direction to themselves.
    """
    kept = _JOINERS + _ISOLATES if isolates_closed(text) else _JOINERS
    return "".join(
        char if char in kept or unicodedata.category(char) not in _DROPPED else " " for char in text
    )


def isolated(text: str) -> str:
    """Harmless text that keeps its own direction to itself (Unicode FSI and PDI)."""
    clean = harmless(text)
    return clean if clean.isascii() else f"{ISOLATE}{clean}{POP}"


def console() -> Console:
    """Standard output; colours on a terminal only, and lines are not folded for a program that reads them."""
    shown = Console(highlight=False)
    return shown if shown.is_terminal else Console(highlight=False, width=_UNFOLDED)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], **values: object) -> None:
    """A table on standard output; says so when it is empty. `values` stand in its title."""
    heading = sentence(title, **values)
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        # The first column is what a person copies: a reference is never folded.
        table.add_column(pgettext("column", column), overflow="fold", no_wrap=number == 0)
    count = 0
    for row in rows:
        table.add_row(*(Text(isolated(cell)) for cell in row))
        count += 1
    if count == 0:
        click.echo(gettext("{title}: nothing", title=heading))
        return
    console().print(table)


def sentence(text: str, /, **values: object) -> str:
    """A sentence in the reader's language, with its {values}, harmless."""
    return gettext(text, **_clean(values)) if values else harmless(gettext(text))


def say(text: str, /, **values: object) -> None:
    """One sentence for a person."""
    click.echo(sentence(text, **values))


def say_count(one: str, many: str, count: int, /, **values: object) -> None:
    """One sentence whose form depends on a number, which it may name as {count}."""
    click.echo(ngettext(one, many, count, **_clean(values)))


def alarm(text: str, /, **values: object) -> None:
    """A sentence that a person must read, on standard error."""
    click.secho(f"{gettext('ALARM')}: {sentence(text, **values)}", err=True, fg="red", bold=True)


def confirm(text: str, /, **values: object) -> None:
    """A question whose answer no stops the command. Raises: click.Abort."""
    click.confirm(sentence(text, **values), abort=True, err=True)


def _clean(values: Mapping[str, object]) -> dict[str, str]:
    return {name: harmless(str(value)) for name, value in values.items()}


def print_json(value: object) -> None:
    """One JSON document on standard output, UTF-8."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def print_json_line(value: object) -> None:
    """One JSON document on one line, for streams."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def plain(value: object) -> JsonValue:
    """Dataclasses, times and mappings as JSON; bytes appear as their length only."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)
