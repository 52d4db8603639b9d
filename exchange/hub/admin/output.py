"""What the operator sees: plain tables for people, JSON for scripts, never both in one answer.

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

from exchange_schemas.codec import JsonValue


def visible(value: JsonValue) -> str:
    """One line for a terminal: control and direction characters as escapes, lists joined, absent as `-`.

    Text that may run from right to left is isolated (Unicode FSI, PDI): it cannot rearrange its line.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(visible(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{visible(name)} {visible(item)}" for name, item in value.items())
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(value))
    return text if text.isascii() else f"\u2068{text}\u2069"


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes; `as_json` is the command's --json."""

    as_json: bool

    def rows(self, title: str, rows: Sequence[Mapping[str, JsonValue]], *, columns: Sequence[str]) -> None:
        """A list: one row for each member of `rows`; in JSON the rows with all their members."""
        if self.as_json:
            _write_json([dict(row) for row in rows])
            return
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(Text(visible(row.get(column))) for column in columns))
        _console().print(table)

    def facts(self, facts: Mapping[str, JsonValue], *, title: str | None = None) -> None:
        """One thing: its members, one a line."""
        if self.as_json:
            _write_json(dict(facts))
            return
        if title is not None:
            click.echo(visible(title))
        width = max((len(name) for name in facts), default=0)
        for name, value in facts.items():
            click.echo(f"  {name.replace('_', ' '):<{width}}  {visible(value)}")

    def done(self, sentence: str, facts: Mapping[str, JsonValue]) -> None:
        """What a command did: a sentence for people, the facts for scripts."""
        if self.as_json:
            _write_json(dict(facts))
        else:
            click.echo(visible(sentence))

    def line(self, sentence: str, facts: Mapping[str, JsonValue]) -> None:
        """One line at once, for whoever waits for it; in JSON on one line too."""
        click.echo(json.dumps(dict(facts), sort_keys=True) if self.as_json else visible(sentence))

    def notes(self, facts: Mapping[str, JsonValue]) -> None:
        """One thing to read before a decision: its members, one a line, on stderr."""
        for name, value in facts.items():
            click.echo(f"{name.replace('_', ' ')}: {visible(value)}", err=True)

    def note(self, sentence: str) -> None:
        """Something to read on the way; on stderr, so that JSON stays clean."""
        click.echo(visible(sentence), err=True)


def _write_json(value: JsonValue) -> None:
    click.echo(json.dumps(value, ensure_ascii=True, indent=2, sort_keys=True))


def _console() -> Console:
    # Folding needs a width; a pipe gets one wide enough that scripts see whole lines.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console
