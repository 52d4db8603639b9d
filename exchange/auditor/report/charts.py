"""Figures as SVG, drawn by Vega-Lite (vl-convert, in process, without a browser and without a network).

Colours are CSS variables, so that one drawing serves light and dark; each figure is drawn twice, for a wide
page and for a telephone. Every mark says its own numbers when pointed at.
"""

import json
import re
from collections.abc import Callable
from datetime import date
from html import escape
from typing import Any, Final

from exchange.auditor.report.content import OTHERS, WEEKDAYS, Cell, Figure
from exchange.auditor.report.periods import next_period
from exchange.words import gettext, language, pgettext
from exchange.words.languages import ENGLISH
from exchange_schemas.errors import MissingExtra

Draw = Callable[[dict[str, Any]], str]
WIDTHS: Final = {"wide": 912, "narrow": 340}
_CHAR: Final = 7.4
"""Pixels of a character of 12 pixels."""
_FEWEST: Final = 8
"""A bar is never wider than if there were so many."""
_COLOURS: Final = tuple(f"var(--c{number})" for number in range(1, 9))
GOOD_TO_BAD: Final = {
    "within a day": "var(--c2)",
    "later": "var(--c4)",
    "not answered": "var(--c3)",
    "office hours": "var(--c1)",
    "off hours": "var(--c4)",
    "asked before": "var(--c2)",
    "never asked": "var(--c4)",
}
_UNSAID: Final = re.compile(
    r' (?:role|aria-[a-z]+|pointer-events|class|xmlns:xlink|version|stroke-miterlimit)="[^"]*"'
)
_CONFIG: Final[dict[str, Any]] = {
    "background": None,
    "font": "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelLimit": 150,
        "labelPadding": 6,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "title": None,
        "symbolType": "square",
        "symbolSize": 110,
        "symbolStrokeWidth": 0,
        "labelLimit": 220,
        "rowPadding": 4,
    },
    "bar": {"cornerRadius": 1},
}


def drawer() -> Draw:
    """Gives the SVG of a Vega-Lite specification. Raises: MissingExtra without vl-convert."""
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtra(
            "a report needs the report extra",
            hint='pip install "homeward-exchange[report]", or use --json for the figures alone',
        ) from error

    def draw(specification: dict[str, Any]) -> str:
        return str(vl_convert.vegalite_to_svg(json.dumps(specification), allowed_base_urls=[]))

    return draw


def svg(figure: Figure, size: str, draw: Draw) -> str:
    """The figure as an SVG element for a page `size`, "wide" or "narrow"."""
    drawn = draw(_specification(figure, WIDTHS[size], narrow=size == "narrow"))
    return _for_page(drawn, figure, size)


def _specification(figure: Figure, width: int, *, narrow: bool) -> dict[str, Any]:
    names = figure.columns
    rows = [
        dict(zip(("a", "b", "n") if len(names) > 2 else ("a", "n"), map(said, row), strict=True))
        for row in figure.rows
    ]
    shape = _SHAPES[figure.shape](figure, narrow)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "autosize": {"type": "fit-x", "contains": "padding"},
        # The last date is written under the middle of its bar, and wider than it.
        "padding": {"left": 2, "top": 2, "bottom": 2, "right": 20 if figure.shape == "stack" else 2},
        "config": _CONFIG,
        "data": {"values": rows},
        **shape,
    }


def _stack(figure: Figure, narrow: bool) -> dict[str, Any]:
    names = list(dict.fromkeys(str(row[1]) for row in figure.rows if row[1] != OTHERS))
    names = _ranked(figure, names) + ([OTHERS] if any(row[1] == OTHERS for row in figure.rows) else [])
    form = _date_form(month=figure.columns[0] == "month")
    periods = _periods(figure)
    return {
        "height": 200 if narrow else 260,
        # One bar alone would be a wall.
        "mark": {"type": "bar", "width": {"band": 0.86 * min(1, len(periods) / _FEWEST)}},
        "encoding": {
            "x": {
                "field": "a",
                "type": "ordinal",
                "scale": {"domain": periods},
                "axis": {
                    "title": None,
                    "grid": False,
                    "labelAngle": 0,
                    "labelOverlap": "greedy",
                    "labelSeparation": 12,
                    "ticks": False,
                    "labelExpr": f"utcFormat(toDate(datum.value), '{form}')",
                },
            },
            "y": {
                "field": "n",
                "type": "quantitative",
                "stack": "zero",
                "axis": _counts_axis(figure, 4),
            },
            "color": _colour("b", names, narrow),
            "order": {"field": "place", "type": "quantitative"},
        },
        "transform": [_place(names)],
    }


def _periods(figure: Figure) -> list[str]:
    """Every period from the first to the last, also those in which nothing happened."""
    found = sorted({date.fromisoformat(str(row[0])) for row in figure.rows})
    periods = found[:1]
    while found and periods[-1] < found[-1]:
        periods.append(next_period(periods[-1], figure.columns[0]))
    return [period.isoformat() for period in periods]


def _bars(figure: Figure, narrow: bool) -> dict[str, Any]:
    order = [said(row[0]) for row in figure.rows]
    return {
        "height": {"step": 26},
        "mark": {"type": "bar", "color": "var(--c1)", "height": {"band": 0.76}},
        "encoding": {
            "y": {"field": "a", "type": "nominal", "sort": order, "axis": _names_axis(figure)},
            "x": _counts(figure, 3 if narrow else 6),
        },
    }


