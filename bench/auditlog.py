"""An invented year of an invented exchange, as real log entries: for the bench of the auditor, and its tests.

Agencies, habits and misdeeds are made up; every entry is made and written by the real `Entry`. The same seed
gives the same log.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tiles import TILE_WIDTH, Tile, encode_bundle
from exchange.log.tree import Frontier, complete_root
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId, Digest

LOG = "exchange.example/audit"
START = datetime(2026, 1, 5, tzinfo=UTC)
AGENCIES = {
    "commission-lantern": 9,
    "embassy-northshore": 5,
    "embassy-tallgrass": 4,
    "embassy-redvalley": 2,
    "ngo-open-door": 8,
    "ngo-small-steps": 6,
    "ngo-riverbank": 3,
    "authority-care": 4,
    "court-family": 1,
    "clinic-harbour": 2,
}
_FIELDS = ("age_range", "birth_date", "current_area", "name_family", "name_given", "sex")
_PURPOSES = ("trace", "verify", "travel", "care", "health", "reunify")
_KINDS = (
    ("found_notice", 5),
    ("information_response", 4),
    ("service_referral", 1),
    ("match_confirmation", 1),
)
_REFUSALS = (
    "CONSENT_EXPIRED",
    "CONSENT_WITHDRAWN",
    "FIELD_DENIED",
    "PURPOSE_DENIED",
    "RECIPIENT_DENIED",
    "REPLAY",
)


class Story:
    """Events in the order of their times; `entries(n)` gives the first n."""

    def __init__(self, seed: int = 1, *, days: int = 300, per_day: float = 40.0) -> None:
        self._random = random.Random(seed)  # an invented log, not a secret
        self._gap = 1440.0 / per_day
        self._end = START + timedelta(days=days)
        self._serial = count()
        self._ahead: list[tuple[datetime, int, Entry]] = []
        self._names = list(AGENCIES)
        self._weights = list(AGENCIES.values())

    def entries(self, most: int) -> Iterator[bytes]:
        """The first `most` entries, or all there are in the story's days."""
        made, now = 0, START
        while now < self._end and made < most:
            now += timedelta(minutes=self._random.expovariate(1 / self._gap))
            self._happen(self._working_hours(now))
            while self._ahead and self._ahead[0][0] <= now and made < most:
                yield heappop(self._ahead)[2].to_bytes()
                made += 1

    def _working_hours(self, when: datetime) -> datetime:
        """Most of what happens, happens by day and on weekdays."""
        if self._random.random() < 0.06:
            return when
        hour = min(18, max(7, round(self._random.gauss(11.5, 2.6))))
        day = when + timedelta(days=7 - when.weekday() if when.weekday() > 4 else 0)
        return max(when, day.replace(hour=hour))

    def _happen(self, when: datetime) -> None:
        chance = self._random.random()
        one, other = self._pair()
        if chance < 0.18:
            self._note(when, Act.INBOX_LIST, one)
        elif chance < 0.30:
            self._request(when, one, other)
        elif chance < 0.315:
            self._delete(when, one, other)
        elif chance < 0.35:
            self._refuse(when, one, other)
        else:
            self._share(when, one, other)

    def _pair(self) -> tuple[str, str]:
        one = self._random.choices(self._names, self._weights)[0]
        # Each agency deals mostly with a few others; which ones is settled by their names.
        others = [name for name in self._names if name != one]
        close = sorted(others, key=lambda name: sha256(f"{one}/{name}".encode()).digest())
        return one, self._random.choices(close, [2.0**-at for at in range(len(close))])[0]

    def _share(self, when: datetime, sender: str, recipient: str) -> None:
        kind = self._random.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
        purpose = self._random.choices(_PURPOSES, [8, 3, 1, 3, 1, 1])[0]
        fields = tuple(sorted(self._random.sample(_FIELDS, self._random.randint(2, 6))))
        consent, envelope = self._digest(), self._digest()
        self._note(when, Act.CONSENT_REGISTER, sender, recipient, fld=fields, pur=purpose, cns=consent)
        at = self._later(when, 0.02)
        about = {"knd": kind, "pur": purpose, "fld": fields, "cns": consent, "rec": envelope}
        self._note(at, Act.ENVELOPE_DEPOSIT, sender, recipient, **about)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            at = self._later(at, 0.6)
            self._note(at, Act.GRANT_FETCH, recipient, sender, **about)
        if self._random.random() < 0.05:
            at = self._later(at, 20)
            self._note(at, Act.CONSENT_WITHDRAW, sender, recipient, cns=consent)
            # One agency is sometimes still served; an auditor should see that first of all.
            if not (recipient == "embassy-redvalley" and self._random.random() < 0.6):
                about["rsn"] = "CONSENT_WITHDRAWN"
            self._note(self._later(at, 2), Act.GRANT_FETCH, recipient, sender, **about)

    def _request(self, when: datetime, one: str, other: str) -> None:
        self._note(when, Act.ENVELOPE_DEPOSIT, one, other, knd="information_request", rec=self._digest())
        if self._random.random() < 0.8:
            kind = self._random.choice(("information_response", "information_response", "declined"))
            self._note(self._later(when, 3), Act.ENVELOPE_DEPOSIT, other, one, knd=kind, rec=self._digest())

    def _delete(self, when: datetime, one: str, other: str) -> None:
        self._note(when, Act.ENVELOPE_DEPOSIT, one, other, knd="deletion_request", rec=self._digest())
        # One of the agencies does not answer; an auditor should see that at a glance.
        if self._random.random() < (0.25 if other == "embassy-redvalley" else 0.9):
            at = self._later(when, 4)
            self._note(at, Act.ENVELOPE_DEPOSIT, other, one, knd="deletion_receipt", rec=self._digest())

    def _refuse(self, when: datetime, one: str, other: str) -> None:
        reason = self._random.choices(_REFUSALS, [5, 2, 4, 2, 1, 1])[0]
        self._note(when, Act.GRANT_FETCH, one, other, knd="found_notice", pur="trace", rsn=reason)

    def _later(self, when: datetime, days: float) -> datetime:
        return self._working_hours(when + timedelta(days=self._random.expovariate(1 / days)))

    def _digest(self) -> Digest:
        return Digest(b64u(self._random.randbytes(32)))

    def _note(
        self,
        when: datetime,
        act: Act,
        org: str,
        *others: str,
        knd: str | None = None,
        pur: str | None = None,
        fld: tuple[str, ...] = (),
        cns: Digest | None = None,
        rec: Digest | None = None,
        rsn: str | None = None,
    ) -> None:
        entry = Entry(
            log=LOG,
            id=b64u(self._random.randbytes(16)),
            ts=int(when.timestamp() * 1_000_000),
            act=act,
            out="allow" if rsn is None else "deny",
            org=AgencyId(org),
            own=tuple(sorted({AgencyId(name) for name in (org, *others)})),
            knd=knd,
            pur=pur,
            fld=fld,
            cns=cns,
            rec=rec,
            rsn=rsn,
            req=self._digest(),
        )
        heappush(self._ahead, (when, next(self._serial), entry))


