"""What the operator sees: plain tables for people, JSON for scripts, never both in one answer.

People read it in their language, from a template with named values; JSON is the same in every language.
Texts that an agency chose (its name, its contact point) reach a terminal here. They must never be read as
markup, and never move the cursor or turn the writing direction: what cannot be printed is shown escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exchange.words import ISOLATE, POP, gettext, isolates_closed, pgettext
from exchange_schemas.codec import JsonValue

# Members whose values are codes: they are said in the reader's language, and what somebody wrote never is.
CODES = frozenset({"kind", "status", "state", "reason", "event", "may_read", "forget"})


def visible(value: JsonValue) -> str:
    """One line for a terminal: control and direction characters as escapes, lists joined, absent as `-`.

    Text that may run from right to left is isolated (Unicode FSI, PDI): it cannot rearrange its line.
    Isolates that are closed stay: they keep a direction to themselves.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return pgettext("code", "yes") if value else pgettext("code", "no")
    if isinstance(value, list):
        return ", ".join(visible(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{visible(name)} {visible(item)}" for name, item in value.items())
    kept = ISOLATE + POP if isolates_closed(str(value)) else ""
    text = "".join(
        char if char.isprintable() or char in kept else f"\\u{ord(char):04x}" for char in str(value)
    )
    return text if text.isascii() else f"{ISOLATE}{text}{POP}"


def sentence(text: str, /, **values: JsonValue) -> str:
    """A sentence in the reader's language, with its {values} made visible."""
    return gettext(text, **{name: visible(value) for name, value in values.items()})


def confirm(text: str, /, **values: JsonValue) -> None:
    """A question whose answer no stops the command. Raises: click.Abort."""
    click.confirm(sentence(text, **values), abort=True, err=True)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes; `as_json` is the command's --json."""

    as_json: bool

    def rows(
        self,
        title: str,
        rows: Sequence[Mapping[str, JsonValue]],
        *,
        columns: Sequence[str],
        **values: JsonValue,
    ) -> None:
        """A list: one row for each member of `rows`; in JSON the rows with all their members."""
        if self.as_json:
            _write_json([dict(row) for row in rows])
            return
        heading = sentence(title, **values)
        table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(pgettext("column", column.replace("_", " ")), overflow="fold")
        for row in rows:
            table.add_row(*(Text(_said(column, row.get(column))) for column in columns))
        _console().print(table)

    def facts(self, facts: Mapping[str, JsonValue], *, title: str | None = None) -> None:
        """One thing: its members, one a line."""
        if self.as_json:
            _write_json(dict(facts))
            return
        if title is not None:
            click.echo(gettext(title))
        lines = [(_fact(name), _said(name, value)) for name, value in facts.items()]
        width = max((len(name) for name, _ in lines), default=0)
        for name, value in lines:
            click.echo(f"  {name:<{width}}  {value}")

    def done(self, text: str, facts: Mapping[str, JsonValue], /, **values: JsonValue) -> None:
        """What a command did: a sentence for people, which names facts and values; the facts for scripts."""
        if self.as_json:
            _write_json(dict(facts))
        else:
            click.echo(sentence(text, **{**facts, **values}))

    def line(self, text: str, facts: Mapping[str, JsonValue], /, **values: JsonValue) -> None:
        """One line at once, for whoever waits for it; in JSON on one line too."""
        said = json.dumps(dict(facts), sort_keys=True) if self.as_json else None
        click.echo(sentence(text, **{**facts, **values}) if said is None else said)

    def notes(self, facts: Mapping[str, JsonValue]) -> None:
        """One thing to read before a decision: its members, one a line, on stderr."""
        for name, value in facts.items():
            click.echo(f"{_fact(name)}: {_said(name, value)}", err=True)

    def note(self, text: str, /, **values: JsonValue) -> None:
        """Something to read on the way; on stderr, so that JSON stays clean."""
        click.echo(sentence(text, **values), err=True)


def _fact(name: str) -> str:
    return pgettext("fact", name.replace("_", " "))


def _said(name: str, value: JsonValue) -> str:
    if name in CODES and isinstance(value, str):
        return visible(pgettext("code", value.replace("_", " ")))
    return visible(value)


def _write_json(value: JsonValue) -> None:
    click.echo(json.dumps(value, ensure_ascii=True, indent=2, sort_keys=True))


def _console() -> Console:
    # Folding needs a width; a pipe gets one wide enough that scripts see whole lines.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console
