"""How old a record's child is, as far as the record says; for the rules about 18 years.

Pure: the day comes in. "Adult" needs the youngest possible age to be 18, so that an estimate never makes a
child an adult; "majority" is the earliest possible 18th birthday, so that no consent outlasts childhood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from exchange.agency.imports.ages import MAJORITY_YEARS, AgeRange, latest_day, youngest_age
from exchange_schemas.codec import JsonValue


@dataclass(frozen=True, slots=True)
class Age:
    """`known`: some age is stated. `majority`: the day from which a consent for a child may not last."""

    known: bool
    adult: bool
    majority: date | None


def age_of(fields: Mapping[str, JsonValue], today: date) -> Age:
    """The facts about age in a valid record's `birth_date` and `age_range`."""
    birth, stated = _birth(fields), _stated(fields)
    if birth is None and stated is None:
        return Age(known=False, adult=False, majority=None)
    span, as_of = stated if stated is not None else (None, today)
    youngest = youngest_age(birth, span, as_of, today)
    adult = youngest is not None and youngest >= MAJORITY_YEARS
    return Age(known=True, adult=adult, majority=None if adult else _majority(birth, stated, today))


def _majority(birth: str | None, stated: tuple[AgeRange, date] | None, today: date) -> date | None:
    """The earliest possible 18th birthday to come; where those have passed, the latest possible one."""
    possible: list[date] = []
    if birth is not None:
        possible += [_years_later(earliest_day(birth)), _years_later(latest_day(birth))]
    if stated is not None:
        span, as_of = stated
        # At most `oldest`: born after the day that would make it one more.
        earliest = _years_later(as_of, -(span.oldest + 1)) + timedelta(days=1)
        possible += [_years_later(earliest), _years_later(as_of, MAJORITY_YEARS - span.youngest)]
    coming = [day for day in possible if day > today]
    return min(coming) if coming else max(possible)


def earliest_day(partial: str) -> date:
    """The first day that a valid partial date may mean."""
    numbers = [int(part) for part in partial.split("-")]
    year, month, day = (*numbers, 1, 1)[:3]
    return date(year, month, day)


def _years_later(day: date, years: int = MAJORITY_YEARS) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February: the day after, in years without one
        return date(day.year + years, 3, 1)


def _birth(fields: Mapping[str, JsonValue]) -> str | None:
    value = fields.get("birth_date")
    return value if isinstance(value, str) else None


def _stated(fields: Mapping[str, JsonValue]) -> tuple[AgeRange, date] | None:
    value = fields.get("age_range")
    if not isinstance(value, dict):
        return None
    low, high, as_of = value.get("min"), value.get("max"), value.get("as_of")
    if not isinstance(low, int) or not isinstance(high, int) or not isinstance(as_of, str):
        return None
    return AgeRange(low, high), latest_day(as_of)
