"""Appending to the key directory: one signed event at a time, by the rules of `exchange.directory` alone.

The event, its leaf, and the rows that repeat what it changed are written in the caller's transaction, so that
they commit with their audit entry or not at all. Nothing here may decide for itself whether an event is
lawful, and nothing may change an event that is in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert, select, update

from exchange.directory.replay import leaf_data
from exchange.directory.rules import Change, Scene, change_of, subject_of
from exchange.hub.models.directory import (
    directory_agency,
    directory_event,
    directory_head,
    directory_key,
    directory_node,
    governance,
)
from exchange.hub.services.agreements import agreements_in, position_of_agreements
from exchange.hub.services.directory_read import (
    governance_of,
    head,
    key_in,
    operators_json,
    state_of,
    tile,
)
from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, split_tile
from exchange.log.tree import leaf_hash, root_of
from exchange_schemas.codec import encode
from exchange_schemas.event import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from exchange.directory.state import AgencyState, Governance, KeyState
    from exchange.hub.services.unit import Unit
    from exchange.log.tree import Frontier
    from exchange_keys.jws import Signed
    from exchange_schemas.ids import AgencyId, Kid

_LOCK: Final = select(directory_head.c.size).with_for_update()
_SET_HEAD: Final = update(directory_head).where(directory_head.c.one == 1)
_SET_GOVERNANCE: Final = update(governance).where(governance.c.one == 1)
_SET_AGENCY: Final = update(directory_agency).where(directory_agency.c.agency == bindparam("of"))
_SET_KEY: Final = update(directory_key).where(directory_key.c.kid == bindparam("of"))


def append_event(unit: Unit, signed: Signed, keys: Mapping[Kid, bytes]) -> int:
    """Append one event to the directory and give its index; `keys` are the raw new keys that it names.

    Raises: the errors of `exchange.directory.rules`, when the event may not follow what is there.
    """
    conn = unit.conn
    # One at a time: who appends next must see what this event changed. SQLite holds its write lock already.
    conn.execute(_LOCK).one()
    tree = head(conn)
    present = governance_of(conn)
    subject = subject_of(read_event(signed.payload))
    agency = None if subject is None else state_of(conn, subject)
    scene = Scene(
        origin=unit.hub.settings.origin,
        # This hub is the one that makes the first event.
        pin=None,
        governance=present,
        agency=agency,
        kid_taken=lambda kid: key_in(conn, kid) is not None,
        now=unit.now,
        agreements=agreements_in(conn, position_of_agreements(conn)),
    )
    change = change_of(signed, keys, scene)
    _write_event(conn, tree, signed, subject, unit.now)
    _write_change(conn, change, present, agency, tree.size)
    return tree.size


# -- the log -------------------------------------------------------------------------------------------


def _write_event(
    conn: Connection, tree: Frontier, signed: Signed, subject: AgencyId | None, now: datetime
) -> None:
    data = leaf_data(signed)
    leaf = leaf_hash(data)
    grown = tree.append(leaf)
    row = {
        "idx": tree.size,
        "event": data,
        "agency": subject,
        "leaf": leaf,
        "root": grown.root(),
        "recorded": int(now.timestamp()),
    }
    conn.execute(insert(directory_event), row)
    conn.execute(_SET_HEAD, {"size": grown.size, "frontier": grown.to_bytes()})
    _write_nodes(conn, grown.size)


def _write_nodes(conn: Connection, size: int) -> None:
    """Keep the roots of the subtrees of levels 8, 16 and 24 that the newest leaf completed."""
    level = TILE_HEIGHT
    while size % (1 << level) == 0:
        index = (size >> level) - 1
        below = tile(conn, Tile(level // TILE_HEIGHT - 1, index))
        node = root_of(split_tile(below, TILE_WIDTH))
        conn.execute(insert(directory_node), {"level": level, "idx": index, "hash": node})
        level += TILE_HEIGHT


# -- what an event changed -----------------------------------------------------------------------------


def _write_change(
    conn: Connection, change: Change, present: Governance | None, before: AgencyState | None, index: int
) -> None:
    if change.governance is not None:
        _write_governance(conn, change.governance, first=present is None)
    if change.agreements is not None:
        conn.execute(_SET_HEAD, {"agreements": index})
    if change.agency is not None:
        _write_agency(conn, change.agency, before)
        _write_keys(conn, change.agency, before, index)


def _write_governance(conn: Connection, after: Governance, *, first: bool) -> None:
    row = {
        "k": after.k,
        "operators": encode(operators_json(after)),
        "since": int(after.since.timestamp()),
    }
    if first:
        conn.execute(insert(governance), {"one": 1, **row})
    else:
        conn.execute(_SET_GOVERNANCE, row)


def _write_agency(conn: Connection, after: AgencyState, before: AgencyState | None) -> None:
    standing = {
        "status": after.status.value,
        "standing_since": int(after.standing_since.timestamp()),
        "root": after.root,
    }
    if before is not None:
        conn.execute(_SET_AGENCY, {"of": after.agency, **standing})
        return
    row = {
        "agency": after.agency,
        "name": after.name,
        "kind": after.kind,
        "country": after.country,
        "public_authority": after.public_authority,
        "contact": after.contact,
        **standing,
    }
    conn.execute(insert(directory_agency), row)


def _write_keys(conn: Connection, after: AgencyState, before: AgencyState | None, index: int) -> None:
    known: Mapping[Kid, KeyState] = {} if before is None else before.keys
    for key in after.keys.values():
        old = known.get(key.kid)
        if old is None:
            conn.execute(insert(directory_key), _key_row(key, index))
        elif old != key:
            conn.execute(_SET_KEY, {"of": key.kid, "status": key.status.value, "until": _seconds(key.until)})


def _key_row(key: KeyState, index: int) -> dict[str, object]:
    return {
        "kid": key.kid,
        "agency": key.agency,
        "use": key.use,
        "alg": key.public.alg,
        "raw": key.public.raw,
        "status": key.status.value,
        "nbf": _seconds(key.nbf),
        "exp": _seconds(key.exp),
        "until": _seconds(key.until),
        "holder": key.holder,
        "event_idx": index,
    }


def _seconds(when: datetime | None) -> int | None:
    return None if when is None else int(when.timestamp())
