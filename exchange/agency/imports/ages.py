"""Ages and partial dates of a source: how young may this person be, then and now?

The rule looks for the youngest possible age, so that no child is turned away by an estimate.
Pure: the day comes in as an argument.
"""

import calendar
from dataclasses import dataclass
from datetime import date

MAJORITY_YEARS = 18
MAX_AGE_YEARS = 25


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Whole years from `youngest` to `oldest`, both included."""

    youngest: int
    oldest: int


def parse_partial_date(text: str) -> str | None:
    """YYYY, YYYY-MM or YYYY-MM-DD (also with slashes) in the contract's form; None when it is no date."""
    parts = text.strip().replace("/", "-").split("-")
    widths = (4, 2, 2)
    if not 1 <= len(parts) <= 3:
        return None
    if any(
        not (part.isascii() and part.isdigit() and len(part) == width)
        for part, width in zip(parts, widths, strict=False)
    ):
        return None
    numbers = [int(part) for part in parts]
    try:
        year, month, day = [*numbers, 1, 1][:3]
        date(year, month, day)
    except ValueError:
        return None
    return "-".join(parts)


def latest_day(partial: str) -> date:
    """The last day that a valid partial date may mean."""
    numbers = [int(part) for part in partial.split("-")]
    year = numbers[0]
    month = numbers[1] if len(numbers) > 1 else 12
    day = numbers[2] if len(numbers) > 2 else calendar.monthrange(year, month)[1]
    return date(year, month, day)


def parse_age(text: str) -> AgeRange | None:
    """`8` or `8-10` (also with an en dash) in whole years; None when it is neither."""
    parts = [part.strip() for part in text.replace("–", "-").split("-")]
    if not 1 <= len(parts) <= 2:
        return None
    if any(not (part.isascii() and part.isdigit() and len(part) <= 3) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    if numbers[-1] < numbers[0]:
        return None
    return AgeRange(numbers[0], numbers[-1])


def years_between(earlier: date, later: date) -> int:
    """Completed years from `earlier` to `later`; negative when it lies in the future."""
    before_birthday = (later.month, later.day) < (earlier.month, earlier.day)
    return later.year - earlier.year - int(before_birthday)


def youngest_age(birth: str | None, age: AgeRange | None, as_of: date, on: date) -> int | None:
    """The youngest whole age possible on day `on`, in years; None when nothing is known.

    `birth` is a partial date, `age` was stated for day `as_of`. Where both are given and contradict
    one another the younger counts.
    """
    known: list[int] = []
    if birth is not None:
        known.append(years_between(latest_day(birth), on))
    if age is not None:
        known.append(age.youngest + years_between(as_of, on))
    return min(known) if known else None
