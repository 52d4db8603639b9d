"""Appending to the audit log, inside the transaction that makes the answer: the one place that writes it.

The tree of the log so far follows from its last entry: the frontier before it, and its leaf. SQLite: the
write lock is held, and the entry gets the next place, which nobody else can have. PostgreSQL: the database's
own trigger gives the place. From the trigger to the commit nobody else can append, so the commit is sent
along with the entry: nothing waits for this program in between. Whatever fails here fails the whole
transaction: there is no queue and no second try.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, text

from exchange.hub.db import busy, is_busy
from exchange.hub.models.log import log_entry
from exchange.hub.sql import Call, Statement, together
from exchange.log.tree import Frontier, leaf_hash, node_hash
from exchange_schemas.errors import AuditUnavailable, Malformed

CLOCK_SLACK_US: Final = 30_000_000
"""How far an entry's `ts` may be from the database's clock, and before the latest entry's."""
_TILE_HEIGHT: Final = 8

# On the drivers' own cursors: SQLAlchemy's share of a small statement is larger than the database's.
_LAST: Final = "SELECT idx, leaf, latest_us, frontier FROM log_entry ORDER BY idx DESC LIMIT 1"
_ENTRY: Final = (
    "INSERT INTO log_entry (idx, entry_id, leaf, latest_us, frontier, entry) VALUES (?, ?, ?, ?, ?, ?)"
)
_NODE: Final = "INSERT INTO log_node (level, idx, hash) VALUES (?, ?, ?)"
# Without its trigger the database refuses an entry, which has no place then.
_INSERT: Final = Statement(
    text(
        "INSERT INTO log_entry (entry_id, entry) VALUES (:entry_id, :entry) RETURNING idx, frontier"
    ).columns(log_entry.c.idx, log_entry.c.frontier)
)
_COMMIT: Final = Statement(text("COMMIT"))
_Node = tuple[int, int, bytes]
"""A complete subtree: level, index, hash."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry to be appended: its id, its bytes, its own `ts` in microseconds."""

    entry_id: str
    entry: bytes
    ts_us: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry lies: its index, its leaf hash, and the frontier before it (of size `index`)."""

    index: int
    leaf: bytes
    before: Frontier


def append(
    conn: Connection,
    leaves: Sequence[Leaf],
    *,
    now: datetime,
    beside: Sequence[Call] = (),
    ends: bool = False,
) -> list[Appended]:
    """Give the entries, one at least, their places in the log, in this order.

    Nothing may be written in the transaction after this. `beside`: what is written with them, before them.
    `now`: the clock at this moment (PostgreSQL uses the database's). `ends`: the transaction is to be
    committed, and on PostgreSQL it is when this returns.
    Raises: AuditUnavailable when the log cannot take them; Unavailable when the database is busy.
    """
    if not conn.in_transaction():
        # The driver alone would commit each statement by itself.
        raise RuntimeError("an entry is appended inside the transaction that makes the answer")
    driver = conn.connection.driver_connection
    try:
        if isinstance(driver, sqlite3.Connection):
            if beside:
                together(conn, *beside)
            return _append_sqlite(driver.cursor(), leaves, now)
        return _append_postgres(conn, leaves, beside, ends=ends)
    except (sqlite3.Error, psycopg.Error) as error:
        if is_busy(error):
            raise busy() from error
        raise AuditUnavailable("the audit log cannot be written, so nothing is answered") from error
    except Malformed as error:
        # A head that is no frontier: not the caller's fault, and not to be answered as if it were.
        raise AuditUnavailable("the audit log is damaged, so nothing is answered") from error


def _append_sqlite(cursor: sqlite3.Cursor, leaves: Sequence[Leaf], now: datetime) -> list[Appended]:
    last = cursor.execute(_LAST).fetchone()
    if last is None:
        tree, latest_us = Frontier.empty(), 0
    else:
        index, hash_, latest_us, before = last
        tree = Frontier.ending_with(hash_, before, index=index)
    # Exact to the microsecond is nothing that half a minute's slack asks for.
    now_us = int(now.timestamp() * 1_000_000)
    placed: list[Appended] = []
    nodes: list[_Node] = []
    rows: list[tuple[object, ...]] = []
    for leaf in leaves:
        if abs(leaf.ts_us - now_us) > CLOCK_SLACK_US or leaf.ts_us < latest_us - CLOCK_SLACK_US:
            raise AuditUnavailable("the clock is not the audit log's, so nothing is answered")
        if placed:
            tree = tree.append(placed[-1].leaf)
        place = Appended(tree.size, leaf_hash(leaf.entry), tree)
        placed.append(place)
        if not ~tree.size & 0xFF:
            nodes += _whole_tiles(tree, place.leaf)
        latest_us = max(latest_us, leaf.ts_us)
        rows.append((tree.size, leaf.entry_id, place.leaf, latest_us, tree.packed, leaf.entry))
    cursor.executemany(_ENTRY, rows)
    if nodes:
        cursor.executemany(_NODE, nodes)
    return placed


def _append_postgres(
    conn: Connection, leaves: Sequence[Leaf], beside: Sequence[Call], *, ends: bool
) -> list[Appended]:
    # One round trip. What follows a statement that fails is not run, the commit least of all.
    calls = [_INSERT.call(entry_id=leaf.entry_id, entry=leaf.entry) for leaf in leaves]
    ending = [_COMMIT.call()] if ends else []
    done = together(conn, *beside, *calls, *ending)[len(beside) :]
    return [_appended(leaf, one.rows[0]) for leaf, one in zip(leaves, done, strict=False)]


def _appended(leaf: Leaf, place: Any) -> Appended:
    before = Frontier.from_bytes(bytes(place.frontier), size=place.idx)
    return Appended(place.idx, leaf_hash(leaf.entry), before)


def _whole_tiles(before: Frontier, leaf: bytes) -> list[_Node]:
    """The complete subtrees of levels 8, 16, 24… that the last leaf of a tile completes."""
    found: list[_Node] = []
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
