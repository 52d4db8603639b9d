"""Appending to the audit log, inside the transaction that makes the answer: the one place that writes it.

SQLite: the write lock is held, the frontier is extended here and set only if nobody else set it. PostgreSQL:
the entry is inserted and the database's own trigger does the rest, before the commit. Whatever fails here
fails the whole transaction: there is no queue and no second try.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from exchange.hub.db import is_busy
from exchange.log.tree import Frontier, leaf_hash, node_hash
from exchange_schemas.errors import AuditUnavailable

CLOCK_SLACK_US: Final = 30_000_000
"""How far an entry's `ts` may be from the database's clock, and before the latest entry's."""
_TILE_HEIGHT: Final = 8

_HEAD: Final = text("SELECT size, frontier, ts_us FROM log_head WHERE one = 1")
_ENTRY: Final = text("INSERT INTO log_entry (entry_id, entry) VALUES (:entry_id, :entry)")
_LEAF: Final = text(
    "INSERT INTO log_leaf (idx, entry_id, leaf, frontier) VALUES (:idx, :entry_id, :leaf, :frontier)"
)
_NODE: Final = text("INSERT INTO log_node (level, idx, hash) VALUES (:level, :idx, :hash)")
_SET_HEAD: Final = text(
    "UPDATE log_head SET size = :size + 1, frontier = :after, ts_us = max(ts_us, :ts_us)"
    " WHERE one = 1 AND size = :size AND frontier = :before"
)
_APPEND_NOW: Final = text("SET CONSTRAINTS log_entry_append IMMEDIATE")
_PLACE: Final = text("SELECT idx, frontier FROM log_leaf WHERE entry_id = :entry_id")


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry lies: its index, its leaf hash, and the frontier before it (of size `index`)."""

    index: int
    leaf: bytes
    before: Frontier


def append(conn: Connection, entry_id: str, entry: bytes, *, ts_us: int, now: datetime) -> Appended:
    """Give the entry its place in the log; nothing may be written in the transaction after this.

    `ts_us` is the entry's own `ts`, `now` the clock at this moment (PostgreSQL uses the database's).
    Raises: AuditUnavailable when the log cannot take the entry. A busy database's error passes through.
    """
    try:
        if conn.dialect.name == "sqlite":
            return _append_sqlite(conn, entry_id, entry, ts_us, now)
        return _append_postgres(conn, entry_id, entry)
    except DBAPIError as error:
        if is_busy(error):
            raise
        raise AuditUnavailable("the audit log cannot be written, so nothing is answered") from error


def _append_sqlite(conn: Connection, entry_id: str, entry: bytes, ts_us: int, now: datetime) -> Appended:
    size, edge, latest_us = conn.execute(_HEAD).one()
    if abs(ts_us - microseconds(now)) > CLOCK_SLACK_US or ts_us < latest_us - CLOCK_SLACK_US:
        raise AuditUnavailable("the clock is not the audit log's, so nothing is answered")
    before = Frontier.from_bytes(edge, size=size)
    leaf = leaf_hash(entry)
    conn.execute(_ENTRY, {"entry_id": entry_id, "entry": entry})
    conn.execute(_LEAF, {"idx": size, "entry_id": entry_id, "leaf": leaf, "frontier": edge})
    for level, index, node in _whole_tiles(before, leaf):
        conn.execute(_NODE, {"level": level, "idx": index, "hash": node})
    after = before.append(leaf).to_bytes()
    head = {"size": size, "before": edge, "after": after, "ts_us": ts_us}
    if conn.execute(_SET_HEAD, head).rowcount != 1:
        raise AuditUnavailable("the audit log was written by somebody else, so nothing is answered")
    return Appended(size, leaf, before)


def _whole_tiles(before: Frontier, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """The complete subtrees of levels 8, 16, 24… that this leaf completes, as (level, index, hash)."""
    found: list[tuple[int, int, bytes]] = []
    if ~before.size & 0xFF:
        return found
    node, carry, level = leaf, before.size, 0
    for left in reversed(before.hashes):
        if not carry & 1:
            break
        node, carry, level = node_hash(left, node), carry >> 1, level + 1
        if level % _TILE_HEIGHT == 0:
            found.append((level, carry, node))
    return found


def _append_postgres(conn: Connection, entry_id: str, entry: bytes) -> Appended:
    conn.execute(_ENTRY, {"entry_id": entry_id, "entry": entry})
    # The trigger runs now, at the very end: from here to the commit nobody else appends.
    conn.execute(_APPEND_NOW)
    place = conn.execute(_PLACE, {"entry_id": entry_id}).one_or_none()
    if place is None:
        raise AuditUnavailable("the audit log did not take the entry, so nothing is answered")
    return Appended(place.idx, leaf_hash(entry), Frontier.from_bytes(place.frontier, size=place.idx))


def microseconds(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    whole = int(when.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + when.microsecond
