"""Checking what is stored: everything is recomputed from the entries, and each difference is named.

For each log, from left to right in constant memory: (1) the rows are there, in one gapless row; (2) an entry
is canonical and of this log; (3) it hashes to its leaf; (4) the frontier (audit) or root (directory) stored
beside it is the tree's; (5) the stored nodes of levels 8, 16, 24 follow; (6) the head is that of the last
leaf; (7) the latest time kept with an audit entry is that of the entries up to it; (8) the files of the audit
log are those of its tiles. Nothing is repaired: what is not what it should be is for a person to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.directory import directory_event, directory_node
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services import audit_read, directory_read
from exchange.hub.services.logs import HubLog, audit_log, directory_log
from exchange.hub.services.tile_files import written_bundles
from exchange.log.growth import GrowingTree
from exchange.log.tiles import TILE_WIDTH, Tile, encode_bundle, tile_path
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.entry import entry_reader
from exchange_schemas.errors import EntryInvalid, Malformed, NotFound, StoreCorrupt

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from exchange.hub.services.hub import Hub
    from exchange.hub.tilestore import TileStore

LISTED: Final = 20
"""Findings told in full; the rest is counted."""
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
    """One stored leaf: `beside` the frontier or root kept with it, `latest_us` the time (audit)."""

    index: int
    leaf: bytes
    data: bytes
    beside: bytes
    latest_us: int = 0


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
        audit = _Walk(log, findings, audit_read.size, _audit_rows, _frontier_before, entries.faults_of, files)
        files.check_end(audit.run(conn, progress))
        directory = _Walk(directory_log(hub), findings, _directory_size, _directory_rows, _root_after)
        directory.run(conn, lambda done, total: None)
        _check_nodes(conn, log_node, audit)
        _check_nodes(conn, directory_node, directory)
    return findings


@dataclass(frozen=True, slots=True)
class _Walk:
    """One log from its first leaf to its head. `beside`: what must be stored with a leaf."""

    log: HubLog
    findings: Findings
    size: Callable[[Connection], int]
    rows: Callable[[Connection, int, int], list[_Row]]
    beside: Callable[[Frontier, Frontier], bytes]
    faults_of: Callable[[_Row], Iterator[tuple[str, str]]] = lambda _row: iter(())
    files: _Files | None = None

    def run(self, conn: Connection, progress: Progress) -> int:
        """Every check; gives the log's size."""
        size, head = self._head(conn)

        def show(part: Tile, hashes: list[bytes]) -> None:
            self._check_tile(conn, part, b"".join(hashes))

        tree, edge = GrowingTree((), show), Frontier.empty()
        for start in range(0, size, TILE_WIDTH):
            width = min(TILE_WIDTH, size - start)
            rows = self.rows(conn, start, width)
            if [row.index for row in rows] != list(range(start, start + width)):
                # Nothing after a gap can be held against anything.
                self.say("gap", f"of the leaves {start} to {start + width - 1} some are missing", start)
                return size
            for row in rows:
                edge = self._check_row(row, edge)
            tree.add([row.leaf for row in rows])
            if self.files is not None:
                self.files.check_bundle(start // TILE_WIDTH, rows)
            progress(start + width, size)
        tree.finish()
        if edge != head:
            self.say("head", f"the head is not what the {size} leaves make it")
        return size

    def _head(self, conn: Connection) -> tuple[int, Frontier | None]:
        """The size, and the head unless it is none."""
        try:
            head = self.log.head(conn)
        except Malformed:
            return self.size(conn), None
        return head.size, head

    def say(self, fault: str, text: str, index: int | None = None) -> None:
        """One finding in this log."""
        self.findings.add(fault, self.log.name, text, index)

    def _check_row(self, row: _Row, edge: Frontier) -> Frontier:
        faults = list(self.faults_of(row))
        if leaf_hash(row.data) != row.leaf:
            self.say("altered", f"the entry of leaf {row.index} is not the one that was logged", row.index)
        else:
            for fault, why in faults:
                self.say(fault, f"leaf {row.index}: {why}", row.index)
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
    """Reads entries; remembers the latest time that is kept with one."""

    read: Callable[[bytes], int]
    latest_us: int = 0

    def faults_of(self, row: _Row) -> Iterator[tuple[str, str]]:
        """What is wrong with an entry's form, and (7): the fault's name and a sentence."""
        try:
            latest_us = max(self.latest_us, self.read(row.data))
        except EntryInvalid as error:
            yield "malformed", error.message
            latest_us = row.latest_us
        if row.latest_us != latest_us:
            yield "time", "the latest time kept with it is not that of the entries up to it"
        self.latest_us = row.latest_us


def _frontier_before(before: Frontier, _after: Frontier) -> bytes:
    return before.to_bytes()


def _audit_rows(conn: Connection, start: int, width: int) -> list[_Row]:
    rows = conn.execute(
        select(log_entry).where(log_entry.c.idx.between(start, start + width - 1)).order_by(log_entry.c.idx)
    )
    return [
        _Row(row.idx, bytes(row.leaf), bytes(row.entry), bytes(row.frontier), row.latest_us) for row in rows
    ]


# -- the key directory ---------------------------------------------------------------------------------


def _root_after(_before: Frontier, after: Frontier) -> bytes:
    return after.root()


def _directory_size(conn: Connection) -> int:
    return directory_read.head(conn).size


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
    size = walk.size(conn)
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
            self.check(Tile(None, n), encode_bundle([row.data for row in rows]))
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
