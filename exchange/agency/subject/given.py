"""Who received what: each recipient in short, then each message. Pure.

What was sent is not yet received: where no receipt was signed, the page says what the hub said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from exchange.agency import deletion_rows
from exchange.agency.subject import proofs
from exchange.agency.subject.model import Given, Recipient, SubjectReport
from exchange.agency.subject.pieces import (
    agency_cell,
    consent_link,
    day,
    field_list,
    inline,
    purpose_word,
    time,
    when_text,
)
from exchange.agency.wording import kind_label
from exchange.member.page import Safe, element, joined, table
from exchange.words import gettext, marked, ngettext

_STATES = {
    "allowed": marked("may receive more until the consent ends"),
    "ended": marked("nothing more: the consent has ended"),
    "withdrawn": marked("nothing more: the consent was withdrawn"),
}
DELETIONS = {
    "none": "",
    deletion_rows.DUE: marked("deletion not asked for yet"),
    deletion_rows.ASKED: marked("asked to delete, has not answered"),
    deletion_rows.ANSWERED: marked("has answered the request to delete"),
}
_NOT_KNOWN = marked("not known here")
_BY_THE_HUB = {
    "waiting": marked("not fetched yet, the hub says"),
    "dead": marked("never fetched, the hub says, and not given any more"),
    "fetched": marked("fetched, the hub says; no signed receipt yet"),
}


def short(report: SubjectReport) -> Safe:
    """Each recipient with all that it received, and where that stands now."""
    if not report.recipients:
        return element("p", gettext("Nothing of this record was sent to any agency through the exchange."))
    rows = [_recipient(one) for one in report.recipients]
    return table(
        "Who received what",
        ("Agency", "Data", "When", "Now"),
        rows,
    )


def _recipient(one: Recipient) -> Sequence[str]:
    counts = [ngettext("{count} message", "{count} messages", one.messages)]
    days = dict.fromkeys((day(one.first), day(one.last)))
    if one.unfetched:
        counts.append(
            ngettext(
                "{count} message was never fetched", "{count} messages were never fetched", one.unfetched
            )
        )
    given = field_list(one.fields) if one.fields else gettext("nothing: it has fetched no message")
    asked = gettext(DELETIONS[one.deletion])
    waits = one.deletion in (deletion_rows.DUE, deletion_rows.ASKED)
    note = element("span", asked, class_="waits" if waits else "done") if asked else Safe()
    return (
        agency_cell(one.agency, one.name, one.kind),
        given,
        joined(
            [
                joined(days, f" {escape(gettext('to'))} "),
                *(element("span", said, class_="soft") for said in counts),
            ],
            "<br>",
        ),
        joined([gettext(_STATES[one.state]), *([note] if asked else [])], "<br>"),
    )


def given_table(given: Sequence[Given]) -> Safe:
    """Each message with data of the record."""
    columns = (
        "When",
        "To",
        "What, for what",
        "Data",
        "Arrived",
    )
    return table("Every message with data of the record", columns, [_given_row(one) for one in given])


def _given_row(one: Given) -> Sequence[str]:
    what = [kind_label(one.kind), gettext("for: {purpose}", purpose=purpose_word(one.purpose))]
    if one.consent is not None:
        what.append(joined([gettext("under consent"), " ", consent_link(one.consent)]))
    if one.again is not None:
        what.append(gettext("given once more, to a newer key of the same agency"))
    return (
        joined([time(one.when), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
        inline(one.to),
        joined(what, "<br>"),
        field_list(one.fields),
        _arrived(one),
    )


def _arrived(one: Given) -> str:
    if one.outcome is None or one.outcome_at is None:
        return gettext(_BY_THE_HUB.get(one.state or "", _NOT_KNOWN))
    if one.outcome == "opened":
        return gettext("opened, signed on {when}", when=when_text(one.outcome_at))
    return gettext("refused by the recipient's program ({code})", code=one.outcome_code)
