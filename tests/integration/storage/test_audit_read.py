"""Reading the log back: checkpoints, tiles and bundles are those of the tree, and there are no others."""

from collections.abc import Sequence

import pytest

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.log import log_node
from exchange.hub.services.audit_read import bundle, bundles, node_source, tile
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import audit_log
from exchange.hub.services.witnessed import checkpoint
from exchange.log.checkpoint import open_checkpoint, vkey
from exchange.log.tiles import split_bundle
from exchange.log.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from exchange_schemas.errors import LogIncomplete, NotFound
from tests.integration.storage.logs import put

SIZE = 70_000


@pytest.fixture
def long_log(hub: Hub) -> tuple[Hub, list[bytes]]:
    """A hub whose log was filled as its owner, in bulk; its entries in order."""
    entries = [f'{{"n":{n}}}'.encode() for n in range(SIZE)]
    leaves = [leaf_hash(entry) for entry in entries]
    ids = [f"{n:022}" for n in range(SIZE)]
    nodes = [
        {"level": level, "idx": n, "hash": root_of(leaves[n << level : (n + 1) << level])}
        for level in (8, 16)
        for n in range(SIZE >> level)
    ]
    url = hub.settings.owner_database_url
    engine = open_engine(hub.settings.database_url if url is None else url)
    with writing(engine) as conn:
        if not hub.settings.is_sqlite:
            conn.exec_driver_sql("ALTER TABLE log_entry DISABLE TRIGGER log_entry_append")
        # Only the frontier of the last is read.
        edges = [b""] * (SIZE - 1) + [Frontier.empty().extend(leaves[:-1]).to_bytes()]
        rows = [(n, ids[n], leaves[n], 0, edges[n], entries[n]) for n in range(SIZE)]
        if hub.settings.is_sqlite:
            conn.exec_driver_sql("INSERT INTO log_entry VALUES (?, ?, ?, ?, ?, ?)", rows)
        else:
            copy_rows(conn.connection.driver_connection, "log_entry", rows)
        conn.execute(log_node.insert(), nodes)
    engine.dispose()
    return hub, entries


def copy_rows(driver: object, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:  # type: ignore[attr-defined]
        for row in rows:
            copy.write_row(row)


def opened(hub: Hub) -> tuple[int, bytes]:
    note = checkpoint(hub, audit_log(hub))
    key = vkey(hub.settings.audit_log, hub.keys.audit_log.public.raw)
    found = open_checkpoint(note, [key], origin="exchange.example/audit")
    return found.size, found.root


def test_an_empty_log_has_a_checkpoint_and_no_tiles(hub: Hub) -> None:
    assert opened(hub) == (0, EMPTY_ROOT)
    assert checkpoint(hub, audit_log(hub)) == checkpoint(hub, audit_log(hub))
    with pytest.raises(NotFound):
        tile(hub, 0, 0, 1)
    with pytest.raises(NotFound):
        bundle(hub, 0, 1)
    assert list(bundles(hub, 0, 0)) == []


def test_a_long_log_reads_back_as_it_is(long_log: tuple[Hub, list[bytes]]) -> None:
    hub, entries = long_log
    leaves = [leaf_hash(entry) for entry in entries]
    assert opened(hub) == (SIZE, root_of(leaves))

    assert tile(hub, 0, 7) == b"".join(leaves[7 * 256 : 8 * 256])
    assert tile(hub, 0, 273, 112) == b"".join(leaves[273 * 256 : 273 * 256 + 112])
    level1 = [root_of(leaves[n * 256 : (n + 1) * 256]) for n in range(SIZE // 256)]
    assert tile(hub, 1, 0) == b"".join(level1[:256])
    assert tile(hub, 1, 1, 17) == b"".join(level1[256:273])
    assert tile(hub, 2, 0, 1) == root_of(leaves[:65_536])

    assert split_bundle(bundle(hub, 273, 112)) == entries[273 * 256 : 273 * 256 + 112]
    tail = [entry for part in bundles(hub, 69_000, SIZE) for entry in split_bundle(part)]
    assert tail == entries[69_000 // 256 * 256 :]

    for level, n, width in [(0, 273, 113), (0, 274, 1), (1, 1, 18), (2, 0, 2), (3, 0, 1), (0, -1, 256)]:
        with pytest.raises(NotFound):
            tile(hub, level, n, width)
    for n, width in [(273, 113), (274, 1), (0, 0), (0, 257), (2**60, 1)]:
        with pytest.raises(NotFound):
            bundle(hub, n, width)
    with pytest.raises(NotFound):
        list(bundles(hub, SIZE, SIZE + 1))

    with reading(hub.engine) as conn:
        for size in (SIZE, 65_537, 300):
            read = node_source(conn, size)
            root = root_of(leaves[:size])
            proof = inclusion_proof(255, size, read)
            verify_inclusion(255, size, leaves[255], proof, root)
            older = consistency_proof(257, size, read)
            verify_consistency(257, size, older, root_of(leaves[:257]), root)
        with pytest.raises(LogIncomplete):
            node_source(conn, 300)(9, 0)


def test_a_tile_of_a_growing_log_never_changes(hub: Hub) -> None:
    for number in range(5):
        put(hub, number)
    first = tile(hub, 0, 0, 5)
    put(hub, 5)
    assert tile(hub, 0, 0, 6)[: len(first)] == first == tile(hub, 0, 0, 5)
