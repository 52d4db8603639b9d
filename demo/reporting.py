"""The chapter of the demo on paper: a printed card and the subject report, both provable from the log."""

from collections.abc import Callable
from pathlib import Path

from exchange.agency import Client, Record
from exchange.agency.printing import Why
from exchange.agency.subject import gather
from exchange.agency.subject.page import page
from exchange.sandbox.programs import CommandFailed

FOR_A_POSTER = Why("Town hall (invented)", "search poster", "trace", "best_interests_decision")


def print_and_report(holder: Client, record: Record, folder: Path, say: Callable[[str], None]) -> None:
    """Print a card, then gather who received what, each step with its entry in the log."""
    _, row = holder.prints.make(record.ref, ["sex"], FOR_A_POSTER)
    if row.entry is None:
        raise CommandFailed("the printed card was not logged")
    say(f"   a card is printed with a watermark; the log names no child and no recipient (print {row.id})")
    for _ in holder.outbox():
        pass  # each recipient's signed receipt is verified and kept
    report = gather.of_record(holder.session, holder.records, record.ref)
    html = "".join(page(report))
    (folder / "subject.html").write_text(html, encoding="utf-8")
    for one in report.recipients:
        say(
            f"   {one.agency} was given {len(one.fields)} fields in {one.messages} messages; now: {one.state}"
        )
    opened = sum(one.outcome == "opened" for one in report.given)
    ended = [one for one in report.consents if one.ended is not None and one.ended.answers]
    if opened == 0 or not ended or not report.proofs:
        raise CommandFailed("the subject report is not complete")
    say(
        f"   one page of {len(html) // 1024} KiB, no script: {opened} signed receipts, {len(ended)} deletion "
        f"confirmed, {len(report.proofs)} proofs from the log"
    )
