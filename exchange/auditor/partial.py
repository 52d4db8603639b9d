"""A copy of some of the log, for an auditor of some agencies: entries, each with its proof.

Every entry is proved to be in a tree that the log signed, and each of those trees to be a prefix of the next.
That none is missing cannot be told from here: this copy is never complete by itself, and says so. The file is
`partial.sqlite`; beside it lies `log.vkey` as in a whole copy.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from exchange.auditor.history import Trust
from exchange.auditor.mirror import PART_FILE, Mirror
from exchange.auditor.pull import check_change
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.tree import HASH_BYTES, leaf_hash, verify_inclusion
from exchange.member.witnessed import prove_prefixes
from exchange_schemas.codec import JsonValue, unb64u
from exchange_schemas.entry import check_canonical
from exchange_schemas.errors import (
    CheckpointInvalid,
    EntryInvalid,
    HubRefused,
    LogFork,
    LogIncomplete,
    ProofInvalid,
    StorageFull,
)
from exchange_schemas.limits import LIMITS

_PAGE: Final = 100
_PATH_MOST: Final = 63
_FINDINGS: Final = 20
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, entry BLOB, path BLOB, size INTEGER);
CREATE TABLE IF NOT EXISTS tree (size INTEGER PRIMARY KEY, note TEXT);
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT, about TEXT);
INSERT OR IGNORE INTO place VALUES (1, '', '');
"""


class Source(Protocol):
    """The calls of `exchange.member.transport.Transport` that this needs."""

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, JsonValue]:
        """GET and give the JSON answer."""

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """GET a binary answer of at most `limit` bytes."""

    def get_text(self, path: str, *, limit: int) -> str:
        """GET a public text of at most `limit` bytes."""


