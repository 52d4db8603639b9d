"""A report's content: every figure as a titled table, the same for the page and for JSON. Pure.

A page is drawn from this and from nothing else: whoever distrusts a plot finds its numbers in the JSON.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from exchange.auditor.report.figures import Figures
from exchange.auditor.report.matching import BINS, DAY_US, LAST_BIN, Questions
from exchange.words import gettext, ngettext

Cell = str | int
OTHERS: Final = "all others"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAMED: Final = 7
"""Names with a colour of their own in a plot; the rest is `OTHERS`."""
_LISTED: Final = 25
_DAILY: Final = 62
_WEEKLY: Final = 800


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `shape` says how it is drawn, `rows` have a cell for each of `columns`.

    Shapes: "stack" (period, name, count), "heat" (weekday, hour, count), "bars" (name, count), "parts"
    (name, part, count), "list" (not drawn: the table is the figure).
    """

    key: str
    shape: str
    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should look at first. `grave`: it must never happen."""

    text: str
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `unit` is "day", "week" or "month"; `summary` pairs a name with a number."""

    unit: str
    first: datetime | None
    last: datetime | None
    summary: tuple[tuple[str, Cell], ...]
    notices: tuple[Notice, ...]
    figures: tuple[Figure, ...]


def document(figures: Figures) -> Document:
    """The report of what was counted."""
    calendar = _Calendar.of(figures)
    vital = [_vital(figures)]
    # What must be looked at stands first; where there is nothing it says so at the end.
    first, last = (vital, []) if figures.vital_count else ([], vital)
    return Document(
        unit=calendar.unit,
        first=None if figures.first is None else _when(figures.first),
        last=None if figures.first is None else _when(figures.last),
        summary=_summary(figures),
        notices=tuple(_notices(figures)),
        figures=(
            *first,
            calendar.stack(
                "accesses_by_agency",
                "Who was given records",
                "Grants and attachments handed out, by the agency that received them.",
                figures.by_agency,
            ),
            calendar.stack(
                "accesses_by_purpose",
                "What they were given for",
                "The same, by the purpose that the consent names.",
                figures.by_purpose,
            ),
            calendar.stack(
                "denials",
                "What was refused",
                "Requests of known agencies that the hub refused, by the reason it gave.",
                figures.denials,
            ),
            _denied(figures),
            calendar.first_time(figures),
            _newest_pairs(figures),
            _heat(figures),
            _off_hours(figures),
            calendar.stack(
                "requested",
                "Given with and without a request",
                "Accesses under a consent, by whether the receiving agency had ever asked the sending one "
                "before. A notice needs no request; look for pairs that live without any.",
                figures.asked_for,
            ),
            _unrequested(figures),
            calendar.stack(
                "consents",
                "Consents made, withdrawn, and refused",
                "Consents registered and withdrawn, and requests refused because a consent was over.",
                figures.consents,
            ),
            _waited(
                "response_times",
                "How long answers took",
                "From a request for information to the next answer between the same two agencies.",
                figures.requests,
            ),
            _answered(
                "requests",
                "Who answers requests",
                "Requests for information, by the agency that was asked.",
                figures.requests,
            ),
            _pair_times(figures.requests),
            _waited(
                "deletion_times",
                "How long deletions took",
                "From a request to delete to the receipt for it.",
                figures.deletions,
            ),
            _answered(
                "deletions",
                "Who deletes when asked",
                "Requests to delete, by the agency that was asked.",
                figures.deletions,
            ),
            _open_deletions(figures),
            *([] if figures.name_of is None else [_by_consent(figures)]),
            *last,
        ),
    )


