"""The proofs of a subject report: entries of the hub's log that outsiders can check. Pure.

An entry names no child; it says which agency did what under which rule, and the proof places it in the
signed tree. The bytes stand on the page, so that the page alone is evidence.
"""

from __future__ import annotations

from exchange.agency.subject.model import Proof, SubjectReport
from exchange.agency.wording import code_words
from exchange.member.page import Safe, element, joined, safe
from exchange.words import gettext, marked

_NONE = marked("none kept")


def link(entry: str | None) -> Safe:
    """Where a proof stands on the page; says when none was kept."""
    if entry is None:
        return element("span", gettext(_NONE), class_="soft")
    return element(
        "a", element("code", entry[:8]), href=f"#entry-{entry}", title=gettext("entry {id}", id=entry)
    )


def section(report: SubjectReport) -> Safe:
    """Every entry with its proof."""
    intro = element(
        "p",
        gettext(
            "Each access was written into the exchange's audit log before it was answered. For every entry "
            "below this agency's program has verified that it lies in the signed log. Anybody can do so "
            "again with the entry, its proof and the log's key; the JSON form of this report holds all three."
        ),
    )
    key = element("p", [safe(gettext("The log's key:")), Safe(" "), element("code", report.log_key)])
    if not report.proofs:
        return joined([intro, key, element("p", gettext("No entry was kept."))])
    return joined([intro, key, *(_proof(one) for one in report.proofs)])


def _proof(one: Proof) -> Safe:
    comma = gettext(", ")
    line = joined(
        [
            element("strong", one.act),
            f" ({code_words(one.outcome)}){comma}{gettext('number {index}', index=one.index)}{comma}",
            element("time", f"{one.at:%Y-%m-%d %H:%M:%S} UTC", datetime=one.at.isoformat(), dir="ltr"),
            Safe("<br>"),
            element("code", one.id),
        ]
    )
    evidence = element(
        "details",
        [
            element("summary", gettext("Entry and proof")),
            element("h4", gettext("Entry (base64url)")),
            element("pre", one.entry, tabindex="0", dir="ltr"),
            element("h4", gettext("Proof (C2SP tlog-proof)")),
            element("pre", one.proof, tabindex="0", dir="ltr"),
        ],
    )
    return element("article", [element("p", line), evidence], id=f"entry-{one.id}", class_="proof")


def foot(report: SubjectReport) -> Safe:
    """Who answers for the page."""
    return element(
        "footer",
        element(
            "p",
            gettext(
                "Made by {agency} on {when}. Keep this page as you keep the child's record, and destroy it "
                "with the record.",
                agency=f"{report.agency_name} ({report.agency})",
                when=f"{report.made:%Y-%m-%d %H:%M} UTC",
            ),
        ),
    )
