"""Putting back what the audit log lost, from an auditor's copy: the same entries in the same places.

Order: (1) the whole copy verifies (services/mirror.py); (2) the log here is a prefix of it, so that nothing
is ever written over: a log that has gone on by itself since is another history, and stays; (3) the high-water
mark and every note that a witness proved lie within the copy, else the copy is too old and is said to be;
(4) the missing entries are written in batches, each with its leaves, frontiers and nodes in one
transaction that begins where the log ends, and with the salts of the parties that they are the first to name:
the heads entries among them are made with these, and an auditor refuses another salt for ever. A run that is
cut short is simply run again. The rows that the lost answers changed elsewhere do not come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select, text

from exchange.hub.db import open_engine, reading, storage_errors, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.models.slices import slice_party
from exchange.hub.services import audit_read, conflicts, highwater
from exchange.hub.services.logs import audit_log
from exchange.hub.services.mirror import Mirror, Progress, read_mirror
from exchange.log.checkpoint import Checkpoint
from exchange.log.note import split_note
from exchange.log.slices import parties_of
from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, split_tile
from exchange.log.tree import Frontier, complete_root, leaf_hash
from exchange_schemas.entry import Entry
from exchange_schemas.errors import ConfigInvalid, Conflict, LogFork, LogIncomplete

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from exchange.hub.services.hub import Hub

_BUNDLES_AT_ONCE: Final = 8
_LATEST: Final = select(log_entry.c.latest_us).order_by(log_entry.c.idx.desc()).limit(1)
_TRIGGER: Final = "ALTER TABLE log_entry {} TRIGGER log_entry_append"


@dataclass(frozen=True, slots=True)
class Restored:
    """`before` and `size` of the log; `witnessed`: how far a quorum vouches for the copy, if any is asked.

    `unsalted`: the parties whose salt is neither here nor in the copy, so that they get another one.
    """

    before: int
    size: int
    witnessed: int | None
    unsalted: tuple[str, ...] = ()


def restore_log(hub: Hub, folder: Path, progress: Progress = lambda done, total: None) -> Restored:
    """Put back what the audit log lacks of the copy in `folder`. `progress` gets (entries done, in all).

    Raises: LogFork when the log here, the mark, or what a witness proved is another history than the copy;
    LogIncomplete when the copy ends before one of them; Conflict when the log is written meanwhile;
    ConfigInvalid when PostgreSQL's owner is not named; what `read_mirror` raises.
    """
    with storage_errors(), reading(hub.engine) as conn:
        before = audit_read.head(conn)
    known = _known(hub)
    mirror = read_mirror(hub, folder, {before.size, *(tree.size for _, tree in known)}, progress)
    if before.size >= mirror.tree.size:
        return Restored(before.size, before.size, mirror.witnessed)
    _check_prefix(mirror, before)
    for what, tree in known:
        _check_known(mirror, what, tree)
    with _owner(hub) as engine:
        unsalted = _write_missing(engine, mirror, before, progress)
    return Restored(before.size, mirror.tree.size, mirror.witnessed, unsalted)


def _known(hub: Hub) -> list[tuple[str, Checkpoint]]:
    """What the log must be a continuation of: the mark, and the proofs that nobody has settled."""
    mark = highwater.read(hub)
    with storage_errors(), reading(hub.engine) as conn:
        proofs = conflicts.unaccepted(conn)
    name = audit_log(hub).name
    found = [
        (f"the checkpoint that {proof.witness} cosigned", Checkpoint.from_text(split_note(proof.note)[0]))
        for proof in proofs
        if proof.log == name
    ]
    return found if mark is None else [("the high-water mark", mark[0]), *found]


def _check_prefix(mirror: Mirror, before: Frontier) -> None:
    """(2)"""
    if mirror.roots[before.size] != before.root():
        raise LogFork(
            f"the {before.size} entries of this log are not the first ones of the copy: nothing is written",
            rule="forked",
            hint="this log went on by itself, or the copy is another hub's; begin with an earlier backup",
        )


def _check_known(mirror: Mirror, what: str, tree: Checkpoint) -> None:
    """(3)"""
    if tree.size > mirror.tree.size:
        raise LogIncomplete(
            f"the copy has {mirror.tree.size} entries, and {what} has {tree.size}",
            hint="take the copy of somebody who pulled later",
        )
    if mirror.roots[tree.size] != tree.root:
        raise LogFork(f"the copy is another history than {what}", rule="forked")


# -- writing -------------------------------------------------------------------------------------------


@contextmanager
def _owner(hub: Hub) -> Iterator[Engine]:
    """An engine that may write the log's tables. Raises: ConfigInvalid."""
    url = hub.settings.database_url if hub.settings.is_sqlite else hub.settings.owner_database_url
    if url is None:
        name = "HOMEWARD_OWNER_DATABASE_URL"
        raise ConfigInvalid(f"{name} is not set: only the owner of the tables may restore them", field=name)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _write_missing(engine: Engine, mirror: Mirror, before: Frontier, progress: Progress) -> tuple[str, ...]:
    """(4) Gives the parties without a salt."""
    tiles, edge, unsalted = mirror.bundles(before.size), before, set[str]()
    while batch := list(islice(tiles, _BUNDLES_AT_ONCE)):
        with storage_errors(), writing(engine) as conn, _appending(conn, edge):
            for tile in batch:
                entries = mirror.entries(tile)
                named = {party for entry in entries[edge.size - tile.start :] for party in parties_of(entry)}
                edge = _write_bundle(conn, tile, entries, edge)
                unsalted |= _write_salts(conn, named, mirror.salts)
        progress(edge.size, mirror.tree.size)
    return tuple(sorted(unsalted))


