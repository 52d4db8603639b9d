"""What a person should look at first: the numbers in short, vital interest, notices. Pure."""

from collections.abc import Iterable

from exchange.auditor.report.content import Cell, Figure, Notice, moment
from exchange.auditor.report.figures import Figures
from exchange.auditor.report.matching import DAY_US
from exchange.words import gettext, ngettext


def summary(figures: Figures) -> tuple[tuple[str, Cell], ...]:
    """The report in a few numbers, each with its name."""
    accesses = figures.accesses.total()
    off = figures.off_hours.total()
    return (
        ("entries", figures.entries),
        ("accesses", accesses),
        ("agencies given something", len(figures.accesses)),
        ("refusals", figures.denials.total()),
        ("pairs that met", len(figures.pairs)),
        ("off hours", f"{100 * off / accesses:.0f} %" if accesses else "0 %"),
        ("consents on vital interest", figures.vital_by.total()),
        ("accesses after a withdrawal", figures.after_withdrawal_count),
        ("deletions not answered", sum(item.count for item in figures.deletions.open())),
    )


def vital_interest(figures: Figures) -> Figure:
    """The consents that rest on danger to life."""
    zone = figures.office.zone
    rows = tuple(
        (moment(one.at, zone).strftime("%Y-%m-%d %H:%M"), one.org, " ".join(one.parties), one.index)
        for one in figures.vital
    )
    return Figure(
        "vital_interest",
        "list",
        "Shared on vital interest",
        "Consents that rest on danger to life: two approvers, 72 hours at most. The parties are issuer, "
        "recipient and every commission that it was announced to. Ask the issuer for the evidence of each.",
        ("at", "by", "parties", "entry"),
        rows,
        figures.vital_by.total() - len(rows),
    )


def notices(figures: Figures) -> Iterable[Notice]:
    """What needs a look, the grave ones first."""
    yield from _grave(figures)
    yield from _deletions(figures)
    for name, count in sorted(figures.accesses.items()):
        if count >= 50 and figures.off_hours[name] * 2 > count:
            yield Notice(gettext("{agency} fetches more off hours than in office hours.", agency=name))


def _grave(figures: Figures) -> Iterable[Notice]:
    if figures.vital_by:
        yield Notice(
            ngettext(
                "{count} consent rests on vital interest, by {who}. Each needs a look.",
                "{count} consents rest on vital interest, by {who}. Each needs a look.",
                figures.vital_by.total(),
                who=", ".join(sorted(figures.vital_by)),
            ),
            grave=True,
        )
    if figures.after_withdrawal_count:
        named = ", ".join(str(index) for index in figures.after_withdrawal[:10])
        if figures.after_withdrawal_count > 10:
            named = gettext("{entries} and more", entries=named)
        yield Notice(
            ngettext(
                "{count} accesses under a consent that had been withdrawn: entries {entries}. Ask the "
                "operator for the disclosures of these entries.",
                "{count} accesses under a consent that had been withdrawn: entries {entries}. Ask the "
                "operator for the disclosures of these entries.",
                figures.after_withdrawal_count,
                entries=named,
            ),
            grave=True,
        )


def _deletions(figures: Figures) -> Iterable[Notice]:
    opened = figures.deletions.open()
    if opened:
        oldest = opened[0]
        age = (figures.last - oldest.oldest) // DAY_US
        total = sum(item.count for item in opened)
        yield Notice(
            gettext(
                "{total} requests to delete have no receipt; {agency} has owed the oldest for {age} days.",
                total=total,
                agency=oldest.asked,
                age=age,
            )
        )
    for name, asked in sorted(figures.deletions.asked.items()):
        if asked >= 5 and figures.deletions.answered[name] * 2 < asked:
            yield Notice(
                gettext(
                    "{agency} answered {answered} of {asked} requests to delete.",
                    agency=name,
                    answered=figures.deletions.answered[name],
                    asked=asked,
                )
            )
