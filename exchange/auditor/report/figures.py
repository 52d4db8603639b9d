"""What a report counts, in one pass over the entries. Pure.

Memory grows with agencies, days and withdrawn consents, never with entries; where disclosures are at hand,
also with the consents that they name.

An *access* is a grant or an attachment that a recipient was given. Only names of agencies, purposes, kinds
and reasons are counted: the log holds nothing else that could be. What each figure means, and what it cannot
mean, stands in docs/audit.md.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from exchange.auditor.report.matching import DAY_US, HOUR_US, Questions
from exchange.auditor.rows import Glance
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.entry import VITAL
from exchange_schemas.errors import EntryInvalid, RateLimited

ACCESSES: Final = ("grant:fetch", "part:fetch")
DEPOSIT: Final = "envelope:deposit"
REQUESTS: Final = ("information_request", "tracing_request")
"""Who sent one has asked the other."""
QUESTION: Final = "information_request"
"""A tracing request asks many, and no answer to it is owed."""
ANSWERS: Final = ("information_response", "declined")
OVER_LIMIT: Final = "limited:"
"""Begins the `pol` of an entry that says how many requests of an agency were over its limit."""
STANDING: Final = ("CONSENT_EXPIRED", "CONSENT_WITHDRAWN", "CONSENT_SUPERSEDED")
_WEEKDAY_1970: Final = 3
"""1 January 1970 was a Thursday."""
_LISTED: Final = 50
"""Accesses under a withdrawn consent, and consents on vital interest, that are named one by one."""


@dataclass(frozen=True, slots=True)
class Office:
    """When people work: from `opens` to `closes` o'clock, Monday to Friday, in `zone`."""

    zone: tzinfo = UTC
    opens: int = 7
    closes: int = 19


@dataclass(slots=True)
class Pair:
    """An agency's dealings with another one: when it first had something from it, and how often since.

    `first` in µs, `day` the same as `Figures` counts days.
    """

    first: int
    day: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class Vital:
    """A consent on vital interest: its entry, when, by whom, and the parties, every commission among them."""

    index: int
    at: int
    org: str
    parties: tuple[str, ...]


