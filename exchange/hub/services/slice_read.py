"""A party reads its own slice of the audit log: the entries that name it, each proved, under the heads.

Not logged, as a receipt is not: an entry is shown to its own party. The statements carry the caller, so that
nothing of another party's slice can leave here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import log_entry
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.services import audit_read
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.services.slices import slice_of_row
from exchange.log.checkpoint import Checkpoint, sign_checkpoint
from exchange.log.proof import format_proof
from exchange.log.slices import path_to
from exchange.log.tree import HASH_BYTES, inclusion_proof
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.entry import Act
from exchange_schemas.errors import Malformed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.hub import Hub
    from exchange.log.tree import ReadNode

PAGE: Final = 64
# One statement: the party's slice and the heads over it are of one moment.
_MINE: Final = (
    select(slice_party, slice_state.c.head_covers, slice_state.c.head_entry, slice_state.c.head_leaves)
    .join(slice_state, slice_state.c.one == 1)
    .where(slice_party.c.party == bindparam("me"), slice_party.c.head_size > 0)
)
_ENTRIES: Final = (
    select(slice_leaf.c.idx, log_entry.c.entry)
    .join_from(slice_leaf, log_entry, slice_leaf.c.idx == log_entry.c.idx)
    .where(
        slice_leaf.c.number == bindparam("number"),
        slice_leaf.c.pos >= bindparam("start"),
        slice_leaf.c.pos < bindparam("end"),
    )
    .order_by(slice_leaf.c.pos)
)
_PLACE: Final = select(log_entry.c.idx, log_entry.c.entry).where(
    log_entry.c.entry_id == bindparam("entry_id")
)
_NOTHING: Final[dict[str, JsonValue]] = {"heads": None, "entries": [], "next": None}


def read_slice(hub: Hub, caller: Caller, start: int) -> Released:
    """The caller's slice under the newest heads entry, and its entries from number `start` on: one page.

    Every entry and the heads entry are proved in one signed tree. `heads` is null while there is none that
    knows the caller. Raises: Malformed when the slice has fewer entries than `start`.
    """
    trace = Trace(act=Act.AUDIT_READ)
    with storage_errors(), reading(hub.engine) as conn:
        body = _page(conn, hub, caller, start)
    unlogged = Answer(body=body, trace=trace, logged=False)
    return release(hub, caller, trace, lambda _unit: unlogged, reads=True)


def _page(conn: Connection, hub: Hub, caller: Caller, start: int) -> dict[str, JsonValue]:
    row = conn.execute(_MINE, {"me": caller.agency}).one_or_none()
    size = 0 if row is None else row.head_size
    if start > size:
        hint = "if you hold more than the hub shows, it was rolled back: keep your copy"
        raise Malformed("from: your slice has fewer entries than that", field="from", hint=hint)
    if row is None:
        return dict(_NOTHING)
    # After the heads: the tree has them.
    tree = audit_read.head(conn)
    read = audit_read.node_source(conn, tree.size)
    note = sign_checkpoint(Checkpoint(hub.settings.audit_log, tree.size, tree.root()), hub.keys.audit_log)
    end = min(start + PAGE, size)
    found = conn.execute(_ENTRIES, {"number": row.number, "start": start, "end": end})
    place = conn.execute(_PLACE, {"entry_id": row.head_entry}).one()
    path = inclusion_proof(place.idx, tree.size, read)
    heads: dict[str, JsonValue] = {
        "entry": b64u(place.entry),
        "proof": format_proof(place.idx, path, note),
        **_place_under(row),
    }
    entries: list[JsonValue] = [entry_with_path(one, tree.size, read) for one in found]
    return {"heads": heads, "entries": entries, "next": None if end == size else end}


def _place_under(row: Any) -> dict[str, JsonValue]:
    """Where the party's slice is in the tree of the heads."""
    mine = slice_of_row(row)
    joined = bytes(row.head_leaves)
    leaves = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
    position = leaves.index(mine.leaf(row.head_covers))
    path: list[JsonValue] = [b64u(item) for item in path_to(position, leaves)]
    return {
        "size": mine.size,
        "salt": b64u(mine.salt),
        "position": position,
        "parties": len(leaves),
        "path": path,
    }


def entry_with_path(row: Any, size: int, read: ReadNode) -> dict[str, JsonValue]:
    """An entry, its place, and its inclusion proof in the tree of `size` leaves."""
    path: list[JsonValue] = [b64u(item) for item in inclusion_proof(row.idx, size, read)]
    return {"index": row.idx, "entry": b64u(row.entry), "path": path}
