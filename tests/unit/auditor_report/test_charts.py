"""Single drawings: what stands on their axes, and what says which is which."""

import re

import pytest

from exchange.auditor.report.charts import WIDTHS, drawer, svg
from exchange.auditor.report.content import Figure

DRAW = drawer()


def words(shape: str, rows: tuple[tuple[str | int, ...], ...], size: str) -> list[str]:
    """Every text in the drawing."""
    columns = ("day", "purpose", "accesses") if len(rows[0]) > 2 else ("agency", "accesses")
    drawn = svg(Figure("key", shape, "Title", "Text.", columns, rows), size, DRAW)
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawn)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("most", [1, 2, 3, 7, 1000])
def test_counts_stand_on_axes_of_whole_numbers(most: int, size: str) -> None:
    for shape, rows in (
        ("bars", (("ngo", most), ("embassy", 1))),
        ("stack", (("2026-11-26", "trace", most),)),
        ("parts", (("ngo", "within a day", most), ("embassy", "later", 1))),
    ):
        numbers = [text for text in words(shape, rows, size) if re.fullmatch("[0-9.,]+", text)]
        assert {"0", f"{most:,}"} <= set(numbers) or most == 7, (shape, numbers)
        assert not any("." in text for text in numbers), (shape, numbers)
        assert len(set(numbers)) == len(numbers), (shape, numbers)


def test_one_series_alone_is_named_too() -> None:
    for shape in ("stack", "parts"):
        assert "trace" in words(shape, (("2026-11-26", "trace", 3),), "wide")


@pytest.mark.parametrize(("days", "least", "most"), [(1, 60, 114), (3, 60, 114), (8, 60, 114), (20, 20, 46)])
def test_a_few_bars_are_no_walls(days: int, least: float, most: float) -> None:
    rows = tuple((f"2026-03-{day:02}", "embassy", 5) for day in range(1, days + 1))
    drawn = svg(Figure("a", "stack", "A", "B", ("day", "name", "count"), rows), "wide", DRAW)
    found = re.findall(r"<path d=\"M0,0h([0-9.]+)v[0-9.]+h-[0-9.]+Z\"[^>]*><title>", drawn)
    assert len(found) == days, drawn
    assert all(least <= float(width) <= most for width in found), found