@dataclass(slots=True)
class Figures:
    """Everything that is counted; days are counted from 1970 in the office's time zone."""

    office: Office
    # What a commitment stands for, where that was disclosed: accesses are grouped by it.
    name_of: Callable[[str], str | None] | None = None
    by_consent: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    first: int | None = None
    last: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    by_agency: Counter[tuple[int, str]] = field(default_factory=Counter)
    by_purpose: Counter[tuple[int, str]] = field(default_factory=Counter)
    denials: Counter[tuple[int, str]] = field(default_factory=Counter)
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    hours: Counter[tuple[int, int]] = field(default_factory=Counter)
    off_hours: Counter[str] = field(default_factory=Counter)
    accesses: Counter[str] = field(default_factory=Counter)
    pairs: dict[tuple[str, str], Pair] = field(default_factory=dict)
    requested: set[tuple[str, str]] = field(default_factory=set)
    unrequested: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked_for: Counter[tuple[int, str]] = field(default_factory=Counter)
    consents: Counter[tuple[int, str]] = field(default_factory=Counter)
    withdrawn: set[str] = field(default_factory=set)
    after_withdrawal: list[int] = field(default_factory=list)
    after_withdrawal_count: int = 0
    vital: list[Vital] = field(default_factory=list)
    vital_by: Counter[str] = field(default_factory=Counter)
    requests: Questions = field(default_factory=Questions)
    deletions: Questions = field(default_factory=Questions)
    _offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    _guarded: frozenset[str] = field(
        default_factory=lambda: frozenset(
            name for name, kind in load_catalogue().kinds.items() if kind.authority == "consent"
        )
    )

    def count(self, start: int, entries: Sequence[bytes], times: Sequence[int]) -> None:
        """Count entries once, in the log's order: the index of the first, their bytes, their times in µs.

        What is no entry at all is left out: the verification that shows them names it.
        """
        for index, (entry, at) in enumerate(zip(entries, times, strict=True), start):
            try:
                seen = Glance.at(entry)
            except EntryInvalid:
                continue
            self._count(index, at, seen)

    def _count(self, index: int, at: int, seen: Glance) -> None:
        org = seen.org
        self.entries += 1
        self.first = at if self.first is None else min(self.first, at)
        self.last = max(self.last, at)
        self.acts[seen.act] += 1
        day, weekday, hour = self._time(at)
        if seen.out != "allow":
            self._refusal(seen, day)
        elif seen.act in ACCESSES:
            self._access(index, at, seen, day)
            self._hour(org, weekday, hour)
        elif seen.act == DEPOSIT:
            self._deposit(seen, at)
        elif seen.act == "request:count":
            self._over_limit(seen, day)
        elif seen.act == "consent:register":
            self.consents[day, "registered"] += 1
            if seen.pol == VITAL or seen.pol.endswith(f"/{VITAL}"):
                self.vital_by[org] += 1
                if len(self.vital) < _LISTED:
                    self.vital.append(Vital(index, at, org, seen.own))
        elif seen.act == "consent:withdraw":
            self.consents[day, "withdrawn"] += 1
            self.withdrawn.add(seen.cns)

    def _over_limit(self, seen: Glance, day: int) -> None:
        """One entry for many refusals of one agency."""
        said = seen.pol.removeprefix(OVER_LIMIT)
        if said != seen.pol and said.isdecimal():
            for name in seen.own:
                self.denials[day, RateLimited.code] += int(said)
                self.denied[name, RateLimited.code] += int(said)

    def _refusal(self, seen: Glance, day: int) -> None:
        self.denials[day, seen.rsn] += 1
        self.denied[seen.org, seen.rsn] += 1
        if seen.rsn in STANDING:
            self.consents[day, f"refused: {seen.rsn.removeprefix('CONSENT_').lower()}"] += 1

    def _access(self, index: int, at: int, seen: Glance, day: int) -> None:
        org = seen.org
        self.accesses[org] += 1
        self.by_agency[day, org] += 1
        self.by_purpose[day, seen.pur or "not said"] += 1
        for other in seen.own:
            if other != org:
                self._from(org, other, at, day, guarded=seen.knd in self._guarded)
        if self.name_of is not None and seen.cns != "":
            self.by_consent[self.name_of(seen.cns) or ""] += 1
        if seen.cns in self.withdrawn and seen.cns != "":
            self.after_withdrawal_count += 1
            if len(self.after_withdrawal) < _LISTED:
                self.after_withdrawal.append(index)

    def _from(self, org: str, other: str, at: int, day: int, *, guarded: bool) -> None:
        """One agency had something from another one."""
        pair = self.pairs.get((org, other))
        if pair is None:
            pair = self.pairs[org, other] = Pair(at, day)
        pair.count += 1
        if guarded:
            asked = (org, other) in self.requested
            self.asked_for[day, "asked before" if asked else "never asked"] += 1
            if not asked:
                self.unrequested[org, other] += 1

    def _hour(self, org: str, weekday: int, hour: int) -> None:
        self.hours[weekday, hour] += 1
        self.off_hours[org] += not (weekday < 5 and self.office.opens <= hour < self.office.closes)

    def _deposit(self, seen: Glance, at: int) -> None:
        org, kind = seen.org, seen.knd
        for other in seen.own:
            if other == org:
                continue
            if kind in REQUESTS:
                self.requested.add((org, other))
                if kind == QUESTION:
                    self.requests.ask(org, other, at)
            elif kind in ANSWERS:
                self.requests.answer(org, other, at)
            elif kind == "deletion_request":
                self.deletions.ask(org, other, at)
            elif kind == "deletion_receipt":
                self.deletions.answer(org, other, at)

    def _time(self, at: int) -> tuple[int, int, int]:
        """Day, weekday (Monday 0) and hour in the office's time."""
        local = at + self._offset(at)
        day = local // DAY_US
        return day, (day + _WEEKDAY_1970) % 7, local // HOUR_US % 24

    def _offset(self, at: int) -> int:
        """The office's distance from UTC, µs; looked up once a day unless it changes on that day."""
        day = at // DAY_US
        found = self._offsets.get(day)
        if found is None:
            zone = self.office.zone
            found = self._offsets[day] = _offset_at(day * DAY_US, zone), _offset_at((day + 1) * DAY_US, zone)
        first, last = found
        return first if first == last else _offset_at(at, self.office.zone)


def _offset_at(at: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at // 1_000_000, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000
