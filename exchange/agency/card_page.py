"""A record's card as one HTML page to be printed, with a watermark: who, for whom, when and why. Pure.

The watermark lies over every printed page, so that a copy that turns up can be traced to its print.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files

from exchange.agency.model import Record
from exchange.agency.wording import field_label, field_words
from exchange.member.cli.output import harmless
from exchange.member.page import Safe, element, head, joined, lines
from exchange.words import gettext

_LINES = 18


@dataclass(frozen=True, slots=True)
class Watermark:
    """Who printed, for whom, why, when, and the print's number."""

    who: str
    to: str
    why: str
    when: datetime
    number: str

    def line(self) -> str:
        """All of it on one line."""
        return harmless(
            f"{self.number} · {self.when:%Y-%m-%d %H:%M} UTC · {self.who} · "
            f"{gettext('for {whom}', whom=self.to)} · {self.why}"
        )


def card(record: Record, names: Sequence[str], photo: bytes | None, mark: Watermark) -> str:
    """The page, with the fields in the order given."""
    style = files("exchange.agency").joinpath("card.css").read_text("utf-8")
    shown = [name for name in names if name != "photo"]
    rows = [
        element(
            "div",
            [element("dt", field_label(name)), element("dd", lines(field_words(name, record.fields[name])))],
        )
        for name in shown
    ]
    marks = [element("p", mark.line()) for _ in range(_LINES)]
    body = [
        element("div", marks, class_="watermark", dir="ltr", aria_hidden="true"),
        element(
            "header",
            [element("p", gettext("Confidential"), class_="mark"), element("h1", gettext("Child's record"))],
        ),
        element("main", [*_photo(photo), element("dl", rows)], id="card"),
        _foot(mark),
    ]
    return (
        head(gettext("Child's record"), style, skip_to="card", skip=gettext("Skip to the record"))
        + joined(body)
        + "</body></html>\n"
    )


def _photo(photo: bytes | None) -> list[Safe]:
    if photo is None:
        return []
    source = f"data:image/jpeg;base64,{b64encode(photo).decode()}"
    return [
        Safe(element("figure", Safe(f'<img src="{source}" alt="{escape(gettext("Photo of the child"))}">')))
    ]


def _foot(mark: Watermark) -> Safe:
    facts = [
        (gettext("Printed for"), mark.to),
        (gettext("Why"), mark.why),
        (gettext("Printed by"), mark.who),
        (gettext("On"), f"{mark.when:%Y-%m-%d %H:%M} UTC"),
        (gettext("Number"), mark.number),
    ]
    rows = [
        element("div", [element("dt", name), element("dd", element("bdi", harmless(value)))])
        for name, value in facts
    ]
    said = gettext(
        "This print is logged under its number. Do not copy it or hand it on. Destroy it when it is no "
        "longer needed for what is said above."
    )
    return element("footer", [element("dl", rows), element("p", said)])
