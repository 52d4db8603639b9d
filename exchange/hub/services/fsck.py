"""Checking what is stored: everything is recomputed from the entries, and each difference is named.

For each log, from left to right in constant memory: (1) the rows are there, in one gapless row; (2) an entry
is canonical and of this log; (3) it hashes to its leaf; (4) the frontier (audit) or root (directory) stored
beside it is the tree's; (5) the stored nodes of levels 8, 16, 24 follow; (6) the head is that of the last
leaf; (7) no entry stands outside of the log; (8) the files of the audit log are those of its tiles. Nothing
is repaired: what is not what it should be is for a person to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.directory import directory_event, directory_node
from exchange.hub.models.log import log_entry, log_head, log_leaf, log_node
from exchange.hub.services.logs import HubLog, audit_log, directory_log
from exchange.hub.services.tile_files import written_bundles
from exchange.log.growth import GrowingTree
from exchange.log.tiles import TILE_WIDTH, Tile, encode_bundle, tile_path
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.entry import entry_reader
from exchange_schemas.errors import EntryInvalid, NotFound, StoreCorrupt

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from exchange.hub.services.hub import Hub
    from exchange.hub.tilestore import TileStore

LISTED: Final = 20
"""Findings told in full; the rest is counted."""
_COUNTED: Final = (log_entry, log_leaf)
_LEVELS: Final = range(8, 64, 8)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: its name, the log, the index concerned if there is one, a sentence."""

    fault: str
    log: str
    index: int | None
    text: str


@dataclass(slots=True)
class Findings:
    """The first findings in full, all of them counted by name."""

    listed: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, fault: str, log: str, text: str, index: int | None = None) -> None:
        """One more."""
        self.counts[fault] += 1
        if len(self.listed) < LISTED:
            self.listed.append(Finding(fault, log, index, text))


@dataclass(frozen=True, slots=True)
class _Row:
    """One stored leaf: `data` None when the entry is missing, `beside` the frontier or root kept with it."""

    index: int
    leaf: bytes
    data: bytes | None
    beside: bytes


def check_stored(
    hub: Hub, store: TileStore | None, *, progress: Progress = lambda done, total: None
) -> Findings:
    """Check both logs, and the files when there is a store of them. `progress` gets (entries done, in all).

    Raises: AuditUnavailable, Unavailable when database or bucket do not answer; OSError.
    """
    findings = Findings()
    with storage_errors(), reading(hub.engine) as conn:
        log = audit_log(hub)
        # Before the files: they never go further than a head that is read later.
        files = _Files(store, findings)
        entries = _Entries(entry_reader(log.origin))
        audit = _Walk(log, findings, _audit_rows, _frontier_before, entries.fault_of, files)
        size = audit.run(conn, progress)
        files.check_end(size)
        _check_audit_rest(conn, size, entries.latest_us, findings)
        directory = _Walk(directory_log(hub), findings, _directory_rows, _root_after)
        directory.run(conn, lambda done, total: None)
        _check_nodes(conn, log_node, audit)
        _check_nodes(conn, directory_node, directory)
    return findings


