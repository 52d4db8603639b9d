"""A subject report as one HTML page, for a caseworker, a lawyer or the person it is about. Pure.

Read from top to bottom: who received what in short, each message, the consents and how they ended, what left
on paper, what came in, what is held, the proofs. It has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from exchange.agency import deletion_rows
from exchange.agency.deletions import outcome_words
from exchange.agency.subject import proofs
from exchange.agency.subject.model import Agreed, Ended, Given, Held, Recipient, SubjectReport
from exchange.agency.timeline import words
from exchange.agency.wording import (
    basis_label,
    code_words,
    field_label,
    field_words,
    kind_label,
    purpose_label,
)
from exchange.member.cli.output import harmless
from exchange.member.page import Safe, element, head, joined, table
from exchange.words import gettext, marked, ngettext
from exchange_schemas.catalogue import load_catalogue

_STATES = {
    "allowed": marked("may receive more until the consent ends"),
    "ended": marked("nothing more: the consent has ended"),
    "withdrawn": marked("nothing more: the consent was withdrawn"),
}
_DELETIONS = {
    "none": "",
    deletion_rows.DUE: marked("deletion not asked for yet"),
    deletion_rows.ASKED: marked("asked to delete, has not answered"),
    deletion_rows.ANSWERED: marked("has answered the request to delete"),
}


def page(report: SubjectReport) -> Iterator[str]:
    """The page in pieces."""
    style = files("exchange.agency.subject").joinpath("style.css").read_text("utf-8")
    yield head(gettext("Subject report"), style, skip_to="report", skip=gettext("Skip to the report"))
    yield _heading(report)
    sections = [one for one in _sections(report) if one is not None]
    yield _contents(sections)
    yield '<main id="report">\n'
    for ident, title, body in sections:
        yield element("section", [element("h2", title, id=ident), body], aria_labelledby=ident) + "\n"
    yield "</main>\n" + proofs.foot(report) + "</body>\n</html>\n"


Section = tuple[str, str, Safe]


def _sections(report: SubjectReport) -> Iterable[Section | None]:
    yield "short", gettext("In short"), _short(report)
    yield _if(report.given, "given", gettext("Everything that was sent"), _given(report.given))
    yield _if(report.consents, "consents", gettext("The consents"), joined(map(_consent, report.consents)))
    yield _if(report.printed, "paper", gettext("What was handed over on paper"), _paper(report))
    yield _if(report.received, "received", gettext("What was received about the child"), _received(report))
    yield _if(report.timeline, "course", gettext("The course of the case"), _course(report))
    if report.held is not None:
        yield "held", gettext("What this agency holds"), _held(report.held)
    yield "proofs", gettext("Proofs from the log of the exchange"), proofs.section(report)
    yield "limits", gettext("What this report cannot say"), _limits()


def _if(rows: Sequence[object], ident: str, title: str, body: Safe) -> Section | None:
    return (ident, title, body) if rows else None


# -- head ----------------------------------------------------------------------------------------------


def _heading(report: SubjectReport) -> Safe:
    known_by = (
        gettext("the child with the local reference")
        if report.held is not None
        else gettext("the child with the local thread")
    )
    facts = [
        (gettext("About"), joined([known_by, " ", element("code", report.subject)])),
        (gettext("Made by"), _inline(f"{report.made_by}, {report.agency_name} ({report.agency})")),
        (gettext("Made on"), _time(report.made)),
        (gettext("Exchange"), _inline(report.origin)),
    ]
    return element(
        "header",
        [
            element("p", gettext("Confidential: about one child"), class_="mark"),
            element("h1", gettext("Subject report")),
            element(
                "p",
                gettext(
                    "Who received which data of this child, when, for what and under which consent, from the "
                    "records of the agency that made this report."
                ),
                class_="lead",
            ),
            _facts(facts),
        ],
    )


def _contents(sections: Sequence[Section]) -> Safe:
    items = (element("li", element("a", title, href=f"#{ident}")) for ident, title, _ in sections)
    return element("nav", element("ol", list(items)), aria_label=gettext("Contents"))


def _facts(pairs: Iterable[tuple[str, str]]) -> Safe:
    return element(
        "dl", [element("div", [element("dt", name), element("dd", value)]) for name, value in pairs]
    )


# -- who received what ---------------------------------------------------------------------------------


def _short(report: SubjectReport) -> Safe:
    if not report.recipients:
        return element("p", gettext("Nothing of this record was sent to any agency through the exchange."))
    rows = [_recipient(one) for one in report.recipients]
    return table(
        "Who received what",
        ("Agency", "Data", "When", "Now"),
        rows,
    )


def _recipient(one: Recipient) -> Sequence[str]:
    count = ngettext("{count} message", "{count} messages", one.messages)
    days = dict.fromkeys((_day(one.first), _day(one.last)))
    asked = gettext(_DELETIONS[one.deletion])
    waits = one.deletion in (deletion_rows.DUE, deletion_rows.ASKED)
    note = element("span", asked, class_="waits" if waits else "done") if asked else Safe()
    return (
        _agency(one.agency, one.name, one.kind),
        _fields(one.fields),
        joined([joined(days, f" {escape(gettext('to'))} "), element("span", count, class_="soft")], "<br>"),
        joined([gettext(_STATES[one.state]), *([note] if asked else [])], "<br>"),
    )


def _given(given: Sequence[Given]) -> Safe:
    columns = (
        "When",
        "To",
        "What, for what",
        "Data",
        "Arrived",
    )
    return table("Every message with data of the record", columns, [_given_row(one) for one in given])


def _given_row(one: Given) -> Sequence[str]:
    what = [kind_label(one.kind), gettext("for: {purpose}", purpose=_purpose(one.purpose))]
    if one.consent is not None:
        what.append(joined([gettext("under consent"), " ", _consent_link(one.consent)]))
    if one.again is not None:
        what.append(gettext("given once more, to a newer key of the same agency"))
    return (
        joined([_time(one.when), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
        _inline(one.to),
        joined(what, "<br>"),
        _fields(one.fields),
        _arrived(one),
    )


def _arrived(one: Given) -> str:
    if one.outcome is None or one.outcome_at is None:
        return gettext("not known here")
    if one.outcome == "opened":
        return gettext("opened, signed on {when}", when=_when(one.outcome_at))
    return gettext("refused by the recipient's program ({code})", code=one.outcome_code)


# -- consents ------------------------------------------------------------------------------------------


def _consent(one: Agreed) -> Safe:
    facts: list[tuple[str, str]] = [
        (gettext("State"), code_words(one.status)),
        (gettext("For"), joined([purpose_label(name) for name in one.purposes], "<br>")),
        (gettext("Data"), _fields(one.fields)),
        (
            gettext("Rests on"),
            joined(
                [f"{code_words(about)}: {basis_label(name)}" for about, name in one.bases.items()], "<br>"
            ),
        ),
        (gettext("Valid"), joined([_time(one.not_before), f" {gettext('to')} ", _time(one.expires)])),
        (
            gettext("May be kept"),
            ngettext(
                "{count} day after it was opened", "{count} days after it was opened", one.retention_days
            ),
        ),
        (gettext("Protection screening"), code_words(one.screening)),
        (gettext("Digest (SHA-256)"), element("code", one.digest)),
        (gettext("Signed by key"), joined([element("code", kid) for kid in one.signers], "<br>")),
    ]
    if one.supersedes is not None:
        facts.append((gettext("Takes the place of"), _consent_link(one.supersedes)))
    facts.append((gettext("In the log"), proofs.link(one.entry)))
    title = (
        gettext("To {agency}", agency=one.recipient)
        if one.own
        else gettext("From {agency}", agency=one.issuer)
    )
    parts = [element("h3", title), element("p", element("code", one.cid), class_="soft"), _facts(facts)]
    if one.ended is not None:
        parts.append(_ended(one.ended))
    return element("article", parts, id=f"consent-{one.cid}", class_=f"consent {one.status}")


def _ended(ended: Ended) -> Safe:
    facts: list[tuple[str, str]] = [
        (gettext("Withdrawn"), _time(ended.when)),
        (gettext("Reason"), code_words(ended.reason)),
        (gettext("Signed by key"), joined([element("code", kid) for kid in ended.signers], "<br>")),
        (gettext("In the log"), proofs.link(ended.entry)),
    ]
    if ended.asked is not None:
        state = gettext(_DELETIONS[ended.deletion])
        facts.append((gettext("Deletion asked for"), joined([_time(ended.asked), f"; {state}"])))
    for answer in ended.answers:
        said = gettext(
            "{outcome}, signed on {when}", outcome=outcome_words(answer.outcome), when=_when(answer.when)
        )
        signed = element("code", answer.manifest)
        object_ = joined([gettext("signed object"), " ", signed])
        facts.append((gettext("The recipient's answer"), joined([said, object_], "<br>")))
    return element("div", [element("h4", gettext("Withdrawal")), _facts(facts)], class_="ended")


def _consent_link(cid: str) -> Safe:
    return element(
        "a", element("code", cid[:8]), href=f"#consent-{cid}", title=gettext("consent {cid}", cid=cid)
    )


# -- the rest ------------------------------------------------------------------------------------------


def _paper(report: SubjectReport) -> Safe:
    rows = [
        (
            joined([_time(one.when), gettext("by {user}", user=one.user)], "<br>"),
            element("bdi", harmless(one.to)),
            joined(
                [
                    element("bdi", harmless(one.why)),
                    gettext("for: {purpose}", purpose=_purpose(one.purpose)),
                    basis_label(one.basis),
                ],
                "<br>",
            ),
            _fields(one.fields),
            joined([element("code", one.id), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
        )
        for one in report.printed
    ]
    columns = ("When", "To", "Why", "Data", "Number")
    return table("Printed cards", columns, rows)


def _received(report: SubjectReport) -> Safe:
    rows = [
        (
            joined([_time(one.when), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
            _inline(one.sender),
            kind_label(one.kind),
            _fields(one.fields) if one.fields else gettext("no data of the record"),
            "" if one.keep_until is None else joined([gettext("until"), " ", _day(one.keep_until)]),
        )
        for one in report.received
    ]
    columns = ("When", "From", "What", "Data", "May be kept")
    return table("Opened messages", columns, rows)


def _course(report: SubjectReport) -> Safe:
    rows = [
        (
            _time(one.when),
            _inline(one.sender),
            _inline(one.recipient),
            kind_label(one.kind),
            element("bdi", words(one)),
        )
        for one in report.timeline
    ]
    columns = ("When", "From", "To", "What", "Says")
    return table("Messages in their order", columns, rows)


def _held(held: Held) -> Safe:
    facts = [
        (gettext("Comes from"), element("bdi", harmless(held.source))),
        (gettext("Added"), _time(held.added)),
    ]
    facts.append((gettext("Last changed"), _time(held.changed)))
    parts: list[str] = [_facts(facts)]
    if held.values is None:
        parts.append(_fields(held.fields))
    else:
        rows = [
            (field_label(name), _value(field_words(name, held.values[name])))
            for name in _in_order(held.fields)
        ]
        parts.append(table("The record", ("Field", "Value"), rows))
    rows_of_history = [
        (
            _time(one.when),
            _inline(one.user),
            code_words(one.what),
            gettext(", ").join(field_label(name) for name in one.fields),
        )
        for one in held.history
    ]
    columns = ("When", "Who", "What", "Fields")
    parts.append(table("Who changed what", columns, rows_of_history))
    return joined(parts)


def _value(text: str) -> Safe:
    return joined([element("bdi", line) for line in text.split("\n")], "<br>")


def _limits() -> Safe:
    said = (
        gettext(
            "What a recipient did with data after it had opened them. It is bound by the consent and answers "
            "for it; a withdrawal asks it to delete, and its signed answer stands above."
        ),
        gettext(
            "Whether a message was opened, where the recipient's signed receipt has not been seen by this "
            "agency's program."
        ),
        gettext(
            "What was told by voice, on paper or by any way other than the exchange, unless a card was "
            "printed by this program."
        ),
        gettext("What other agencies hold about the child from sources of their own."),
    )
    return element("ul", [element("li", text) for text in said])


def _agency(agency: str, name: str, kind: str) -> Safe:
    below = agency if kind == "" else joined([_inline(agency), f"{gettext(', ')}{code_words(kind)}"])
    return joined([element("bdi", harmless(name)), element("span", below, class_="soft")], "<br>")


def _fields(names: Sequence[str]) -> Safe:
    """Fields as a list, in the catalogue's order."""
    return element("ul", [element("li", field_label(name)) for name in _in_order(names)], class_="fields")


def _in_order(names: Sequence[str]) -> list[str]:
    order = list(load_catalogue().fields)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _purpose(name: str) -> str:
    return purpose_label(name).partition(":")[0].lower()


def _inline(text: str) -> Safe:
    """An id or a name within a text of another direction."""
    return element("bdi", harmless(text))


def _time(when: datetime) -> Safe:
    return element("time", _when(when), datetime=when.isoformat(), dir="ltr")


def _when(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _day(when: datetime) -> Safe:
    return element("time", f"{when:%Y-%m-%d}", datetime=f"{when:%Y-%m-%d}", dir="ltr")
