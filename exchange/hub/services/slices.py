"""Keeping the slices of the audit log: read the log in its order, behind the commit, and write the heads.

Requests do nothing for this: their entries are in the log, and this reads the log. States of the work:
  behind   the log has entries that are in no slice yet; `index_some` takes the next of them
  level    every entry was in its slices when this was read; `append_heads` may write a heads entry
`index_some` reads and hashes without a lock and then moves the state from one number of entries to a larger
one, by compare-and-set: of two that work at once one changes nothing, and whoever is killed has changed
nothing. `append_heads` keeps the heads and their entry in one transaction: there is never one without the
other. The lease only keeps two from doing the same work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.log import log_entry
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.services import audit_read
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import HUB
from exchange.hub.services.release import Answer, Released, Trace, release_admin
from exchange.hub.services.turns import Turn
from exchange.hub.services.unit import Unit
from exchange.log.slices import SALT_BYTES, Heads, Slice, leaves_of, parties_of
from exchange.log.tree import Frontier, root_of
from exchange_schemas.entry import Act, ts_of

BATCH: Final = 512
"""Entries taken at once: enough that a commit is worth it, few enough that no request waits for long."""
LEASE_S: Final = 30
LOOKED_AT: Final = 64
_STATE: Final = select(slice_state)
_NEXT: Final = (
    select(log_entry.c.idx, log_entry.c.leaf, log_entry.c.entry)
    .where(log_entry.c.idx >= bindparam("start"), log_entry.c.idx < bindparam("end"))
    .order_by(log_entry.c.idx)
)
_PARTIES: Final = select(slice_party).where(slice_party.c.party.in_(bindparam("parties", expanding=True)))
_COUNT: Final = select(func.count()).select_from(slice_party)
_MOVE: Final = (
    update(slice_state)
    .where(slice_state.c.one == 1, slice_state.c.covers == bindparam("start"))
    .values(covers=bindparam("end"))
)
_GROW: Final = (
    update(slice_party)
    .where(slice_party.c.party == bindparam("of"))
    .values(size=bindparam("to_size"), frontier=bindparam("to_frontier"))
)
_CHANGED: Final = slice_party.c.size != slice_party.c.head_size
_SOME_CHANGED: Final = select(slice_party.c.party).where(_CHANGED).limit(1)
_KEEP: Final = (
    update(slice_party)
    .where(_CHANGED)
    .values(head_size=slice_party.c.size, head_frontier=slice_party.c.frontier)
)
_HEADS: Final = (
    update(slice_state)
    .where(slice_state.c.one == 1, slice_state.c.covers == bindparam("at"))
    .values(head_covers=bindparam("at"), head_entry=bindparam("entry"), head_leaves=bindparam("leaves"))
)
_TURN: Final = Turn(slice_state, first=None)


@dataclass(slots=True)
class _Party:
    """A party while its slice grows. `number` is its place among all; `added`: the new leaves' indexes."""

    number: int
    tree: Frontier
    salt: bytes | None
    added: list[int]
    leaves: list[bytes]


def take_lease(hub: Hub, holder: str) -> bool:
    """Take or keep the turn for some seconds; False while somebody else has it.

    Raises: Unavailable, AuditUnavailable.
    """
    return _TURN.take(hub.engine, holder, int(hub.clock().timestamp()), LEASE_S)


def has_work(hub: Hub, *, heads: bool) -> bool:
    """Whether an entry is in no slice yet; with `heads` also whether a slice changed since the last heads.

    Raises: Unavailable, AuditUnavailable.
    """
    with storage_errors(), reading(hub.engine) as conn:
        if conn.execute(_STATE).one().covers < audit_read.size(conn):
            return True
        return heads and conn.execute(_SOME_CHANGED).first() is not None