def _write_salts(conn: Connection, named: set[str], salts: Mapping[str, bytes]) -> set[str]:
    """Give the parties that are new here the salts that they had; those that have none are given back."""
    lacking = named - set(conn.execute(select(slice_party.c.party)).scalars())
    number = conn.execute(select(func.count()).select_from(slice_party)).scalar_one()
    empty = {"size": 0, "frontier": b"", "head_size": 0, "head_frontier": b""}
    rows = [
        {"party": party, "number": at, "salt": salts[party], **empty}
        for at, party in enumerate(sorted(lacking & set(salts)), number)
    ]
    if rows:
        conn.execute(insert(slice_party), rows)
    return lacking - set(salts)


@contextmanager
def _appending(conn: Connection, edge: Frontier) -> Iterator[None]:
    """Nobody else appends, and the database's own trigger does not. Raises: Conflict."""
    postgres = conn.dialect.name == "postgresql"
    if postgres:
        conn.execute(text(_TRIGGER.format("DISABLE")))
    if audit_read.head(conn) != edge:
        raise Conflict("the log is being written by somebody else", hint="stop every hub on this database")
    yield
    if postgres:
        conn.execute(text(_TRIGGER.format("ENABLE ALWAYS")))


def _write_bundle(conn: Connection, tile: Tile, entries: list[bytes], edge: Frontier) -> Frontier:
    """The entries of one bundle that are not there yet; gives the frontier after them."""
    leaves = [leaf_hash(entry) for entry in entries]
    missing = range(edge.size - tile.start, tile.width)
    rows, latest_us = [], conn.execute(_LATEST).scalar_one_or_none() or 0
    for at in missing:
        entry = Entry.from_bytes(entries[at])
        latest_us = max(latest_us, entry.ts)
        place = {"idx": tile.start + at, "leaf": leaves[at], "frontier": edge.to_bytes()}
        rows.append({**place, "entry_id": entry.id, "latest_us": latest_us, "entry": entries[at]})
        edge = edge.append(leaves[at])
    conn.execute(insert(log_entry), rows)
    if tile.width == TILE_WIDTH:
        _write_nodes(conn, tile.n, complete_root(leaves))
    return edge


def _write_nodes(conn: Connection, index: int, node: bytes) -> None:
    """The node of a full bundle, and those above that it completes."""
    level = TILE_HEIGHT
    while True:
        conn.execute(insert(log_node), {"level": level, "idx": index, "hash": node})
        if (index + 1) % TILE_WIDTH:
            return
        index //= TILE_WIDTH
        below = audit_read.read_tile(conn, Tile(level // TILE_HEIGHT, index))
        node = complete_root(split_tile(below, TILE_WIDTH))
        level += TILE_HEIGHT
