"""Notices: sharing on vital interest is announced to every commission, in the transaction that registers it.

The commissions become parties of the consent's audit entry as well: each can prove with the entry's own
receipt what was announced, and an auditor sees when one was left out. Nothing of a child is in a notice.
Whoever admits a commission is refused where an entry would have no room for it: `commissions-told`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, select

from exchange.hub.models.directory import directory_agency
from exchange.hub.models.notices import notice
from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_schemas.codec import JsonValue, decode, encode, format_time
from exchange_schemas.entry import Act
from exchange_schemas.errors import Conflict
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_schemas.consent import Consent

LISTING: Final = "notices"
MOST: Final = LIMITS.parties_per_entry - 3
"""So many commissions have room in an entry beside issuer, recipient and the courier who brought it."""
_COMMISSIONS: Final = (
    select(directory_agency.c.agency)
    .where(directory_agency.c.kind == "commission", directory_agency.c.status == "active")
    .order_by(directory_agency.c.agency)
    # No more take part (`check_room`); a directory from before that rule must not stop a sharing in danger.
    .limit(MOST)
)
_TAKING_PART: Final = (
    select(func.count())
    .select_from(directory_agency)
    .where(directory_agency.c.kind == "commission", directory_agency.c.status == "active")
)
_IS_ONE: Final = select(directory_agency.c.kind == "commission").where(
    directory_agency.c.agency == bindparam("of")
)
_PAGE: Final = (
    select(notice)
    .where(notice.c.agency == bindparam("me"), notice.c.position > bindparam("after"))
    .order_by(notice.c.position)
    .limit(bindparam("most"))
)


def commissions(conn: Connection) -> list[AgencyId]:
    """The commissions that take part at present."""
    return [AgencyId(name) for name in conn.execute(_COMMISSIONS).scalars()]


def check_room(conn: Connection, agency: AgencyId) -> None:
    """That each commission can be told of a sharing on vital interest, now that `agency` takes part as well.

    Raises: Conflict; the directory's head is locked by then, so that two admissions cannot both be the last.
    """
    is_commission = conn.execute(_IS_ONE, {"of": agency}).scalar_one()
    if is_commission and conn.execute(_TAKING_PART).scalar_one() > MOST:
        raise Conflict(
            f"{MOST} commissions take part already, and each must be told of every sharing on vital interest",
            field="kind",
            rule="commissions-told",
            hint="suspend or expel a commission that takes no part any more",
        )


def announce(unit: Unit, item: Consent, positions: Mapping[AgencyId, int]) -> None:
    """Keep one notice for each commission, at its position among the commission's own lists."""
    about = {
        "iss": item.iss,
        "rcp": item.rcp,
        "purposes": [*item.pur],
        "fields": [*item.fields],
    }
    rows = [
        {
            "agency": agency,
            "position": position,
            "entry_id": unit.entry_id,
            "about": encode(about),
            "at": int(unit.now.timestamp()),
            "expires": int(item.exp.timestamp()),
        }
        for agency, position in positions.items()
    ]
    if rows:
        unit.conn.execute(insert(notice), rows)


def listing(hub: Hub, caller: Caller, *, cursor: str | None, limit: int) -> Released:
    """A page of what was announced to the caller, oldest first; `next` is where to go on, also later.

    Raises: Malformed for a cursor that is not of this listing and caller.
    """
    origin = hub.settings.origin
    after = read_cursor(cursor, origin, LISTING, caller.agency)
    trace = Trace(act=Act.NOTICE_LIST)

    def work(unit: Unit) -> Answer:
        rows = unit.conn.execute(_PAGE, {"me": caller.agency, "after": after, "most": limit + 1}).all()
        page = rows[:limit]
        last = page[-1].position if page else after
        body: dict[str, JsonValue] = {
            "items": [_item(row) for row in page],
            "next": write_cursor(origin, LISTING, caller.agency, last),
            "more": len(rows) > limit,
        }
        return Answer(body=body, trace=trace)

    return release(hub, caller, trace, work, reads=True)


def _item(row: Row[Any]) -> dict[str, JsonValue]:
    about = decode(bytes(row.about), limit=LIMITS.consent_bytes)
    return {
        "entry": row.entry_id,
        "at": format_time(datetime.fromtimestamp(row.at, UTC)),
        "exp": format_time(datetime.fromtimestamp(row.expires, UTC)),
        "iss": about["iss"],
        "rcp": about["rcp"],
        "purposes": about["purposes"],
        "fields": about["fields"],
    }


def counts(parties: Sequence[AgencyId], told: Sequence[AgencyId]) -> dict[str, int]:
    """How many positions each agency needs: one for the consent, one for the notice."""
    found: dict[str, int] = {}
    for agency in (*parties, *told):
        found[agency] = found.get(agency, 0) + 1
    return found
