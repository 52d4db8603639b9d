"""Ages: the youngest possible age decides, and contradictions count for the child."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agency.imports.ages import AgeRange, latest_day, parse_age, parse_partial_date, youngest_age


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019", "2019"),
        ("2019-04", "2019-04"),
        ("2019/04/15", "2019-04-15"),
        ("2020-02-29", "2020-02-29"),
        ("2019-02-29", None),
        ("2019-13", None),
        ("19", None),
        ("٢٠١٩", None),
        ("2019-4", None),
        ("", None),
        ("2019-04-15-01", None),
    ],
)
def test_a_partial_date_is_read_exactly_or_not_at_all(text: str, expected: str | None) -> None:
    assert parse_partial_date(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8", AgeRange(8, 8)),
        ("8-10", AgeRange(8, 10)),
        ("8 – 10", AgeRange(8, 10)),
        ("10-8", None),
        ("x", None),
        ("1-2-3", None),
    ],
)
def test_an_age_is_whole_years_or_a_range(text: str, expected: AgeRange | None) -> None:
    assert parse_age(text) == expected


def test_a_partial_birth_date_means_its_last_day() -> None:
    assert latest_day("2008") == date(2008, 12, 31)
    assert latest_day("2008-02") == date(2008, 2, 29)
    assert latest_day("2008-02-03") == date(2008, 2, 3)


def test_on_the_eighteenth_birthday_the_person_is_eighteen_and_not_a_day_before() -> None:
    assert youngest_age("2008-11-23", None, date(2026, 1, 1), date(2026, 11, 22)) == 17
    assert youngest_age("2008-11-23", None, date(2026, 1, 1), date(2026, 11, 23)) == 18


def test_where_birth_date_and_age_contradict_the_younger_counts() -> None:
    assert youngest_age("1970-01", AgeRange(12, 13), date(2026, 1, 1), date(2026, 1, 1)) == 12


def test_an_age_grows_with_the_years_since_it_was_stated() -> None:
    assert youngest_age(None, AgeRange(16, 17), date(2024, 5, 1), date(2026, 5, 1)) == 18


def test_nothing_known_is_nothing_said() -> None:
    assert youngest_age(None, None, date(2026, 1, 1), date(2026, 1, 1)) is None


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2026, 1, 1)))
def test_less_precision_never_makes_a_person_older(day: date) -> None:
    on = date(2026, 6, 1)
    ages = [
        youngest_age(text, None, on, on)
        for text in (day.strftime("%Y"), day.strftime("%Y-%m"), day.isoformat())
    ]
    known = [age for age in ages if age is not None]
    assert known == sorted(known)
