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
