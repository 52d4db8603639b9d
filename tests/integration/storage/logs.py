"""What the tests of the log share: reading it whole and recomputing it from its entries, and adding to it."""

import os
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, select

from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_entry, log_head, log_leaf, log_node
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
    with reading(engine) as conn:
        rows = conn.execute(
            select(log_leaf, log_entry.c.entry)
            .join_from(log_leaf, log_entry, log_leaf.c.entry_id == log_entry.c.entry_id)
            .order_by(log_leaf.c.idx)
        ).all()
        count = len(conn.execute(select(log_entry.c.entry_id)).all())
        stored = conn.execute(select(log_head.c.size, log_head.c.frontier)).one()
        nodes = {(row.level, row.idx): row.hash for row in conn.execute(select(log_node))}
    assert [row.idx for row in rows] == list(range(len(rows)))
    assert count == len(rows) == stored.size
    tree = Frontier.empty()
    for row in rows:
        assert row.leaf == leaf_hash(row.entry)
        assert row.frontier == tree.to_bytes()
        tree = tree.append(row.leaf)
    assert stored.frontier == tree.to_bytes()
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
