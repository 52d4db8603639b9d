"""Logs small enough to count by hand, and what a report counts in them."""

import json
from datetime import UTC, datetime, timedelta

from exchange.auditor.report.content import Document, Figure
from exchange.auditor.report.figures import Figures, Office
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId, Digest

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CNS, OTHER = (Digest(b64u(bytes([at]) * 32)) for at in (1, 2))


def entry(when: datetime, act: Act, org: str, *others: str, **members: object) -> bytes:
    out = "allow" if "rsn" not in members else "deny"
    own = tuple(sorted(AgencyId(name) for name in {org, *others}))
    return Entry(
        log="test.example/audit",
        id=b64u(bytes(16)),
        ts=int(when.timestamp() * 1_000_000),
        act=act,
        out=out,
        org=AgencyId(org),
        own=own,
        **members,  # type: ignore[arg-type]  # named by each test
    ).to_bytes()


def fetch(when: datetime, org: str, of: str, *, knd: str = "found_notice", **more: object) -> bytes:
    return entry(when, Act.GRANT_FETCH, org, of, knd=knd, pur="trace", **more)


def deposit(when: datetime, org: str, to: str, knd: str) -> bytes:
    return entry(when, Act.ENVELOPE_DEPOSIT, org, to, knd=knd)


def counted(*entries: bytes, office: Office | None = None) -> Figures:
    figures = Figures(Office() if office is None else office)
    figures.count(0, entries, [json.loads(data)["ts"] for data in entries])
    return figures


def figure(content: Document, key: str) -> Figure:
    return next(one for one in content.figures if one.key == key)