@dataclass(frozen=True, slots=True)
class _Walk:
    """One log from its first leaf to its head. `beside`: what must be stored with a leaf."""

    log: HubLog
    findings: Findings
    rows: Callable[[Connection, int, int], list[_Row]]
    beside: Callable[[Frontier, Frontier], bytes]
    fault_of: Callable[[bytes], str | None] = lambda _data: None
    files: _Files | None = None

    def run(self, conn: Connection, progress: Progress) -> int:
        """Checks (1) to (6) and (8); gives the head's size."""
        head = self.log.head(conn)

        def show(part: Tile, hashes: list[bytes]) -> None:
            self._check_tile(conn, part, b"".join(hashes))

        tree, edge = GrowingTree((), show), Frontier.empty()
        for start in range(0, head.size, TILE_WIDTH):
            width = min(TILE_WIDTH, head.size - start)
            rows = self.rows(conn, start, width)
            if [row.index for row in rows] != list(range(start, start + width)):
                # Nothing after a gap can be held against anything.
                self.say("gap", f"of the leaves {start} to {start + width - 1} some are missing", start)
                return head.size
            for row in rows:
                edge = self._check_row(row, edge)
            tree.add([row.leaf for row in rows])
            if self.files is not None:
                self.files.check_bundle(start // TILE_WIDTH, rows)
            progress(start + width, head.size)
        tree.finish()
        if edge != head:
            self.say("head", f"the head is not what the {head.size} leaves make it")
        return head.size

    def say(self, fault: str, text: str, index: int | None = None) -> None:
        """One finding in this log."""
        self.findings.add(fault, self.log.name, text, index)

    def _check_row(self, row: _Row, edge: Frontier) -> Frontier:
        if row.data is None:
            self.say("missing", f"the entry of leaf {row.index} is not there", row.index)
        elif leaf_hash(row.data) != row.leaf:
            self.say("altered", f"the entry of leaf {row.index} is not the one that was logged", row.index)
        elif (why := self.fault_of(row.data)) is not None:
            self.say("malformed", f"leaf {row.index}: {why}", row.index)
        grown = edge.append(row.leaf)
        if row.beside != self.beside(edge, grown):
            self.say("frontier", f"what is stored of the tree at leaf {row.index} is wrong", row.index)
        return grown

    def _check_tile(self, conn: Connection, part: Tile, hashes: bytes) -> None:
        """A tile of level 1 or more, full or at the end: its hashes are stored nodes, and perhaps a file."""
        try:
            stored = self.log.tile(conn, part)
        except NotFound:
            stored = b""
        if stored != hashes:
            name = tile_path(part.level, part.n, part.width)
            self.say("node", f"the stored nodes of {name} do not follow from the leaves")
        if self.files is not None and part.width == TILE_WIDTH:
            self.files.check(part, hashes)


# -- the audit log -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Entries:
    """Reads entries; remembers the latest time of all."""

    read: Callable[[bytes], int]
    latest_us: int = 0

    def fault_of(self, data: bytes) -> str | None:
        """What is wrong with an entry's form; None when nothing is."""
        try:
            self.latest_us = max(self.latest_us, self.read(data))
        except EntryInvalid as error:
            return error.message
        return None


def _frontier_before(before: Frontier, _after: Frontier) -> bytes:
    return before.to_bytes()


def _audit_rows(conn: Connection, start: int, width: int) -> list[_Row]:
    rows = conn.execute(
        select(log_leaf.c.idx, log_leaf.c.leaf, log_leaf.c.frontier, log_entry.c.entry)
        .join_from(log_leaf, log_entry, log_leaf.c.entry_id == log_entry.c.entry_id, isouter=True)
        .where(log_leaf.c.idx.between(start, start + width - 1))
        .order_by(log_leaf.c.idx)
    )
    return [
        _Row(row.idx, bytes(row.leaf), None if row.entry is None else bytes(row.entry), bytes(row.frontier))
        for row in rows
    ]


def _check_audit_rest(conn: Connection, size: int, latest_us: int, findings: Findings) -> None:
    """(6) the head's time, and (7)."""
    # In one statement, so that what is logged meanwhile counts on both sides.
    entries, leaves = (select(func.count()).select_from(table).scalar_subquery() for table in _COUNTED)
    outside = conn.execute(select(entries - leaves)).scalar_one()
    if outside > 0:
        findings.add("extra", "audit", f"{outside} entries stand outside of the log")
    if size and conn.execute(select(log_head.c.ts_us)).scalar_one() < latest_us:
        findings.add("head", "audit", "the head's time is before that of the latest entry")


# -- the key directory ---------------------------------------------------------------------------------


def _root_after(_before: Frontier, after: Frontier) -> bytes:
    return after.root()


def _directory_rows(conn: Connection, start: int, width: int) -> list[_Row]:
    """The rules of the events are the members' to check, who replay every one."""
    rows = conn.execute(
        select(directory_event.c.idx, directory_event.c.leaf, directory_event.c.root, directory_event.c.event)
        .where(directory_event.c.idx.between(start, start + width - 1))
        .order_by(directory_event.c.idx)
    )
    return [_Row(row.idx, bytes(row.leaf), bytes(row.event), bytes(row.root)) for row in rows]


def _check_nodes(conn: Connection, table: Table, walk: _Walk) -> None:
    """(5) No node stands where the tree has none; those that it has were looked at on the way."""
    counts = conn.execute(select(table.c.level, func.count()).group_by(table.c.level)).all()
    # After them: the log may grow meanwhile.
    size = walk.log.head(conn).size
    for level, count in counts:
        if level not in _LEVELS or count > size >> level:
            walk.say("node", f"there are stored nodes of level {level} that the tree does not have")


# -- the files -----------------------------------------------------------------------------------------


class _Files:
    """(8) Every file up to the mark is there and is that of the log. Without a store nothing is looked at."""

    def __init__(self, store: TileStore | None, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self._bundles = 0
        try:
            self._bundles = 0 if store is None else written_bundles(store)
        except StoreCorrupt as error:
            self._say("mark", error.message)

    def check_bundle(self, n: int, rows: Sequence[_Row]) -> None:
        """The bundle number `n` and its tile."""
        if n < self._bundles and len(rows) == TILE_WIDTH:
            if all(row.data is not None for row in rows):
                self.check(Tile(None, n), encode_bundle([row.data or b"" for row in rows]))
            self.check(Tile(0, n), b"".join(row.leaf for row in rows))

    def check(self, part: Tile, data: bytes) -> None:
        """One file, if the mark says that it is written."""
        span = TILE_WIDTH ** max(0, part.level or 0)
        if self._store is None or (part.n + 1) * span > self._bundles:
            return
        name = tile_path(part.level, part.n)
        found = self._store.read(name)
        if found is None:
            self._say("file", f"{name} is missing")
        elif found != data:
            self._say("file", f"{name} is not that of the log")

    def check_end(self, size: int) -> None:
        """The files go no further than the log."""
        if self._bundles > size // TILE_WIDTH:
            self._say("file", f"the files hold {self._bundles * TILE_WIDTH} entries, the log {size}")

    def _say(self, fault: str, text: str) -> None:
        self._findings.add(fault, "audit", text)
