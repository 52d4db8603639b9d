"""What a report is made of: figures as titled tables, notices, a summary; for the page and for JSON alike."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

Cell = str | int
OTHERS: Final = "all others"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LISTED: Final = 25
"""The most rows of a list, and agencies of a figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `shape` says how it is drawn, `rows` have a cell for each of `columns`.

    Shapes: "stack" (period, name, count), "heat" (weekday, hour, count), "bars" (name, count), "parts"
    (name, part, count), "list" (not drawn: the table is the figure). `left_out`: how many more rows a list
    would have, or agencies a figure; the first are shown.
    """

    key: str
    shape: str
    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should look at first. `grave`: it must never happen."""

    text: str
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `unit` is "day", "week" or "month"; `summary` pairs a name with a number.

    `first` and `last` are in `zone`, as is every other day and hour of the report.
    """

    unit: str
    zone: tzinfo
    first: datetime | None
    last: datetime | None
    summary: tuple[tuple[str, Cell], ...]
    notices: tuple[Notice, ...]
    figures: tuple[Figure, ...]


def moment(at_us: int, zone: tzinfo) -> datetime:
    """A time in µs since 1970, aware, in `zone`."""
    return datetime.fromtimestamp(at_us // 1_000_000, zone)


def day_of(at_us: int, zone: tzinfo) -> str:
    """The day of a time in µs since 1970, as it is called in `zone`, ISO 8601."""
    return moment(at_us, zone).date().isoformat()
