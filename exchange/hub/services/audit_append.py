"""Appending to the audit log, inside the transaction that makes the answer: the one place that writes it.

SQLite: the write lock is held, the frontier is extended here and set only if nobody else set it. PostgreSQL:
the entry is inserted and the database's own trigger does the rest, before the commit. Whatever fails here
fails the whole transaction: there is no queue and no second try.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

import psycopg
from sqlalchemy import Connection

from exchange.hub.db import busy, is_busy
from exchange.log.tree import Frontier, leaf_hash, node_hash
from exchange_schemas.errors import AuditUnavailable, Malformed

CLOCK_SLACK_US: Final = 30_000_000
"""How far an entry's `ts` may be from the database's clock, and before the latest entry's."""
_TILE_HEIGHT: Final = 8

# On the drivers' own cursors: SQLAlchemy's share of a small statement is larger than the database's.
_HEAD: Final = "SELECT size, frontier, ts_us FROM log_head WHERE one = 1"
_ENTRY: Final = "INSERT INTO log_entry (entry_id, entry) VALUES (?, ?)"
_LEAF: Final = "INSERT INTO log_leaf (idx, entry_id, leaf, frontier) VALUES (?, ?, ?, ?)"
_NODE: Final = "INSERT INTO log_node (level, idx, hash) VALUES (?, ?, ?)"
_SET_HEAD: Final = (
    "UPDATE log_head SET size = size + 1, frontier = ?, ts_us = max(ts_us, ?)"
    " WHERE one = 1 AND size = ? AND frontier = ?"
)
_INSERT: Final = "INSERT INTO log_entry (entry_id, entry) VALUES (%s, %s)"
_APPEND_NOW: Final = "SET CONSTRAINTS log_entry_append IMMEDIATE"
_PLACE: Final = "SELECT idx, frontier FROM log_leaf WHERE entry_id = %s"


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry lies: its index, its leaf hash, and the frontier before it (of size `index`)."""

    index: int
    leaf: bytes
    before: Frontier


def append(conn: Connection, entry_id: str, entry: bytes, *, ts_us: int, now: datetime) -> Appended:
    """Give the entry its place in the log; nothing may be written in the transaction after this.

    `ts_us` is the entry's own `ts`, `now` the clock at this moment (PostgreSQL uses the database's).
    Raises: AuditUnavailable when the log cannot take the entry; Unavailable when the database is busy.
    """
    if not conn.in_transaction():
        # The driver alone would commit each statement by itself.
        raise RuntimeError("an entry is appended inside the transaction that makes the answer")
    driver = conn.connection.driver_connection
    try:
        if isinstance(driver, sqlite3.Connection):
            return _append_sqlite(driver.cursor(), entry_id, entry, ts_us, now)
        return _append_postgres(cast("psycopg.Connection", driver), entry_id, entry)
    except (sqlite3.Error, psycopg.Error) as error:
        if is_busy(error):
            raise busy() from error
        raise AuditUnavailable("the audit log cannot be written, so nothing is answered") from error
    except Malformed as error:
        # A head that is no frontier: not the caller's fault, and not to be answered as if it were.
        raise AuditUnavailable("the audit log is damaged, so nothing is answered") from error


def _append_sqlite(
    cursor: sqlite3.Cursor, entry_id: str, entry: bytes, ts_us: int, now: datetime
) -> Appended:
    head = cursor.execute(_HEAD).fetchone()
    if head is None:
        raise AuditUnavailable("the audit log has no head, so nothing is answered")
    size, edge, latest_us = head
    if abs(ts_us - microseconds(now)) > CLOCK_SLACK_US or ts_us < latest_us - CLOCK_SLACK_US:
        raise AuditUnavailable("the clock is not the audit log's, so nothing is answered")
    before = Frontier.from_bytes(edge, size=size)
    leaf = leaf_hash(entry)
    cursor.execute(_ENTRY, (entry_id, entry))
    cursor.execute(_LEAF, (size, entry_id, leaf, edge))
    cursor.executemany(_NODE, _whole_tiles(before, leaf))
    cursor.execute(_SET_HEAD, (before.append(leaf).to_bytes(), ts_us, size, edge))
    if cursor.rowcount != 1:
        raise AuditUnavailable("the audit log was written by somebody else, so nothing is answered")
    return Appended(size, leaf, before)


def _append_postgres(driver: psycopg.Connection, entry_id: str, entry: bytes) -> Appended:
    # One round trip. The trigger runs in its second statement: from there to the commit nobody else appends.
    with driver.cursor() as cursor, driver.pipeline():
        cursor.execute(_INSERT, (entry_id, entry))
        cursor.execute(_APPEND_NOW)
        cursor.execute(_PLACE, (entry_id,))
        place = cursor.fetchone()
    if place is None:
        raise AuditUnavailable("the audit log did not take the entry, so nothing is answered")
    return Appended(place[0], leaf_hash(entry), Frontier.from_bytes(bytes(place[1]), size=place[0]))


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


def microseconds(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    whole = int(when.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + when.microsecond