# -- over time -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Days put together so that a plot stays readable, however long the log is."""

    unit: str

    @classmethod
    def of(cls, figures: Figures) -> "_Calendar":
        days = 0 if figures.first is None else (figures.last - figures.first) // DAY_US
        return cls("day" if days <= _DAILY else "week" if days <= _WEEKLY else "month")

    def period(self, day: int) -> str:
        """The first day of the day's period, ISO 8601."""
        found = date(1970, 1, 1) + timedelta(days=day)
        if self.unit == "week":
            found -= timedelta(days=found.weekday())
        elif self.unit == "month":
            found = found.replace(day=1)
        return found.isoformat()

    def stack(self, key: str, title: str, text: str, counted: Counter[tuple[int, str]]) -> Figure:
        names = _common(counted)
        sums: Counter[tuple[str, str]] = Counter()
        for (day, name), count in counted.items():
            sums[self.period(day), name if name in names else OTHERS] += count
        order = {name: at for at, name in enumerate((*names, OTHERS))}
        rows = sorted(
            ((period, name, count) for (period, name), count in sums.items()),
            key=lambda row: (row[0], order[row[1]]),
        )
        return Figure(key, "stack", title, text, (self.unit, "name", "count"), tuple(rows))

    def first_time(self, figures: Figures) -> Figure:
        counted = Counter((pair.first // DAY_US, "new pair") for pair in figures.pairs.values())
        return self.stack(
            "first_time_pairs",
            "Agencies that met for the first time",
            "Pairs in which one agency was given something by the other for the first time in this log.",
            counted,
        )


def next_period(first_day: date, unit: str) -> date:
    """The first day of the next day, week or month."""
    if unit == "month":
        return (first_day + timedelta(days=31)).replace(day=1)
    return first_day + timedelta(days=7 if unit == "week" else 1)


def _common(counted: Mapping[tuple[int, str], int]) -> list[str]:
    sums: Counter[str] = Counter()
    for (_, name), count in counted.items():
        sums[name] += count
    ranked = sorted(sums, key=lambda name: (-sums[name], name))
    return ranked if len(ranked) <= _NAMED + 1 else ranked[:_NAMED]


# -- by agency -----------------------------------------------------------------------------------------


def _denied(figures: Figures) -> Figure:
    rows = [(org or "operators", reason, count) for (org, reason), count in figures.denied.items()]
    return Figure(
        "denials_by_agency",
        "parts",
        "Who was refused",
        "The same refusals, by the agency that asked.",
        ("agency", "reason", "count"),
        _most(rows),
    )


def _newest_pairs(figures: Figures) -> Figure:
    newest = sorted(figures.pairs.items(), key=lambda item: -item[1].first)[:_LISTED]
    return Figure(
        "newest_pairs",
        "list",
        "The newest pairs",
        "The latest first meetings, and how much was handed over since.",
        ("received by", "from", "first on", "accesses"),
        tuple((to, of, _day(pair.first), pair.count) for (to, of), pair in newest),
    )


def _heat(figures: Figures) -> Figure:
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


def _off_hours(figures: Figures) -> Figure:
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
        _most(rows),
    )


def _unrequested(figures: Figures) -> Figure:
    most = sorted(figures.unrequested.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]
    return Figure(
        "unrequested_pairs",
        "list",
        "Most given without a request",
        "Pairs in which the receiving agency had never asked the other one.",
        ("received by", "from", "accesses"),
        tuple((to, of, count) for (to, of), count in most),
    )


def _by_consent(figures: Figures) -> Figure:
    named = [(name, count) for name, count in figures.by_consent.items() if name != ""]
    most = sorted(named, key=lambda item: (-item[1], item[0]))[:_LISTED]
    rest = figures.by_consent[""]
    return Figure(
        "by_consent",
        "list",
        "Consents that were used most",
        "Accesses by the family of the consent, as the hub disclosed it to this auditor. "
        f"{rest} accesses were under consents that are not disclosed, or erased.",
        ("consent family", "accesses"),
        tuple(most),
    )


def _waited(key: str, title: str, text: str, questions: Questions) -> Figure:
    names = [*(name for name, _ in BINS), LAST_BIN]
    rows = tuple((name, questions.waited[name]) for name in names)
    return Figure(key, "bars", title, text, ("waited", "answers"), rows)


def _answered(key: str, title: str, text: str, questions: Questions) -> Figure:
    rows = []
    for name, asked in questions.asked.items():
        answered, quick = questions.answered[name], questions.quick[name]
        rows += [
            (name, "within a day", quick),
            (name, "later", answered - quick),
            (name, "not answered", asked - answered),
        ]
    return Figure(key, "parts", title, text, ("agency", "answered", "count"), _most(rows))


def _pair_times(questions: Questions) -> Figure:
    rows = [
        (item.by, item.of, item.middle or "none yet", item.answered, item.asked)
        for item in questions.times()[:_LISTED]
    ]
    return Figure(
        "response_pairs",
        "list",
        "How long each agency waits for each other one",
        "Requests for information between two agencies; half of the answers came within the time named.",
        ("asks", "is asked", "middle answer", "answered", "requests"),
        tuple(rows),
    )


def _open_deletions(figures: Figures) -> Figure:
    rows = []
    for item in figures.deletions.open()[:_LISTED]:
        age = (figures.last - item.oldest) // DAY_US
        rows.append((item.asked, item.by, item.count, _day(item.oldest), age))
    return Figure(
        "unanswered_deletions",
        "list",
        "Deletions nobody has answered",
        "The oldest first. Days are counted to the last entry of the log.",
        ("asked", "by", "open", "oldest from", "days open"),
        tuple(rows),
    )


def _most(rows: Iterable[tuple[str, str, int]]) -> tuple[tuple[Cell, ...], ...]:
    """The agencies with most, the largest first, their parts in the order of first mention."""
    listed = [row for row in rows if row[2] > 0]
    sums: Counter[str] = Counter()
    for name, _, count in listed:
        sums[name] += count
    kept = sorted(sums, key=lambda name: (-sums[name], name))[:_LISTED]
    place = {name: at for at, name in enumerate(kept)}
    return tuple(sorted((row for row in listed if row[0] in place), key=lambda row: place[row[0]]))


# -- in short ------------------------------------------------------------------------------------------


def _summary(figures: Figures) -> tuple[tuple[str, Cell], ...]:
    accesses = figures.accesses.total()
    off = figures.off_hours.total()
    return (
        ("entries", figures.entries),
        ("accesses", accesses),
        ("agencies given something", len(figures.accesses)),
        ("refusals", figures.denials.total()),
        ("pairs that met", len(figures.pairs)),
        ("off hours", f"{100 * off / accesses:.0f} %" if accesses else "0 %"),
        ("consents on vital interest", figures.vital_count),
        ("accesses after a withdrawal", figures.after_withdrawal_count),
        ("deletions not answered", sum(item.count for item in figures.deletions.open())),
    )


def _vital(figures: Figures) -> Figure:
    rows = tuple(
        (_when(one.at).strftime("%Y-%m-%d %H:%M"), one.org, " ".join(one.parties), one.index)
        for one in figures.vital
    )
    return Figure(
        "vital_interest",
        "list",
        "Shared on vital interest",
        "Consents that rest on danger to life: two approvers, 72 hours at most. The parties are issuer, "
        "recipient and every commission that it was announced to. Ask the issuer for the evidence of each.",
        ("at (UTC)", "by", "parties", "entry"),
        rows,
    )


def _notices(figures: Figures) -> Iterable[Notice]:
    if figures.vital_count:
        who = ", ".join(sorted({one.org for one in figures.vital}))
        yield Notice(
            f"{figures.vital_count} consents rest on vital interest, by {who}. Each needs a look.", grave=True
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
    for name, count in sorted(figures.accesses.items()):
        if count >= 50 and figures.off_hours[name] * 2 > count:
            yield Notice(gettext("{agency} fetches more off hours than in office hours.", agency=name))


def _when(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)


def _day(at_us: int) -> str:
    return _when(at_us).date().isoformat()
