"""The smallest pieces of a subject report: times, names, lists of fields, links. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from exchange.agency.wording import code_words, field_label, purpose_label
from exchange.member.cli.output import harmless
from exchange.member.page import Safe, element, joined
from exchange.words import gettext
from exchange_schemas.catalogue import load_catalogue


def consent_link(cid: str) -> Safe:
    """Leads to a consent on the same page."""
    return element(
        "a", element("code", cid[:8]), href=f"#consent-{cid}", title=gettext("consent {cid}", cid=cid)
    )


def agency_cell(agency: str, name: str, kind: str) -> Safe:
    """Its legal name, and below it id and kind."""
    below = agency if kind == "" else joined([inline(agency), f"{gettext(', ')}{code_words(kind)}"])
    return joined([element("bdi", harmless(name)), element("span", below, class_="soft")], "<br>")


def field_list(names: Sequence[str]) -> Safe:
    """Fields as a list, in the catalogue's order."""
    return element("ul", [element("li", field_label(name)) for name in in_order(names)], class_="fields")


def in_order(names: Sequence[str]) -> list[str]:
    """Names of fields in the catalogue's order."""
    order = list(load_catalogue().fields)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def purpose_word(name: str) -> str:
    """A purpose in one word."""
    return purpose_label(name).partition(":")[0].lower()


def inline(text: str) -> Safe:
    """An id or a name within a text of another direction."""
    return element("bdi", harmless(text))


def time(when: datetime) -> Safe:
    """A moment, to the minute."""
    return element("time", when_text(when), datetime=when.isoformat(), dir="ltr")


def when_text(when: datetime) -> str:
    """The same as plain text."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def day(when: datetime) -> Safe:
    """A day."""
    return element("time", f"{when:%Y-%m-%d}", datetime=f"{when:%Y-%m-%d}", dir="ltr")
