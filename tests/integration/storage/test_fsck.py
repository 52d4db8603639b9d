"""Checking what is stored: an honest hub has no finding, and each kind of damage has its own name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text, update

from exchange.directory.events import governance_event, operator
from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.directory import directory_event
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services import operators
from exchange.hub.services.fsck import Findings, check_stored
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.tile_files import write_tiles
from exchange.hub.tilestore import MARK, FolderTiles
from exchange.log.tiles import tile_path
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Act
from tests.integration.storage import only
from tests.integration.storage.logs import put

TRACE = Trace(Act.INBOX_LIST)
NewCaller = Callable[..., Caller]
Damage = Callable[[Connection], Any]


@pytest.fixture
def filled(hub: Hub, new_caller: NewCaller) -> Hub:
    """A log of more than one tile, and a directory with its first event."""
    signer = SigningKey.generate()
    event = governance_event(
        origin=hub.settings.origin,
        iat=hub.clock().replace(microsecond=0),
        k=1,
        operators=[operator("asha", signer.public)],
        signers=[signer],
    )
    operators.decide(hub, event)
    for _ in range(261):
        release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    return hub


@contextmanager
def owned(hub: Hub) -> Iterator[Connection]:
    """As whoever owns the tables: nothing in the database holds against them."""
    engine = open_engine(hub.settings.owner_database_url or hub.settings.database_url)
    with writing(engine) as conn:
        if conn.dialect.name == "sqlite":
            names = conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in names.scalars().all():
                conn.execute(text(f'DROP TRIGGER "{name}"'))
        else:
            conn.execute(text("ALTER TABLE log_entry DISABLE TRIGGER log_entry_append"))
        yield conn
    engine.dispose()


def found(hub: Hub, root: Path) -> Findings:
    return check_stored(hub, FolderTiles(root))


def entry_at(conn: Connection, index: int) -> Any:
    return conn.execute(select(log_entry).where(log_entry.c.idx == index)).one()


def set_entry(index: int, change: Callable[[bytes], bytes]) -> Damage:
    def damage(conn: Connection) -> None:
        row = entry_at(conn, index)
        conn.execute(
            update(log_entry)
            .where(log_entry.c.entry_id == row.entry_id)
            .values(entry=change(bytes(row.entry)))
        )

    return damage


def swap(conn: Connection) -> None:
    one, two = entry_at(conn, 7), entry_at(conn, 8)
    for row, other in ((one, two), (two, one)):
        where = log_entry.c.entry_id == row.entry_id
        conn.execute(update(log_entry).where(where).values(entry=other.entry))


def set_leaf(index: int, **values: Any) -> Damage:
    return lambda conn: conn.execute(update(log_entry).where(log_entry.c.idx == index).values(**values))


def drop_entry(conn: Connection) -> None:
    conn.execute(delete(log_entry).where(log_entry.c.idx == 5))


def set_node(conn: Connection) -> None:
    conn.execute(update(log_node).values(hash=b"\x07" * 32))


def add_node(level: int, index: int) -> Damage:
    return lambda conn: conn.execute(insert(log_node).values(level=level, idx=index, hash=b"\x07" * 32))


def set_event(**values: bytes) -> Damage:
    return lambda conn: conn.execute(update(directory_event).values(**values))


DAMAGES: dict[str, tuple[Damage, dict[str, int]]] = {
    "one byte of an entry": (
        set_entry(3, lambda data: data.replace(b'"allow"', b'"alloy"')),
        {"altered": 1, "file": 1},
    ),
    "two entries exchanged": (swap, {"altered": 2, "file": 1}),
    "an entry taken away": (drop_entry, {"gap": 1}),
    "another leaf": (
        set_leaf(100, leaf=b"\x07" * 32),
        {"altered": 1, "frontier": 161, "node": 1, "head": 1, "file": 1},
    ),
    "another frontier": (set_leaf(100, frontier=b"\x07" * 96), {"frontier": 1}),
    "another node": (set_node, {"node": 1}),
    "a node that is not there yet": (add_node(8, 7), {"node": 1}),
    "a node of a level that there is not": (add_node(9, 0), {"node": 1}),
    "another head": (set_leaf(261, frontier=b"\x07" * 96), {"frontier": 1, "head": 1}),
    "a head that is none": (set_leaf(261, frontier=b"short"), {"frontier": 1, "head": 1}),
    "a time before those of the entries": (set_leaf(100, latest_us=1), {"time": 1}),
    "a time that is of no entry": (set_leaf(100, latest_us=2**60), {"time": 2}),
    "another event of the directory": (set_event(event=b"{}"), {"altered": 1}),
    "another root of the directory": (set_event(root=b"\x07" * 32), {"frontier": 1}),
}


def test_an_honest_hub_has_no_finding(filled: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert not check_stored(filled, None, progress=lambda done, total: seen.append((done, total))).counts
    assert seen[-1][0] == seen[-1][1] == 262
    write_tiles(filled, FolderTiles(tmp_path / "tiles"))
    assert not found(filled, tmp_path / "tiles").counts
    with owned(filled) as conn:
        swap(conn)
    assert dict(found(filled, tmp_path / "tiles").counts) == {"altered": 2, "file": 1}


@only.SQLITE
@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_has_its_name(filled: Hub, tmp_path: Path, what: str) -> None:
    root = tmp_path / "tiles"
    write_tiles(filled, FolderTiles(root))
    damage, expected = DAMAGES[what]
    with owned(filled) as conn:
        damage(conn)
    findings = found(filled, root)
    assert dict(findings.counts) == expected
    assert len(findings.listed) == min(20, findings.counts.total())
    for one in findings.listed:
        assert one.log == ("directory" if "directory" in what else "audit")


@only.SQLITE
def test_a_file_that_is_missing_changed_or_too_many_is_named(filled: Hub, tmp_path: Path) -> None:
    root = tmp_path / "tiles"
    write_tiles(filled, FolderTiles(root))
    bundle, tile = root / tile_path(None, 0), root / tile_path(0, 0)
    data = bundle.read_bytes()
    bundle.unlink()
    tile.write_bytes(tile.read_bytes()[:-1])
    texts = [one.text for one in found(filled, root).listed]
    assert sorted(texts) == [f"{tile_path(0, 0)} is not that of the log", f"{tile_path(None, 0)} is missing"]
    bundle.write_bytes(data)
    tile.unlink()
    assert dict(found(filled, root).counts) == {"file": 1}
    write_tiles(filled, FolderTiles(root))
    (root / MARK).write_text("9\n")
    # Files that were never written, and files beyond the log.
    assert dict(found(filled, root).counts)["file"] >= 1
    (root / MARK).write_text("nine\n")
    assert dict(found(filled, root).counts) == {"mark": 1}


@only.SQLITE
def test_an_entry_that_breaks_the_rules_and_was_logged_is_malformed(filled: Hub) -> None:
    put(filled, 1)
    assert dict(check_stored(filled, None).counts) == {"malformed": 1}
    with reading(filled.engine) as conn:
        assert conn.execute(select(func.count()).select_from(log_entry)).scalar_one() == 263
