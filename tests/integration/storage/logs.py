"""What the tests of the log share: reading it whole and recomputing it from its entries, and adding to it."""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, insert, select, text

from exchange.hub.db import open_engine, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services import audit_read
from exchange.hub.services.audit_append import Appended, Leaf, append, microseconds
from exchange.hub.services.hub import Hub
from exchange.log.tree import Frontier, leaf_hash, root_of
from exchange_schemas.codec import b64u


@dataclass(frozen=True)
class StoredLog:
    """`ids` and `entries` in the order of the log."""

    ids: list[str]
    entries: list[bytes]
    head: Frontier


def check_log(hub: Hub) -> StoredLog:
    """Read the whole log and recompute every leaf, frontier, node and the head from the entries."""
    return check_log_in(hub.engine)


def check_log_in(engine: Engine) -> StoredLog:
    """The same, of the log in this database."""
    # One state of all: what a killed worker had sent off may still be committed between two readings.
    level = "REPEATABLE READ" if engine.dialect.name == "postgresql" else "SERIALIZABLE"
    with engine.connect().execution_options(isolation_level=level) as conn, conn.begin():
        rows = conn.execute(select(log_entry).order_by(log_entry.c.idx)).all()
        head = audit_read.head(conn)
        nodes = {(row.level, row.idx): row.hash for row in conn.execute(select(log_node))}
    assert [row.idx for row in rows] == list(range(len(rows)))
    tree, latest_us = Frontier.empty(), 0
    for row in rows:
        assert row.leaf == leaf_hash(row.entry)
        assert row.frontier == tree.to_bytes()
        tree = tree.append(row.leaf)
        latest_us = max(latest_us, json.loads(row.entry)["ts"])
        assert row.latest_us == latest_us
    assert head == tree
    leaves = [row.leaf for row in rows]
    expected = {
        (level, n): root_of(leaves[n << level : (n + 1) << level])
        for level in (8, 16, 24)
        for n in range(len(leaves) >> level)
    }
    assert nodes == expected
    return StoredLog([row.entry_id for row in rows], [row.entry for row in rows], tree)


def put(hub: Hub, number: int, *, shift: timedelta = timedelta()) -> Appended:
    """Append one small entry with a time of its own."""
    now = hub.clock()
    ts_us = microseconds(now + shift)
    entry = f'{{"n":{number},"ts":{ts_us}}}'.encode()
    with writing(hub.engine) as conn:
        return append(conn, [Leaf(b64u(os.urandom(16)), entry, ts_us)], now=now)[0]


def place(hub: Hub, index: int, **values: Any) -> None:
    """Write a row of the log as whoever owns the tables: no trigger gives it its place."""
    row = {"entry_id": f"{index:022}", "leaf": leaf_hash(b"{}"), "frontier": b"", "entry": b"{}"} | values
    engine = open_engine(hub.settings.owner_database_url or hub.settings.database_url)
    trigger = "ALTER TABLE log_entry {} TRIGGER log_entry_append"
    try:
        with writing(engine) as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text(trigger.format("DISABLE")))
            conn.execute(insert(log_entry).values(idx=index, latest_us=0, **row))
            if conn.dialect.name == "postgresql":
                conn.execute(text(trigger.format("ENABLE ALWAYS")))
    finally:
        engine.dispose()
