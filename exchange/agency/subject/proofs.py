"""The proofs of a subject report: entries of the hub's log that outsiders can check. Pure.

An entry names no child; it says which agency did what under which rule, and the proof places it in the
signed tree. The bytes stand on the page, so that the page alone is evidence.
"""

from __future__ import annotations

from exchange.agency.subject.model import Proof, SubjectReport
from exchange.member.page import Safe, element, joined, safe

_NONE = "none kept"


def link(entry: str | None) -> Safe:
    """Where a proof stands on the page; says when none was kept."""
    if entry is None:
        return element("span", _NONE, class_="soft")
    return element("a", element("code", entry[:8]), href=f"#entry-{entry}", title=f"entry {entry}")


def section(report: SubjectReport) -> Safe:
    """Every entry with its proof."""
    intro = element(
        "p",
        "Each access was written into the exchange's audit log before it was answered. For every entry below "
        "this agency's program has verified that it lies in the signed log. Anybody can do so again with the "
        "entry, its proof and the log's key; the JSON form of this report holds all three.",
    )
    key = element("p", [safe("The log's key: "), element("code", report.log_key)])
    if not report.proofs:
        return joined([intro, key, element("p", "No entry was kept.")])
    return joined([intro, key, *(_proof(one) for one in report.proofs)])


def _proof(one: Proof) -> Safe:
    line = joined(
        [
            element("strong", one.act),
            f" ({one.outcome}), number {one.index}, ",
            element("time", f"{one.at:%Y-%m-%d %H:%M:%S} UTC", datetime=one.at.isoformat()),
            Safe("<br>"),
            element("code", one.id),
        ]
    )
    evidence = element(
        "details",
        [
            element("summary", "Entry and proof"),
            element("h4", "Entry (base64url)"),
            element("pre", one.entry, tabindex="0"),
            element("h4", "Proof (C2SP tlog-proof)"),
            element("pre", one.proof, tabindex="0"),
        ],
    )
    return element("article", [element("p", line), evidence], id=f"entry-{one.id}", class_="proof")


def foot(report: SubjectReport) -> Safe:
    """Who answers for the page."""
    return element(
        "footer",
        element(
            "p",
            f"Made by {report.agency_name} ({report.agency}) on {report.made:%Y-%m-%d %H:%M} UTC. Keep this "
            "page as you keep the child's record, and destroy it with the record.",
        ),
    )
