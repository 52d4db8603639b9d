"""A copy of some of the log, for an auditor of some agencies: entries, each with its proof.

Every entry is proved to be in a tree that the log signed, and each of those trees to be a prefix of the
next; so are the checkpoints that witnesses cosigned. That no entry is missing cannot be told from here: it is
never complete by itself, and says so. The file is `partial.sqlite`; beside it lies `log.vkey` as in a whole
copy, and `evidence/` if there is any.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from exchange.auditor.history import Floor, Known, Trust, know, vouched
from exchange.auditor.mirror import PART_FILE, KeptNote, Mirror
from exchange.auditor.pull import check_change, with_evidence
from exchange.auditor.trees import SCHEMA, Trees
from exchange.auditor.verdict import HISTORY, INCOMPLETE, Fault, Finding, Findings, Witnessed
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.tree import HASH_BYTES, leaf_hash, split_hashes, verify_inclusion
from exchange_schemas.codec import JsonValue, unb64u
from exchange_schemas.entry import check_canonical, entry_reader
from exchange_schemas.errors import (
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
_SCHEMA: Final = (
    SCHEMA
    + """
CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, entry BLOB, path BLOB, size INTEGER);
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT, about TEXT);
INSERT OR IGNORE INTO place VALUES (1, '', '');
"""
)


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

    Never complete by itself. `witnessed` is None when no policy was given.
    """

    origin: str
    entries: int
    about: tuple[str, ...]
    size: int
    witnessed: Witnessed | None
    counts: dict[Fault, int]
    findings: tuple[Finding, ...]

    @property
    def integrity(self) -> bool:
        """Every entry is in a tree that the log signed."""
        return not set(self.counts) - INCOMPLETE - HISTORY

    @property
    def history(self) -> bool:
        """No other checkpoint that is known, and no witness's time, contradicts the log."""
        return not set(self.counts) & HISTORY

    @property
    def ok(self) -> bool:
        """Everything that was asked for holds, as far as a part can show it."""
        return not self.counts and (self.witnessed is None or self.witnessed.satisfied)


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
                    tree = self._continued(db, source, note, vkey)
                    if changed:
                        mirror.add_key(vkey)
                elif open_checkpoint(note, [vkey]) != tree:
                    raise HubRefused("the hub's pages are of different trees", field="checkpoint")
                before_page, cursor = cursor, self._take(db, page, tree)
                progress(_last(db), tree.size)
                if page.get("more") is not True:
                    break
                if cursor == before_page:
                    raise HubRefused("the hub's pages do not go on", field="cursor")
            about = tuple(db.execute("SELECT about FROM place").fetchone()[0].split())
            return PulledPart(_count(db), _count(db) - before, about, tree.size)

    def see(self, source: Source, note: str, vkey: str) -> Checkpoint:
        """Keep a checkpoint that somebody showed, proved to fit in with all others; gives what it says.

        `vkey`: the log's key; those that are pinned here count too, as for a whole copy.
        Raises: LogFork when it does not, and then it is kept as evidence: also when the log signed more
        entries than the hub shows (rolled-back); CheckpointInvalid.
        """
        mirror = Mirror(self.folder)
        with mirror.locked(), self._opened() as db:
            try:
                seen = Trees(db).see(source, note, {vkey, *mirror.vkeys})
            except LogFork as error:
                raise with_evidence(mirror, note, error) from None
            db.commit()
            return seen

    def verify(self, trust: Trust, *, others: Iterable[KeptNote] = ()) -> PartVerdict:
        """Check every entry and its proof again, offline. Raises: LogIncomplete when nothing is here.

        (1) Every tree is signed by the log's key. (2) Each continues the one before. (3) Every entry is one
        of this log and in its tree, (4) and not dated before a cosigned tree that lacks it. (5) What a pull
        kept as evidence, and `others`, checkpoints that somebody else saw, stand against the trees.
        """
        if not self.exists():
            raise LogIncomplete("the folder holds no part of a log", field="DIR")
        mirror, findings = Mirror(self.folder), Findings()
        origin = mirror.vkey.partition("+")[0]
        with self._read() as db:
            kept = Trees(db)
            notes = [KeptNote(f"the tree of {size} entries", note) for size, note in kept.notes().items()]
            known = know(notes, trust, origin, findings)  # (1)
            trees = {item.checkpoint.size: item.checkpoint for item in known}
            for old, new, there in kept.unproved(trees):  # (2)
                _say_step(findings, old, new, there=there)
            self._check_entries(db, trees, Floor(known), origin, findings)
            proofs = know(_evidence(mirror), trust, origin, findings)  # (5)
            for item in [*proofs, *know(others, trust, origin, findings)]:
                _compare(item, trees, findings)
            newest = trees[max(trees)] if trees else Checkpoint(origin, 0, bytes(HASH_BYTES))
            about = tuple(db.execute("SELECT about FROM place").fetchone()[0].split())
            return PartVerdict(
                origin=origin,
                entries=_count(db),
                about=about,
                size=newest.size,
                witnessed=vouched(known, newest, trust.policy),
                counts=dict(findings.counts),
                findings=tuple(findings.listed),
            )

    def entries_from(self, start: int) -> Iterator[tuple[int, bytes]]:
        """(index, entry) of what is held, from number `start` on."""
        with self._read() as db:
            yield from db.execute("SELECT idx, entry FROM entry WHERE idx >= ? ORDER BY idx", (start,))

    def _check_entries(
        self,
        db: sqlite3.Connection,
        trees: Mapping[int, Checkpoint],
        floor: Floor,
        origin: str,
        findings: Findings,
    ) -> None:
        """(3) and (4)"""
        read = entry_reader(origin)
        for index, entry, path, size in db.execute("SELECT idx, entry, path, size FROM entry ORDER BY idx"):
            tree = trees.get(size)
            if tree is None:
                findings.add(Fault.MISSING, f"entry {index}: the tree it was proved in is not here", index)
            elif not (isinstance(entry, bytes) and isinstance(path, bytes)):
                findings.add(Fault.ALTERED, f"entry {index}: no bytes of an entry and its proof", index)
            else:
                try:
                    verify_inclusion(index, tree.size, leaf_hash(entry), split_hashes(path), tree.root)
                    if read(entry) < floor.at(index):
                        text = f"entry {index} is dated before a tree without it was cosigned"
                        findings.add(Fault.BACK_DATED, text, index)
                except ProofInvalid as error:
                    findings.add(Fault.ALTERED, f"entry {index}: {error.message}", index)
                except EntryInvalid as error:
                    findings.add(Fault.MALFORMED, f"entry {index}: {error.message}", index)

    def _continued(self, db: sqlite3.Connection, source: Source, note: str, vkey: str) -> Checkpoint:
        """The tree of this pull, proved to continue the one of the pull before. Raises: LogFork."""
        tree = open_checkpoint(note, [vkey])
        trees = Trees(db)
        try:
            if tree.size < max(trees.notes(), default=0):
                raise LogFork("the hub's log is shorter than the one pulled before", rule="rolled-back")
            return trees.see(source, note, [vkey])
        except LogFork as error:
            raise with_evidence(Mirror(self.folder), note, error) from None

    def _take(self, db: sqlite3.Connection, page: Mapping[str, JsonValue], tree: Checkpoint) -> str:
        """Prove and keep a page; where the next one begins."""
        listed, about = page.get("entries"), page.get("about")
        if not isinstance(listed, list) or not (about is None or isinstance(about, list)):
            raise HubRefused("the hub's answer holds no entries", field="entries")
        rows = [_proved(item, tree) for item in listed]
        cursor = _text(page, "cursor")
        db.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?)", rows)
        named = "" if about is None else " ".join(map(str, about))
        db.execute("UPDATE place SET cursor = ?, about = ?", (cursor, named))
        db.commit()
        return cursor

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Changes nothing: the folder may lie where nothing can be written."""
        try:
            # As an address: a folder's name may hold what is no letter of one.
            db = sqlite3.connect(f"{(self.folder / PART_FILE).resolve().as_uri()}?mode=ro", uri=True)
            try:
                if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'step'").fetchone() is None:
                    db.execute("CREATE TEMP TABLE step (old, new, proof)")
                yield db
            finally:
                db.close()
        except sqlite3.DatabaseError as error:
            raise LogIncomplete(
                f"{PART_FILE} is damaged, or a pull was cut short", field="DIR", hint="pull again"
            ) from error

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


def _evidence(mirror: Mirror) -> Iterator[KeptNote]:
    """What pulls kept for contradicting this part."""
    return (kept for kept in mirror.kept() if kept.evidence is not None)


def _say_step(findings: Findings, old: int, new: int, *, there: bool) -> None:
    if there:
        findings.add(Fault.FORKED, f"the tree of {new} entries does not continue that of {old}")
    else:
        findings.add(Fault.MISSING, f"nothing here proves that {new} entries continue {old}: pull again")


def _compare(item: Known, trees: Mapping[int, Checkpoint], findings: Findings) -> None:
    """(5)"""
    seen = item.checkpoint
    mine = trees.get(seen.size)
    if mine is not None and mine.root != seen.root:
        text = f"{item.source}: the log signed two different trees of {seen.size} entries"
        findings.add(Fault.FORKED, text)
    elif item.evidence is not None:
        fault = Fault.ROLLED_BACK if item.evidence == Fault.ROLLED_BACK else Fault.FORKED
        findings.add(fault, f"{item.source}: the log signed {seen.size} entries against what it showed here")
    elif mine is None:
        text = f"{item.source}: a part cannot hold {seen.size} entries against it without the hub"
        findings.add(Fault.MISSING, text)


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


def _text(page: Mapping[str, JsonValue], name: str) -> str:
    value = page.get(name)
    if not isinstance(value, str):
        raise HubRefused(f"the hub's answer has no {name}", field=name)
    return value


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM entry").fetchone()[0])


def _last(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(idx) + 1, 0) FROM entry").fetchone()[0])
