"""What the sender of webhooks reads and writes: who must be told, what became of it, and its lease.

Due is an endpoint whose agency's inbox has gone further than it was told; the deposit that made it so wrote
the inbox's row in its own transaction, so nothing is lost and nothing is counted twice. One message stands
for everything new. States of an endpoint: quiet → due → told; due → waiting (a later attempt) → due; after
the last attempt the message is dead: listed, and sent again only when the agency says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.envelopes import grant
from exchange.hub.models.webhooks import webhook, webhook_dead, webhook_lease
from exchange.hub.services.turns import Turn
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.ids import AgencyId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

ATTEMPTS: Final = 12
FIRST_S: Final = 10
LONGEST_S: Final = 2 * 3600
LEASE_S: Final = 30
BATCH: Final = 16
"""As many as are told within one lease, however slow they are."""
_NEWEST: Final = select(func.max(grant.c.inbox_pos)).where(grant.c.rcp == webhook.c.agency).scalar_subquery()
_DUE: Final = (
    select(webhook, _NEWEST.label("newest"))
    .where(webhook.c.next_at <= bindparam("now"), webhook.c.told < _NEWEST)
    .order_by(webhook.c.next_at)
    .limit(BATCH)
)
_TURN: Final = Turn(webhook_lease, first={"one": 1, "holder": "", "until": 0})
_SAME: Final = (webhook.c.agency == bindparam("of"), webhook.c.url == bindparam("to"))


@dataclass(frozen=True, slots=True)
class Due:
    """One endpoint to be told. `id` is the same for every attempt at the same news."""

    agency: AgencyId
    url: str
    secrets: tuple[str, ...]
    place: int
    attempts: int

    @property
    def id(self) -> str:
        said = sha256(lp(b"hx1/webhook", self.agency.encode(), self.url.encode(), str(self.place).encode()))
        return f"msg_{b64u(said)[:22]}"


def due(engine: Engine, now: int) -> Sequence[Due]:
    """Up to 16 endpoints to be told now, the longest waiting first."""
    with storage_errors(), reading(engine) as conn:
        rows = conn.execute(_DUE, {"now": now}).all()
    return [
        Due(
            agency=row.agency,
            url=row.url,
            secrets=(row.secret,)
            if row.old_until is None or row.old_until <= now
            else (row.secret, row.old_secret),
            place=row.newest,
            attempts=row.attempts,
        )
        for row in rows
    ]


def told(engine: Engine, item: Due, now: int) -> None:
    """The endpoint took the message."""
    values = {"told": item.place, "attempts": 0, "next_at": 0, "last_error": None, "last_ok": now}
    with storage_errors(), writing(engine) as conn:
        conn.execute(update(webhook).where(*_SAME).values(values), {"of": item.agency, "to": item.url})


def failed(engine: Engine, item: Due, error: str, now: int, jitter: Callable[[], float]) -> bool:
    """It did not; the next attempt later, or none: then the message is dead. Whether it is.

    `jitter` gives 0 to 1: half of each pause is drawn, so that many endpoints never come back at once.
    """
    attempts, key = item.attempts + 1, {"of": item.agency, "to": item.url}
    dead = attempts >= ATTEMPTS
    pause = pause_s(attempts, jitter())
    after = {"told": item.place, "attempts": 0, "next_at": 0} if dead else {
        "attempts": attempts, "next_at": now + pause
    }  # fmt: skip
    with storage_errors(), writing(engine) as conn:
        done = conn.execute(update(webhook).where(*_SAME).values({**after, "last_error": error}), key)
        if dead and done.rowcount == 1:
            row = {
                "id": item.id,
                "agency": item.agency,
                "place": item.place,
                "at": now,
                "attempts": attempts,
                "error": error,
            }
            conn.execute(insert(webhook_dead).on_conflict_do_nothing(), row)
    return dead


def pause_s(attempts: int, jitter: float) -> int:
    """Seconds until the next attempt: 10 s doubled each time up to two hours, half of it drawn."""
    whole = min(LONGEST_S, FIRST_S * 2 ** (attempts - 1))
    return int(whole / 2 + whole / 2 * jitter)


def hold_lease(engine: Engine, holder: str, now: int) -> bool:
    """Whether this process is the one that sends, for the next 30 seconds."""
    return _TURN.take(engine, holder, now, LEASE_S)