def uncovered_since(hub: Hub) -> datetime | None:
    """The time of the first entry about a party that no heads entry covers; None when there is none.

    Looked for among the first entries that none covers: further on there may be one all the same.
    Raises: Unavailable, AuditUnavailable.
    """
    with storage_errors(), reading(hub.engine) as conn:
        start: int = conn.execute(_STATE).one().head_covers
        rows = conn.execute(_NEXT, {"start": start, "end": start + LOOKED_AT}).all()
    first = next((bytes(row.entry) for row in rows if parties_of(bytes(row.entry))), None)
    return None if first is None else datetime.fromtimestamp(ts_of(first) // 1_000_000, UTC)


def index_some(hub: Hub, most: int = BATCH) -> int:
    """Put up to `most` entries into the slices of their parties; gives how many, 0 when there are none.

    Raises: Unavailable, AuditUnavailable.
    """
    with storage_errors(), reading(hub.engine) as conn:
        start: int = conn.execute(_STATE).one().covers
        end: int = min(audit_read.size(conn), start + most)
        if end <= start:
            return 0
        parties = _grown(conn, start, end)
    rows = [
        {"number": party.number, "pos": party.tree.size + at, "idx": idx}
        for party in parties.values()
        for at, idx in enumerate(party.added)
    ]
    trees = {name: party.tree.extend(party.leaves) for name, party in parties.items()}
    with storage_errors(), writing(hub.engine) as conn:
        if conn.execute(_MOVE, {"start": start, "end": end}).rowcount != 1:
            # Somebody else did it meanwhile.
            return end - start
        _write(conn, hub, parties, trees)
        if rows:
            conn.execute(insert(slice_leaf), rows)
    return end - start


def _grown(conn: Connection, start: int, end: int) -> dict[str, _Party]:
    """The parties of these entries, with what each gets."""
    gets: dict[str, tuple[list[int], list[bytes]]] = {}
    for row in conn.execute(_NEXT, {"start": start, "end": end}):
        for name in parties_of(bytes(row.entry)):
            indexes, leaves = gets.setdefault(name, ([], []))
            indexes.append(row.idx)
            leaves.append(bytes(row.leaf))
    if not gets:
        return {}
    known: dict[str, Any] = {row.party: row for row in conn.execute(_PARTIES, {"parties": list(gets)})}
    number = conn.execute(_COUNT).scalar_one()
    found = {}
    for name, (indexes, leaves) in gets.items():
        if name in known:
            old = known[name]
            tree = Frontier.from_bytes(bytes(old.frontier), size=old.size)
            found[name] = _Party(old.number, tree, bytes(old.salt), indexes, leaves)
        else:
            found[name] = _Party(number, Frontier.empty(), None, indexes, leaves)
            number += 1
    return found


def _write(conn: Connection, hub: Hub, parties: Mapping[str, _Party], trees: Mapping[str, Frontier]) -> None:
    new = [
        {
            "party": name,
            "number": party.number,
            "salt": hub.random(SALT_BYTES),
            "size": trees[name].size,
            "frontier": trees[name].to_bytes(),
            "head_size": 0,
            "head_frontier": b"",
        }
        for name, party in parties.items()
        if party.salt is None
    ]
    old = [
        {"of": name, "to_size": trees[name].size, "to_frontier": trees[name].to_bytes()}
        for name, party in parties.items()
        if party.salt is not None
    ]
    if new:
        conn.execute(insert(slice_party), new)
    if old:
        conn.execute(_GROW, old)


def append_heads(hub: Hub) -> Released | None:
    """Write a heads entry over the slices as they are; None when none of them has changed since the last.

    None also when somebody else moved the slices meanwhile. Raises: Unavailable, AuditUnavailable.
    """
    with storage_errors(), reading(hub.engine) as conn:
        if conn.execute(_SOME_CHANGED).first() is None:
            return None
        # A thousand roots take longer than a request should wait: they are made before the lock.
        covers = conn.execute(_STATE).one().covers
        leaves = leaves_of(covers, map(_slice_now, conn.execute(select(slice_party))))
    tag = Heads(covers, root_of(leaves)).to_tag()
    trace = Trace(act=Act.SLICE_HEADS, pol=tag)

    def work(unit: Unit) -> Answer:
        row = {"at": covers, "entry": unit.entry_id, "leaves": b"".join(leaves)}
        if unit.conn.execute(_HEADS, row).rowcount != 1:
            return Answer({}, trace, logged=False)
        unit.conn.execute(_KEEP)
        return Answer({}, trace)

    released = release_admin(hub, HUB, trace, work)
    return None if released.receipt is None else released


def bring_level(hub: Hub) -> None:
    """Put every entry into its slices, and write heads over them, at once: for a hub that nobody serves.

    Raises: Unavailable, AuditUnavailable.
    """
    while index_some(hub):
        pass
    append_heads(hub)


def _slice_now(row: Any) -> Slice:
    tree = Frontier.from_bytes(bytes(row.frontier), size=row.size)
    return Slice(row.party, tree.size, tree.root(), bytes(row.salt))


def slice_of_row(row: Any) -> Slice:
    """A party's slice under the newest heads entry, from its row."""
    tree = Frontier.from_bytes(bytes(row.head_frontier), size=row.head_size)
    return Slice(row.party, tree.size, tree.root(), bytes(row.salt))
