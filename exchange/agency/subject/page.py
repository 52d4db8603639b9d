"""A subject report as one HTML page, for a caseworker, a lawyer or the person it is about. Pure.

Read from top to bottom: who received what in short, each message, the consents and how they ended, what left
on paper, what came in, what is held, the proofs. It has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files

from exchange.agency.deletions import outcome_words
from exchange.agency.subject import proofs
from exchange.agency.subject.given import DELETIONS, given_table, short
from exchange.agency.subject.model import Agreed, Ended, Held, SubjectReport
from exchange.agency.subject.pieces import (
    consent_link,
    day,
    field_list,
    in_order,
    inline,
    purpose_word,
    time,
    when_text,
)
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
from exchange.member.page import Safe, element, head, joined, lines, table
from exchange.words import gettext, ngettext


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
    yield "short", gettext("In short"), short(report)
    yield _if(report.given, "given", gettext("Everything that was sent"), given_table(report.given))
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
        (gettext("Made by"), inline(f"{report.made_by}, {report.agency_name} ({report.agency})")),
        (gettext("Made on"), time(report.made)),
        (gettext("Exchange"), inline(report.origin)),
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


# -- consents ------------------------------------------------------------------------------------------


def _consent(one: Agreed) -> Safe:
    facts: list[tuple[str, str]] = [
        (gettext("State"), code_words(one.status)),
        (gettext("For"), joined([purpose_label(name) for name in one.purposes], "<br>")),
        (gettext("Data"), field_list(one.fields)),
        (
            gettext("Rests on"),
            joined(
                [f"{code_words(about)}: {basis_label(name)}" for about, name in one.bases.items()], "<br>"
            ),
        ),
        (gettext("Valid"), joined([time(one.not_before), f" {gettext('to')} ", time(one.expires)])),
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
        facts.append((gettext("Takes the place of"), consent_link(one.supersedes)))
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
        (gettext("Withdrawn"), time(ended.when)),
        (gettext("Reason"), code_words(ended.reason)),
        (gettext("Signed by key"), joined([element("code", kid) for kid in ended.signers], "<br>")),
        (gettext("In the log"), proofs.link(ended.entry)),
    ]
    if ended.asked is not None:
        state = gettext(DELETIONS[ended.deletion])
        facts.append((gettext("Deletion asked for"), joined([time(ended.asked), f"; {state}"])))
    for answer in ended.answers:
        said = gettext(
            "{outcome}, signed on {when}", outcome=outcome_words(answer.outcome), when=when_text(answer.when)
        )
        signed = element("code", answer.manifest)
        object_ = joined([gettext("signed object"), " ", signed])
        facts.append((gettext("The recipient's answer"), joined([said, object_], "<br>")))
    return element("div", [element("h4", gettext("Withdrawal")), _facts(facts)], class_="ended")


# -- the rest ------------------------------------------------------------------------------------------


def _paper(report: SubjectReport) -> Safe:
    rows = [
        (
            joined([time(one.when), gettext("by {user}", user=one.user)], "<br>"),
            element("bdi", harmless(one.to)),
            joined(
                [
                    element("bdi", harmless(one.why)),
                    gettext("for: {purpose}", purpose=purpose_word(one.purpose)),
                    basis_label(one.basis),
                ],
                "<br>",
            ),
            field_list(one.fields),
            joined([element("code", one.id), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
        )
        for one in report.printed
    ]
    columns = ("When", "To", "Why", "Data", "Number")
    return table("Printed cards", columns, rows)


def _received(report: SubjectReport) -> Safe:
    rows = [
        (
            joined([time(one.when), joined([gettext("log:"), " ", proofs.link(one.entry)])], "<br>"),
            inline(one.sender),
            kind_label(one.kind),
            field_list(one.fields) if one.fields else gettext("no data of the record"),
            "" if one.keep_until is None else joined([gettext("until"), " ", day(one.keep_until)]),
        )
        for one in report.received
    ]
    columns = ("When", "From", "What", "Data", "May be kept")
    return table("Opened messages", columns, rows)


def _course(report: SubjectReport) -> Safe:
    rows = [
        (
            time(one.when),
            inline(one.sender),
            inline(one.recipient),
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
        (gettext("Added"), time(held.added)),
    ]
    facts.append((gettext("Last changed"), time(held.changed)))
    parts: list[str] = [_facts(facts)]
    if held.values is None:
        parts.append(field_list(held.fields))
    else:
        rows = [
            (field_label(name), lines(field_words(name, held.values[name]))) for name in in_order(held.fields)
        ]
        parts.append(table("The record", ("Field", "Value"), rows))
    rows_of_history = [
        (
            time(one.when),
            inline(one.user),
            code_words(one.what),
            gettext(", ").join(field_label(name) for name in one.fields),
        )
        for one in held.history
    ]
    columns = ("When", "Who", "What", "Fields")
    parts.append(table("Who changed what", columns, rows_of_history))
    return joined(parts)


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