def build(folder: Path, entries: Iterator[bytes], *, log: str = LOG) -> Mirror:
    """A whole copy of a log with these entries, in constant memory; its key is made up and thrown away."""
    key = SigningKey.generate()
    mirror = Mirror(folder)
    mirror.pin(vkey(log, key.public.raw))
    rows: dict[int, list[bytes]] = {}
    done: dict[int, int] = {}
    tree = Frontier.empty()
    bundle: list[bytes] = []

    def put(level: int, node: bytes) -> None:
        row = rows.setdefault(level, [])
        row.append(node)
        if len(row) == TILE_WIDTH:
            flush(level)
            put(level + 1, complete_root(row))
            rows[level] = []

    def flush(level: int) -> None:
        row = rows[level]
        if level == 0:
            mirror.write_tile(Tile(None, done.get(0, 0), len(bundle)), encode_bundle(bundle))
            bundle.clear()
        mirror.write_tile(Tile(level, done.get(level, 0), len(row)), b"".join(row))
        done[level] = done.get(level, 0) + 1

    for entry in entries:
        bundle.append(entry)
        leaf = sha256(b"\0" + entry).digest()
        tree = tree.append(leaf)
        put(0, leaf)
    for level in [level for level, row in rows.items() if row]:
        flush(level)
    note = sign_checkpoint(Checkpoint(log, tree.size, tree.root()), key)
    mirror.keep_checkpoint(tree.size, note)
    mirror.write_checkpoint(note)
    return mirror
