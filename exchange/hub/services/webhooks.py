"""An agency's webhook: where it wants to hear that something waits. Set, shown, its secret renewed, removed.

The secret is worth no more than a false "something waits": it is kept as it is, shown once, and never again.
A message that could not be delivered lies in the agency's dead-letter list until it is sent again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from exchange.hub.models.envelopes import grant
from exchange.hub.models.webhooks import webhook, webhook_dead
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_keys.webhooks import new_secret
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act
from exchange_schemas.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

OVERLAP_S: Final = 24 * 3600
"""How long messages bear a signature under the secret before this one too."""
SHOWN: Final = 100
_MINE: Final = webhook.c.agency == bindparam("me")
_FIND: Final = select(webhook).where(_MINE)
_NEWEST: Final = select(func.max(grant.c.inbox_pos)).where(grant.c.rcp == bindparam("me"))
_DEAD: Final = (
    select(webhook_dead)
    .where(webhook_dead.c.agency == bindparam("me"))
    .order_by(webhook_dead.c.at, webhook_dead.c.id)
    .limit(SHOWN)
)


def put(hub: Hub, caller: Caller, url: str) -> Released:
    """Set the endpoint; 201 with a new secret, or 200 without one when it is set to that address already.

    It is told of what arrives from now on.
    """
    trace = Trace(act=Act.WEBHOOK_SET)

    def work(unit: Unit) -> Answer:
        row = _row(unit.conn, caller)
        if row is not None and row.url == url:
            return Answer(body=_shown(row), trace=trace)
        newest = unit.conn.execute(_NEWEST, {"me": caller.agency}).scalar() or 0
        secret = new_secret(hub.random)
        unit.conn.execute(delete(webhook).where(_MINE), {"me": caller.agency})
        values = {
            "agency": caller.agency,
            "url": url,
            "secret": secret,
            "told": newest,
            "attempts": 0,
            "next_at": 0,
        }
        unit.conn.execute(insert(webhook), values)
        return Answer(body={**_shown(_needed(unit, caller)), "secret": secret}, trace=trace, status=201)

    return release(hub, caller, trace, work)


def show(hub: Hub, caller: Caller) -> Released:
    """The endpoint and how it does. Raises: NotFound."""
    trace = Trace(act=Act.WEBHOOK_READ)

    def work(unit: Unit) -> Answer:
        return Answer(body=_shown(_needed(unit, caller)), trace=trace)

    return release(hub, caller, trace, work, reads=True)


def remove(hub: Hub, caller: Caller) -> Released:
    """Tell it nothing more. Raises: NotFound."""
    trace = Trace(act=Act.WEBHOOK_REMOVE)

    def work(unit: Unit) -> Answer:
        _needed(unit, caller)
        unit.conn.execute(delete(webhook).where(_MINE), {"me": caller.agency})
        mine = webhook_dead.c.agency == bindparam("me")
        unit.conn.execute(delete(webhook_dead).where(mine), {"me": caller.agency})
        return Answer(body={}, trace=trace)

    return release(hub, caller, trace, work)


def renew(hub: Hub, caller: Caller) -> Released:
    """A new secret; for a day messages are signed under both. Raises: NotFound."""
    trace = Trace(act=Act.WEBHOOK_RENEW)

    def work(unit: Unit) -> Answer:
        row, secret = _needed(unit, caller), new_secret(hub.random)
        until = int(unit.now.timestamp()) + OVERLAP_S
        values = {"secret": secret, "old_secret": row.secret, "old_until": until}
        unit.conn.execute(update(webhook).where(_MINE).values(values), {"me": caller.agency})
        return Answer(body={**_shown(_needed(unit, caller)), "secret": secret}, trace=trace)

    return release(hub, caller, trace, work)


def dead(hub: Hub, caller: Caller) -> Released:
    """What could not be delivered, oldest first, at most 100."""
    trace = Trace(act=Act.WEBHOOK_READ)

    def work(unit: Unit) -> Answer:
        rows = unit.conn.execute(_DEAD, {"me": caller.agency}).all()
        items: list[JsonValue] = [
            {"id": row.id, "at": _time(row.at), "attempts": row.attempts, "error": row.error} for row in rows
        ]
        return Answer(body={"items": items}, trace=trace)

    return release(hub, caller, trace, work, reads=True)


def replay(hub: Hub, caller: Caller, ident: str) -> Released:
    """Send a dead letter again, with the newest of what waits. Raises: NotFound."""
    trace = Trace(act=Act.WEBHOOK_REPLAY)

    def work(unit: Unit) -> Answer:
        row = _needed(unit, caller)
        mine = webhook_dead.c.agency == bindparam("me"), webhook_dead.c.id == bindparam("of_id")
        key = {"me": caller.agency, "of_id": ident}
        found = unit.conn.execute(select(webhook_dead.c.place).where(*mine), key).scalar()
        if found is None:
            raise NotFound("there is no such message")
        unit.conn.execute(delete(webhook_dead).where(*mine), key)
        due = {"told": min(row.told, found - 1), "attempts": 0, "next_at": 0}
        unit.conn.execute(update(webhook).where(_MINE).values(due), {"me": caller.agency})
        return Answer(body={}, trace=trace, status=202)

    return release(hub, caller, trace, work)


def _row(conn: Connection, caller: Caller) -> Row[tuple[object, ...]] | None:
    return conn.execute(_FIND, {"me": caller.agency}).one_or_none()


def _needed(unit: Unit, caller: Caller) -> Row[tuple[object, ...]]:
    row = _row(unit.conn, caller)
    if row is None:
        raise NotFound("no webhook is set")
    return row


def _shown(row: Row[tuple[object, ...]]) -> dict[str, JsonValue]:
    return {
        "url": str(row.url),
        "attempts": int(row.attempts),
        "last_error": None if row.last_error is None else str(row.last_error),
        "last_ok": None if row.last_ok is None else _time(row.last_ok),
    }


def _time(seconds: int) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))
