"""The outbox: what became of what the caller sent, and where its chains stand. The SQL carries the caller.

It shows the recipient's signed outcome as it came; whether it verifies is for the sender to check.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from exchange.hub.models.envelopes import chain_head, grant
from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange.hub.services.inbox import state_at
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.sql import Statement
from exchange_schemas.codec import JsonValue, decode
from exchange_schemas.entry import Act
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from datetime import datetime

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

LISTING: Final = "outbox"
"""What the cursors of this listing are for."""
_PAGE: Final = Statement(
    select(
        grant.c.gid,
        grant.c.eid,
        grant.c.kind,
        grant.c.rcp,
        grant.c.thread,
        grant.c.seq,
        grant.c.digest,
        grant.c.dies,
        grant.c.state,
        grant.c.rcp_kid,
        grant.c.receipt,
        grant.c.outbox_pos,
    )
    .where(grant.c.snd == bindparam("me"), grant.c.outbox_pos > bindparam("after"))
    .order_by(grant.c.outbox_pos)
    .limit(bindparam("most"))
)
_HEADS: Final = Statement(
    select(chain_head.c.rcp, chain_head.c.seq, chain_head.c.digest).where(
        chain_head.c.snd == bindparam("me"), chain_head.c.rcp.in_(bindparam("rcps", expanding=True))
    )
)


def listing(hub: Hub, caller: Caller, *, cursor: str | None, limit: int) -> Released:
    """A page of the grants that the caller sent, its grants for itself included, oldest first.

    `next` is null at the end. Raises: Malformed for a cursor that is not of this listing and caller.
    """
    origin = hub.settings.origin
    after = read_cursor(cursor, origin, LISTING, caller.agency)
    trace = Trace(act=Act.OUTBOX_LIST)

    def work(unit: Unit) -> Answer:
        rows = unit.asked[0].rows
        page, more = rows[:limit], len(rows) > limit
        body: dict[str, JsonValue] = {
            "items": [_item(row, unit.now) for row in page],
            "next": write_cursor(origin, LISTING, caller.agency, page[-1].outbox_pos) if more else None,
        }
        return Answer(body=body, trace=trace)

    asks = (_PAGE.call(me=caller.agency, after=after, most=limit + 1),)
    return release(hub, caller, trace, work, asks=asks, reads=True)


def heads(hub: Hub, caller: Caller, recipients: Collection[AgencyId]) -> Released:
    """The last grant's place and digest in the chain to each recipient; one without a chain is left out."""
    trace = Trace(act=Act.OUTBOX_HEADS)

    def work(unit: Unit) -> Answer:
        rows = _HEADS.rows(unit.conn, {"me": caller.agency, "rcps": list(recipients)})
        found: dict[str, JsonValue] = {row.rcp: {"seq": row.seq, "digest": row.digest} for row in rows}
        return Answer(body={"heads": found}, trace=trace)

    return release(hub, caller, trace, work, reads=True)


def _item(row: Any, now: datetime) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "gid": row.gid,
        "eid": row.eid,
        "kind": row.kind,
        "rcp": row.rcp,
        "thread": row.thread,
        "seq": row.seq,
        "digest": row.digest,
        "state": state_at(row, now),
        "rcp_kid": row.rcp_kid,
    }
    if row.receipt is not None:
        shown["receipt"] = decode(row.receipt, limit=LIMITS.signed_object_bytes)
    return shown