@dataclass(frozen=True, slots=True)
class PulledPart:
    """What one pull did: entries held now and those that are new; the agencies; the log's size."""

    entries: int
    new: int
    about: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """What the files prove: `entries` entries about `about` are in the log, which had `size` then.

    Never complete by itself. `findings` are sentences about what does not hold.
    """

    origin: str
    entries: int
    about: tuple[str, ...]
    size: int
    findings: tuple[str, ...]

    @property
    def integrity(self) -> bool:
        """Every entry is in a tree that the log signed."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Partial:
    """The part of a log in a folder."""

    folder: Path

    def exists(self) -> bool:
        """Whether a part was ever pulled here."""
        return (self.folder / PART_FILE).is_file()

    def pull(
        self, source: Source, vkey: str, *, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> PulledPart:
        """Fetch the entries that are new under the open pull. `progress` gets (place in the log, its size).

        Raises: LogFork when the log does not continue the one pulled before; ProofInvalid; HubRefused.
        """
        mirror = Mirror(self.folder)
        with mirror.locked(), self._opened() as db:
            changed = not mirror.pins(vkey)
            if not changed:
                mirror.pin(vkey)
            before, (cursor, _) = _count(db), db.execute("SELECT cursor, about FROM place").fetchone()
            tree: Checkpoint | None = None
            while True:
                params: dict[str, str | int] = {"limit": _PAGE}
                page = source.get("/v1/audit/entries", params | ({"cursor": cursor} if cursor else {}))
                note = _text(page, "checkpoint")
                if tree is None:
                    if changed:
                        check_change(mirror, note, vkey)
                    tree = self._continued(db, source, note, (vkey, *mirror.vkeys), vkey)
                    if changed:
                        mirror.add_key(vkey)
                elif open_checkpoint(note, [vkey]) != tree:
                    raise HubRefused("the hub's pages are of different trees", field="checkpoint")
                cursor = self._take(db, page, tree, note)
                progress(_last(db), tree.size)
                if page.get("more") is not True:
                    break
            about = tuple(db.execute("SELECT about FROM place").fetchone()[0].split())
            return PulledPart(_count(db), _count(db) - before, about, tree.size)

    def verify(self, trust: Trust) -> PartVerdict:
        """Check every entry and its proof again, offline. Raises: LogIncomplete when nothing is here."""
        if not self.exists():
            raise LogIncomplete("the folder holds no part of a log", field="DIR")
        findings: list[str] = []
        with self._opened() as db:
            trees = self._trees(db, trust, findings)
            for index, entry, path, size in db.execute("SELECT * FROM entry ORDER BY idx"):
                tree = trees.get(size)
                if tree is not None:
                    try:
                        check_canonical(entry, log=tree.origin)
                        verify_inclusion(index, size, leaf_hash(entry), _split(path), tree.root)
                    except (EntryInvalid, ProofInvalid) as error:
                        findings.append(f"entry {index}: {error.message}")
            newest = trees[max(trees)] if trees else Checkpoint("?", 0, bytes(HASH_BYTES))
            about = tuple(db.execute("SELECT about FROM place").fetchone()[0].split())
            return PartVerdict(newest.origin, _count(db), about, newest.size, tuple(findings[:_FINDINGS]))

    def entries_from(self, start: int) -> Iterator[tuple[int, bytes]]:
        """(index, entry) of what is held, from number `start` on."""
        with self._opened() as db:
            yield from db.execute("SELECT idx, entry FROM entry WHERE idx >= ? ORDER BY idx", (start,))

    def _trees(self, db: sqlite3.Connection, trust: Trust, findings: list[str]) -> dict[int, Checkpoint]:
        found = {}
        keys = {*trust.keys, *trust.former}
        for size, note in db.execute("SELECT size, note FROM tree"):
            try:
                tree = open_checkpoint(note, keys)
                if tree.size != size:
                    raise CheckpointInvalid("checkpoint: it is of another size")
                found[size] = tree
            except CheckpointInvalid as error:
                findings.append(f"the tree of {size} entries: {error.message}")
        return found

    def _continued(
        self, db: sqlite3.Connection, source: Source, note: str, known: tuple[str, ...], vkey: str
    ) -> Checkpoint:
        """The tree of this pull, proved to continue the one of the pull before. Raises: LogFork."""
        tree = open_checkpoint(note, [vkey])
        row = db.execute("SELECT note FROM tree ORDER BY size DESC LIMIT 1").fetchone()
        if row is None:
            return tree
        old = open_checkpoint(row[0], known)
        if tree.size < old.size:
            hint = f"tell the other auditors; the log's signed notes are in {self.folder / PART_FILE}"
            raise LogFork(
                "the hub's log is shorter than the one pulled before", rule="rolled-back", hint=hint
            )
        prove_prefixes(source, tree, [old])
        return tree

    def _take(
        self, db: sqlite3.Connection, page: Mapping[str, JsonValue], tree: Checkpoint, note: str
    ) -> str:
        """Prove and keep a page; where the next one begins."""
        listed, about = page.get("entries"), page.get("about")
        if not isinstance(listed, list) or not (about is None or isinstance(about, list)):
            raise HubRefused("the hub's answer holds no entries", field="entries")
        rows = [_proved(item, tree) for item in listed]
        cursor = _text(page, "cursor")
        if rows:
            db.execute("INSERT OR IGNORE INTO tree VALUES (?, ?)", (tree.size, note))
        db.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?)", rows)
        named = "" if about is None else " ".join(map(str, about))
        db.execute("UPDATE place SET cursor = ?, about = ?", (cursor, named))
        db.commit()
        return cursor

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self.folder / PART_FILE)
            try:
                db.executescript(_SCHEMA)
                yield db
            finally:
                db.close()
        except sqlite3.OperationalError as error:
            raise StorageFull("the part of the log cannot be written", field="DIR") from error
        except sqlite3.DatabaseError as error:
            raise LogIncomplete(f"{PART_FILE} is damaged", field="DIR") from error


def _proved(item: JsonValue, tree: Checkpoint) -> tuple[int, bytes, bytes, int]:
    """One entry of a page as a row. Raises: ProofInvalid, EntryInvalid, Malformed, HubRefused."""
    if not isinstance(item, dict):
        raise HubRefused("the hub's answer holds no entries", field="entries")
    index, path = item.get("index"), item.get("path")
    if isinstance(index, bool) or not isinstance(index, int):
        raise HubRefused("an entry has no index", field="index")
    if not isinstance(path, list) or len(path) > _PATH_MOST:
        raise HubRefused("an entry has no proof", field="path")
    entry = unb64u(item.get("entry"), field="entry", limit=LIMITS.entry_bytes)
    hashes = [unb64u(one, field="path", length=HASH_BYTES) for one in path]
    check_canonical(entry, log=tree.origin)
    verify_inclusion(index, tree.size, leaf_hash(entry), hashes, tree.root)
    return index, entry, b"".join(hashes), tree.size


def _split(path: bytes) -> list[bytes]:
    return [path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)]


def _text(page: Mapping[str, JsonValue], name: str) -> str:
    value = page.get(name)
    if not isinstance(value, str):
        raise HubRefused(f"the hub's answer has no {name}", field=name)
    return value


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM entry").fetchone()[0])


def _last(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(idx) + 1, 0) FROM entry").fetchone()[0])
