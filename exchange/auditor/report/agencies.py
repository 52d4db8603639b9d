"""Figures by agency and by pair of agencies: who was refused, who works off hours, who answers. Pure."""

from collections import Counter
from collections.abc import Iterable

from exchange.auditor.report.content import LISTED, WEEKDAYS, Cell, Figure, day_of
from exchange.auditor.report.figures import Figures
from exchange.auditor.report.matching import BINS, DAY_US, LAST_BIN, Questions
from exchange.words import gettext


def denied(figures: Figures) -> Figure:
    """Refusals by agency and reason."""
    rows = [(org or "operators", reason, count) for (org, reason), count in figures.denied.items()]
    return Figure(
        "denials_by_agency",
        "parts",
        "Who was refused",
        "The same refusals, by the agency that asked.",
        ("agency", "reason", "count"),
        *_most(rows),
    )


def newest_pairs(figures: Figures) -> Figure:
    """The pairs that met last."""
    zone = figures.office.zone
    newest = sorted(figures.pairs.items(), key=lambda item: -item[1].first)[:LISTED]
    return Figure(
        "newest_pairs",
        "list",
        "The newest pairs",
        "The latest first meetings, and how much was handed over since.",
        ("received by", "from", "first on", "accesses"),
        tuple((to, of, day_of(pair.first, zone), pair.count) for (to, of), pair in newest),
        len(figures.pairs) - len(newest),
    )


def heat(figures: Figures) -> Figure:
    """Accesses by weekday and hour."""
    rows = [(WEEKDAYS[day], hour, figures.hours[day, hour]) for day in range(7) for hour in range(24)]
    zone = str(figures.office.zone)
    return Figure(
        "hours",
        "heat",
        "When records are fetched",
        gettext("Accesses by weekday and hour, in the time of {zone}.", zone=zone),
        ("weekday", "hour", "count"),
        tuple(rows),
    )


def off_hours(figures: Figures) -> Figure:
    """Accesses inside and outside of office hours, by agency."""
    office = figures.office
    rows = []
    for name, count in figures.accesses.items():
        off = figures.off_hours[name]
        rows += [(name, "off hours", off), (name, "office hours", count - off)]
    return Figure(
        "off_hours",
        "parts",
        "Who works off hours",
        gettext(
            "Accesses outside of Monday to Friday, {opens}:00 to {closes}:00, by agency.",
            opens=office.opens,
            closes=office.closes,
        ),
        ("agency", "when", "count"),
        *_most(rows),
    )


def unrequested(figures: Figures) -> Figure:
    """The pairs with most accesses that nothing had asked for."""
    most = sorted(figures.unrequested.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    return Figure(
        "unrequested_pairs",
        "list",
        "Most given without a request",
        "Pairs in which the receiving agency had never asked the other one.",
        ("received by", "from", "accesses"),
        tuple((to, of, count) for (to, of), count in most),
        len(figures.unrequested) - len(most),
    )


def by_consent(figures: Figures) -> Figure:
    """Accesses by the family of the consent, where it was disclosed."""
    named = [(name, count) for name, count in figures.by_consent.items() if name != ""]
    most = sorted(named, key=lambda item: (-item[1], item[0]))[:LISTED]
    rest = figures.by_consent[""]
    return Figure(
        "by_consent",
        "list",
        "Consents that were used most",
        gettext(
            "Accesses by the family of the consent, as the hub disclosed it to this auditor. Under consents "
            "that are not disclosed, or erased: {rest}.",
            rest=rest,
        ),
        ("consent family", "accesses"),
        tuple(most),
        len(named) - len(most),
    )


def waited(key: str, title: str, text: str, questions: Questions) -> Figure:
    """How many answers took how long."""
    names = [*(name for name, _ in BINS), LAST_BIN]
    rows = tuple((name, questions.waited[name]) for name in names)
    return Figure(key, "bars", title, text, ("waited", "answers"), rows)


def answered(key: str, title: str, text: str, questions: Questions) -> Figure:
    """What became of the questions to each agency."""
    rows = []
    for name, asked in questions.asked.items():
        answered, quick = questions.answered[name], questions.quick[name]
        rows += [
            (name, "within a day", quick),
            (name, "later", answered - quick),
            (name, "not answered", asked - answered),
        ]
    return Figure(key, "parts", title, text, ("agency", "answered", "count"), *_most(rows))


def pair_times(questions: Questions) -> Figure:
    """The middle answer time of each pair."""
    times = questions.times()
    rows = [
        (item.by, item.of, item.middle or "none yet", item.answered, item.asked) for item in times[:LISTED]
    ]
    return Figure(
        "response_pairs",
        "list",
        "How long each agency waits for each other one",
        "Requests for information between two agencies; half of the answers came within the time named.",
        ("asks", "is asked", "middle answer", "answered", "requests"),
        tuple(rows),
        len(times) - len(rows),
    )


def open_deletions(figures: Figures) -> Figure:
    """Requests to delete that have no receipt."""
    zone, opened = figures.office.zone, figures.deletions.open()
    rows = []
    for item in opened[:LISTED]:
        age = (figures.last - item.oldest) // DAY_US
        rows.append((item.asked, item.by, item.count, day_of(item.oldest, zone), age))
    return Figure(
        "unanswered_deletions",
        "list",
        "Deletions nobody has answered",
        "The oldest first. Days are counted to the last entry of the log.",
        ("asked", "by", "open", "oldest from", "days open"),
        tuple(rows),
        len(opened) - len(rows),
    )


def _most(rows: Iterable[tuple[str, str, int]]) -> tuple[tuple[tuple[Cell, ...], ...], int]:
    """The agencies with most, the largest first, their parts in the order of first mention.

    And how many agencies are left out.
    """
    listed = [row for row in rows if row[2] > 0]
    sums: Counter[str] = Counter()
    for name, _, count in listed:
        sums[name] += count
    kept = sorted(sums, key=lambda name: (-sums[name], name))[:LISTED]
    place = {name: at for at, name in enumerate(kept)}
    shown = sorted((row for row in listed if row[0] in place), key=lambda row: place[row[0]])
    return tuple(shown), len(sums) - len(kept)
