"""The inbox: what lies at the hub for the caller, oldest first, a page at a time from a cursor on.

It says who sent what kind of message when, and nothing of what is in it. An answer that holds nothing the
caller does not have already (an empty page, or the very page that its entity tag names) is not logged; every
other one is. The SQL carries the caller.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from exchange.hub.models.envelopes import grant
from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.sql import Statement
from exchange_schemas.codec import JsonValue, b64u, encode, format_time, sha256
from exchange_schemas.entry import Act

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

LISTING: Final = "inbox"
"""What the cursors of this listing are for."""
ASK_AGAIN_S: Final = 30
"""How long a caller should wait before it asks again when there is no more."""
_PAGE: Final = Statement(
    select(
        grant.c.gid,
        grant.c.eid,
        grant.c.kind,
        grant.c.snd,
        grant.c.thread,
        grant.c.pur,
        grant.c.iat,
        grant.c.exp,
        grant.c.dies,
        grant.c.seq,
        grant.c.digest,
        grant.c.state,
        grant.c.rcp_kid,
        grant.c.inbox_pos,
    )
    .where(grant.c.rcp == bindparam("me"), grant.c.inbox_pos > bindparam("after"))
    .order_by(grant.c.inbox_pos)
    .limit(bindparam("most"))
)


def listing(hub: Hub, caller: Caller, *, cursor: str | None, limit: int, tags: str | None) -> Released:
    """A page of the caller's inbox; `tags` is the request's If-None-Match, if any (RFC 9110, section 13.1.2).

    200 with `items`, `next` (where to go on, also when there is nothing yet) and `more`; 304 without a body
    when the caller's tag is this page's. Raises: Malformed for a cursor not of this listing and caller.
    """
    origin = hub.settings.origin
    after = read_cursor(cursor, origin, LISTING, caller.agency)
    trace = Trace(act=Act.INBOX_LIST)

    def work(unit: Unit) -> Answer:
        rows = unit.asked[0].rows
        page, more = rows[:limit], len(rows) > limit
        last = page[-1].inbox_pos if page else after
        body: dict[str, JsonValue] = {
            "items": [_item(row, unit.now) for row in page],
            "next": write_cursor(origin, LISTING, caller.agency, last),
            "more": more,
        }
        tag = f'"{b64u(sha256(encode(body))[:16])}"'
        headers = {"ETag": tag, "Retry-After": str(0 if more else ASK_AGAIN_S)}
        if _names(tags, tag):
            return Answer(body={}, trace=trace, status=304, logged=False, headers=headers)
        return Answer(body=body, trace=trace, logged=bool(page), headers=headers)

    asks = (_PAGE.call(me=caller.agency, after=after, most=limit + 1),)
    return release(hub, caller, trace, work, asks=asks, reads=True)


def state_at(row: Any, now: datetime) -> str:
    """The grant's state as it is shown: a waiting one past its own or its consent's time is dead."""
    ended = row.state == "waiting" and row.dies <= now.timestamp()
    return "dead" if ended else str(row.state)


def _item(row: Any, now: datetime) -> dict[str, JsonValue]:
    return {
        "gid": row.gid,
        "eid": row.eid,
        "kind": row.kind,
        "snd": row.snd,
        "thread": row.thread,
        "pur": row.pur,
        "iat": format_time(datetime.fromtimestamp(row.iat, UTC)),
        "exp": format_time(datetime.fromtimestamp(row.exp, UTC)),
        "seq": row.seq,
        "digest": row.digest,
        "state": state_at(row, now),
        "rcp_kid": row.rcp_kid,
    }


def _names(tags: str | None, tag: str) -> bool:
    """Whether If-None-Match names this tag; compared weakly, as for any read."""
    if tags is None:
        return False
    return tag in {item.strip().removeprefix("W/") for item in tags.split(",")}
