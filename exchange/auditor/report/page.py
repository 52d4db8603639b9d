"""One self-contained HTML page out of a report's document: plots, and the table behind every one of them.

It holds no script and loads nothing (its own content policy forbids both), so it can be mailed, printed and
kept. Text of the log is escaped; agencies' names and codes are all there is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Final

from exchange.auditor.report.charts import WIDTHS, Draw, said, svg
from exchange.auditor.report.content import Cell, Document, Figure, Notice
from exchange.member.page import head
from exchange.words import gettext, language, marked, ngettext, pgettext
from exchange.words.languages import ENGLISH

_TEXT: Final = ' class="text"'
_BAR: Final = {
    "day": marked("A bar is a day."),
    "week": marked("A bar is a week, named by its Monday."),
    "month": marked("A bar is a month."),
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which log the figures are of, and what was verified about it."""

    origin: str
    size: int
    root: bytes
    key: str
    made: datetime
    witnessed: str
    slices: str


def page(content: Document, provenance: Provenance, draw: Draw) -> Iterator[str]:
    """The page in pieces."""
    style = files("exchange.auditor.report").joinpath("style.css").read_text("utf-8")
    yield head(
        gettext("Audit report: {log}", log=provenance.origin),
        style,
        skip_to="figures",
        skip=gettext("Skip to the figures"),
    )
    yield _head(content, provenance)
    yield '<main id="figures">\n'
    for figure in content.figures:
        yield _figure(figure, draw)
    yield "</main>\n" + _foot(provenance) + "</body>\n</html>\n"


def _head(content: Document, provenance: Provenance) -> str:
    return (
        f"<header>\n<h1>{_said('Audit report')}</h1>\n"
        f'<p class="log"><bdi>{escape(provenance.origin)}</bdi></p>\n'
        f'<p class="span">{_span(content)}</p>\n<p class="bar">{_said(_BAR[content.unit])}</p>\n'
        f'<ul class="verdict">\n<li>{_said("every entry and the tree verified")}</li>\n'
        f"<li>{escape(provenance.slices)}</li>\n<li>{escape(provenance.witnessed)}</li>\n</ul>\n"
        f"{_notices(content.notices)}"
        f'<dl class="summary">\n{"".join(_sum(name, value) for name, value in content.summary)}</dl>\n'
        f"{_contents(content)}</header>\n"
    )


def _span(content: Document) -> str:
    if content.first is None or content.last is None:
        return _said("The log is empty.")
    return escape(
        gettext(
            "{first} to {last} (time zone: {zone})",
            first=_date(content.first),
            last=_date(content.last),
            zone=content.zone,
        )
    )


def _notices(notices: Sequence[Notice]) -> str:
    if not notices:
        return f'<p class="quiet">{_said("Nothing stands out.")}</p>\n'
    items = "".join(
        f'<li class="{"grave" if item.grave else "look"}">{escape(item.text)}</li>\n'
        for item in sorted(notices, key=lambda item: not item.grave)
    )
    return (
        '<section aria-labelledby="look-first">\n<h2 id="look-first">'
        f"{_said('Look at this first')}</h2>\n"
        f'<ul class="notices">\n{items}</ul>\n</section>\n'
    )


def _sum(name: str, value: Cell) -> str:
    return f"<div><dt>{escape(pgettext('figure', name))}</dt><dd>{_cell(value)}</dd></div>\n"


def _contents(content: Document) -> str:
    items = "".join(
        f'<li><a href="#{figure.key}">{_said(figure.title)}</a></li>\n' for figure in content.figures
    )
    return f'<nav aria-label="{_said("Figures")}"><ol>\n{items}</ol></nav>\n'


def _figure(figure: Figure, draw: Draw) -> str:
    head = (
        f'<section class="figure" aria-labelledby="{figure.key}">\n'
        f'<h2 id="{figure.key}">{_said(figure.title)}</h2>\n<p>{_said(figure.text)}</p>\n'
    )
    if _is_empty(figure):
        return f'{head}<p class="nothing">{_said("Nothing to show.")}</p>\n</section>\n'
    if figure.shape == "list":
        return f"{head}{_table(figure)}{_left_out(figure)}</section>\n"
    plots = "\n".join(svg(figure, size, draw) for size in WIDTHS)
    return (
        f"{head}{plots}\n{_left_out(figure)}<details>\n"
        f"<summary>{_said('The numbers behind this plot')}</summary>\n"
        f"{_table(_pivot(figure))}</details>\n</section>\n"
    )


def _is_empty(figure: Figure) -> bool:
    """A list has no row then; a plot may have rows of nothing but zeros."""
    if figure.shape == "list":
        return not figure.rows
    return not any(row[-1] for row in figure.rows)


def _left_out(figure: Figure) -> str:
    if not figure.left_out:
        return ""
    text = ngettext(
        "{count} more is not shown here; it is in the export.",
        "{count} more are not shown here; they are in the export.",
        figure.left_out,
    )
    return f'<p class="more">{escape(text)}</p>\n'


def _pivot(figure: Figure) -> Figure:
    """Three columns as a table that people read: one line a period or agency, one column a name."""
    if len(figure.columns) != 3:
        return figure
    lines = list(dict.fromkeys(row[0] for row in figure.rows))
    names = list(dict.fromkeys(row[1] for row in figure.rows))
    found = {(row[0], row[1]): row[2] for row in figure.rows}
    heads = tuple(f"{name}:00" if figure.shape == "heat" else str(name) for name in names)
    rows = tuple((line, *(found.get((line, name), 0) for name in names)) for line in lines)
    return Figure(figure.key, figure.shape, figure.title, "", (figure.columns[0], *heads), rows)


def _table(figure: Figure) -> str:
    first = figure.rows[0] if figure.rows else ()
    heads = "".join(
        f'<th scope="col"{"" if isinstance(cell, int) else _TEXT}>{_cell(name)}</th>'
        for name, cell in zip(figure.columns, first, strict=False)
    )
    lines = "".join(
        f'<tr><th scope="row">{_cell(row[0])}</th>{"".join(_data(cell) for cell in row[1:])}</tr>\n'
        for row in figure.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_said(figure.title)}">\n'
        f"<table>\n<caption>{_said(figure.title)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
    )


def _said(text: str) -> str:
    """The text in the reader's language, as HTML."""
    return escape(gettext(text))


def _date(when: datetime) -> str:
    return f"{when:%-d %B %Y}" if language() == ENGLISH else f"{when:%Y-%m-%d}"


def _data(cell: Cell) -> str:
    return f"<td{'' if isinstance(cell, int) else _TEXT}>{_cell(cell)}</td>"


def _cell(cell: Cell) -> str:
    return (
        f"{cell:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        if isinstance(cell, int)
        else escape(str(said(cell)))
    )


def _foot(provenance: Provenance) -> str:
    counted = gettext(
        "They were counted from {size} entries, each of which was proved to be in the tree with the root "
        "below, which the log signed. Where the log's key was taken from: {key}. Made on {when}.",
        size=_cell(provenance.size),
        key=provenance.key,
        when=f"{provenance.made:%Y-%m-%d %H:%M} UTC",
    )
    unnamed = gettext(
        "The log holds no names of children and no values of records; neither does this page. What a figure "
        "means, and what it cannot mean, stands in docs/audit.md."
    )
    return (
        f"<footer>\n<h2>{_said('Where these figures come from')}</h2>\n<p>{escape(counted)}</p>\n"
        f"<p>{_said('Root of the tree:')} <code>{provenance.root.hex()}</code></p>\n"
        f"<p>{escape(unnamed)}</p>\n</footer>\n"
    )
