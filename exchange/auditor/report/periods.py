"""Counts over time: days put together so that a plot stays readable, however long the log is. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from exchange.auditor.report.content import OTHERS, Figure
from exchange.auditor.report.figures import Figures
from exchange.auditor.report.matching import DAY_US

_NAMED: Final = 7
"""Names with a colour of their own in a plot; the rest is `OTHERS`."""
_DAILY: Final = 62
_WEEKLY: Final = 800


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods of a report: `unit` is "day", "week" or "month"."""

    unit: str

    @classmethod
    def of(cls, figures: Figures) -> "Calendar":
        """The finest that the time between first and last entry allows."""
        days = 0 if figures.first is None else (figures.last - figures.first) // DAY_US
        return cls("day" if days <= _DAILY else "week" if days <= _WEEKLY else "month")

    def period(self, day: int) -> str:
        """The first day of the day's period, ISO 8601."""
        found = date(1970, 1, 1) + timedelta(days=day)
        if self.unit == "week":
            found -= timedelta(days=found.weekday())
        elif self.unit == "month":
            found = found.replace(day=1)
        return found.isoformat()

    def stack(self, key: str, title: str, text: str, counted: Counter[tuple[int, str]]) -> Figure:
        """Counts by day and name, as sums by period of the commonest names and of all others."""
        names = _common(counted)
        sums: Counter[tuple[str, str]] = Counter()
        for (day, name), count in counted.items():
            sums[self.period(day), name if name in names else OTHERS] += count
        order = {name: at for at, name in enumerate((*names, OTHERS))}
        rows = sorted(
            ((period, name, count) for (period, name), count in sums.items()),
            key=lambda row: (row[0], order[row[1]]),
        )
        return Figure(key, "stack", title, text, (self.unit, "name", "count"), tuple(rows))

    def first_time(self, figures: Figures) -> Figure:
        """How many pairs met for the first time in each period."""
        counted = Counter((pair.day, "new pair") for pair in figures.pairs.values())
        return self.stack(
            "first_time_pairs",
            "Agencies that met for the first time",
            "Pairs in which one agency was given something by the other for the first time in this log.",
            counted,
        )


def next_period(first_day: date, unit: str) -> date:
    """The first day of the next day, week or month."""
    if unit == "month":
        return (first_day + timedelta(days=31)).replace(day=1)
    return first_day + timedelta(days=7 if unit == "week" else 1)


def _common(counted: Mapping[tuple[int, str], int]) -> list[str]:
    sums: Counter[str] = Counter()
    for (_, name), count in counted.items():
        sums[name] += count
    ranked = sorted(sums, key=lambda name: (-sums[name], name))
    return ranked if len(ranked) <= _NAMED + 1 else ranked[:_NAMED]