def _counts(figure: Figure, ticks: int) -> dict[str, Any]:
    """Counts from left to right; the axis ends at one of its steps, so that the last number has its room."""
    axis = {**_counts_axis(figure, ticks), "labelOverlap": True, "labelSeparation": 8}
    return {"field": "n", "type": "quantitative", "axis": axis, "scale": {"nice": axis["tickCount"]}}


def _counts_axis(figure: Figure, ticks: int) -> dict[str, Any]:
    """Every shape draws counts: there are no more steps than what is counted, so none lies between two."""
    sums: dict[Cell, int] = {}
    for row in figure.rows:
        sums[row[0]] = sums.get(row[0], 0) + int(row[-1])
    return {"title": None, "tickCount": max(1, min(ticks, max(sums.values(), default=1)))}


def _names_axis(figure: Figure) -> dict[str, Any]:
    """Room for the longest name in the widest of the usual fonts: the page's font is not known here."""
    room = _CHAR * max(len(str(said(row[0]))) for row in figure.rows) + 8
    return {"title": None, "ticks": False, "minExtent": room, "labelLimit": room}


def _parts(figure: Figure, narrow: bool) -> dict[str, Any]:
    agencies = list(dict.fromkeys(row[0] for row in figure.rows))
    parts = list(dict.fromkeys(str(row[1]) for row in figure.rows))
    known = [name for name in GOOD_TO_BAD if name in parts]
    parts = known if len(known) == len(parts) else _ranked(figure, parts)
    return {
        "height": {"step": 24},
        "mark": {"type": "bar", "height": {"band": 0.76}},
        "encoding": {
            "y": {"field": "a", "type": "nominal", "sort": agencies, "axis": _names_axis(figure)},
            "x": _counts(figure, 3 if narrow else 6),
            "color": _colour("b", parts, narrow),
            "order": {"field": "place", "type": "quantitative"},
        },
        "transform": [_place(parts)],
    }


def _heat(figure: Figure, narrow: bool) -> dict[str, Any]:
    return {
        "height": {"step": 22 if narrow else 26},
        "mark": {"type": "rect", "cornerRadius": 2, "color": "var(--c1)", "stroke": "var(--paper)"},
        "encoding": {
            "x": {
                "field": "b",
                "type": "ordinal",
                "axis": {
                    "title": None,
                    "ticks": False,
                    "labelAngle": 0,
                    "values": list(range(0, 24, 6 if narrow else 3)),
                    "labelExpr": "datum.value + ':00'",
                },
            },
            "y": {
                "field": "a",
                "type": "ordinal",
                "sort": [said(day) for day in WEEKDAYS],
                "axis": {"title": None, "ticks": False},
            },
            "opacity": {
                "field": "n",
                "type": "quantitative",
                "scale": {"type": "sqrt", "range": [0.04, 1]},
                "legend": None,
            },
        },
    }


_SHAPES: Final[dict[str, Callable[[Figure, bool], dict[str, Any]]]] = {
    "stack": _stack,
    "bars": _bars,
    "parts": _parts,
    "heat": _heat,
}


def said(cell: Cell) -> Cell:
    """A cell in the reader's language where it is a word of ours; agencies and codes stay."""
    return cell if isinstance(cell, int) else pgettext("figure", cell)


def _date_form(*, month: bool) -> str:
    if language() != ENGLISH:
        return "%Y-%m" if month else "%Y-%m-%d"
    return "%b %Y" if month else "%-d %b %y"


def _place(names: list[str]) -> dict[str, str]:
    """The stacking order, by the names as they are shown."""
    return {
        "calculate": f"indexof({json.dumps([said(name) for name in names])}, datum.b)",
        "as": "place",
    }


def _ranked(figure: Figure, names: list[str]) -> list[str]:
    sums = dict.fromkeys(names, 0)
    for row in figure.rows:
        if row[1] in sums:
            sums[str(row[1])] += int(row[2])
    return sorted(names, key=lambda name: (-sums[name], name))


def _colour(field: str, names: list[str], narrow: bool) -> dict[str, Any]:
    colours = [GOOD_TO_BAD.get(name, _COLOURS[at % 7]) for at, name in enumerate(names)]
    if names and names[-1] == OTHERS:
        colours[-1] = _COLOURS[7]
    shown = [str(said(name)) for name in names]
    longest = max(map(len, shown), default=0)
    legend = {
        "orient": "top",
        "columns": 1 if narrow else 4,
        "direction": "horizontal",
        "columnPadding": 12 + 1.6 * longest,
    }
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": shown, "range": colours},
        # Also of one alone: nothing else in the drawing says what it is.
        "legend": legend,
    }


# -- from a drawing to a part of a page ----------------------------------------------------------------


def _for_page(drawn: str, figure: Figure, size: str) -> str:
    """Ids of its own, one label for the whole instead of one for every mark, and each mark's numbers."""
    prefix = f"{figure.key}-{size}-"
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', drawn)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", text)
    text = re.sub(r'(<(path|rect)) aria-label="([^"]*)"([^>]*?)/>', _with_title, text)
    text = _UNSAID.sub("", text)
    words = (
        f"{gettext(figure.title)}.",
        gettext(figure.text),
        gettext("The numbers are in the table below."),
    )
    label = escape(" ".join(words), quote=True)
    return re.sub(r"<svg ", f'<svg class="{size}" role="img" aria-label="{label}" ', text, count=1)


def _with_title(match: re.Match[str]) -> str:
    parts = [part.partition(": ")[2] for part in match[3].split("; ") if not part.startswith("place:")]
    return f"{match[1]}{match[4]}><title>{'; '.join(parts)}</title></{match[2]}>"
