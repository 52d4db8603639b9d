"""Self-contained HTML pages: no script, nothing loaded, everything escaped unless it is `Safe`.

The page's own content policy forbids scripts and network, so that it can be mailed, printed and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from exchange.words import gettext, language, pgettext

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


class Safe(str):
    """HTML that was made here and needs no escaping."""

    __slots__ = ()


def safe(text: str) -> Safe:
    """The text as HTML: escaped, unless it is `Safe` already."""
    return text if isinstance(text, Safe) else Safe(escape(text))


def joined(pieces: Iterable[str], between: str = "") -> Safe:
    """Pieces one after the other, each made safe; `between` is HTML."""
    return Safe(between.join(safe(one) for one in pieces))


def element(tag: str, content: str | Iterable[str], **attributes: str) -> Safe:
    """One element; `class_` and `aria_label` spell `class` and `aria-label`."""
    inner = safe(content) if isinstance(content, str) else joined(content)
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items()
    )
    return Safe(f"<{tag}{said}>{inner}</{tag}>")


def lines(text: str) -> Safe:
    """The lines of a text, each in a direction of its own."""
    return joined([element("bdi", line) for line in text.split("\n")], "<br>")


def head(title: str, style: str, *, skip_to: str, skip: str) -> Safe:
    """From the doctype to the open body, with a first link that leads to the element `skip_to`."""
    spoken = language()
    return Safe(
        f'<!doctype html>\n<html lang="{spoken.code}" dir="{spoken.direction}">\n<head>\n'
        f'<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#{escape(skip_to)}">{escape(skip)}</a>\n'
    )


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Safe:
    """A table whose first column heads its rows; caption and columns are said in the reader's language.

    On a narrow screen each row becomes a card: `data-label` carries the column's name to the cell.
    """
    columns = [pgettext("column", name) for name in columns]
    heads = joined(element("th", name, scope="col") for name in columns)
    lines = []
    for row in rows:
        first = element("th", row[0], scope="row", data_label=columns[0])
        rest = joined(
            element("td", cell, data_label=name) for name, cell in zip(columns[1:], row[1:], strict=True)
        )
        lines.append(element("tr", [first, rest]))
    return element(
        "table",
        [
            element("caption", gettext(caption)),
            element("thead", element("tr", heads)),
            element("tbody", lines),
        ],
    )
