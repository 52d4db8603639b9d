"""Check a pulled log offline: every entry, the tree, the checkpoint, its history, its witnesses.

The order, which docs/audit.md uses too:
(1) the checkpoint is signed by the log's key, as the auditor knows it, and names this log;
(2) every entry bundle is there and splits into entries;
(3) every entry is in the strict canonical form and names this log;
(4) the hash of every entry is the leaf that the log's own tile holds, which names the entry at fault;
(5) every higher tile is the hash of the tiles below it;
(6) the tree over all entries has the checkpoint's root;
(7) every other checkpoint that is known is a prefix of that tree;
(8) no entry is dated before a tree that lacks it was cosigned (`exchange.auditor.history`);
(9) every heads entry commits to the slices of the entries that it covers (`exchange.auditor.headed`).
Memory is constant: one bundle of 256 entries at a time, and a few numbers for each checkpoint that was kept.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from exchange.auditor.faults import Differences
from exchange.auditor.headed import HeadsCheck
from exchange.auditor.history import Floor, Known, Trust, check_known, know, vouched
from exchange.auditor.mirror import KeptNote, Mirror, StoredTile
from exchange.auditor.verdict import Fault, Findings, Verdict
from exchange.log.canonical import Bundle, bundle_reader
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.growth import GrowingTree
from exchange.log.slices import parties_of
from exchange.log.tiles import Tile, read_bundle, split_tile, tiles_of
from exchange.log.tree import leaf_hash
from exchange_schemas.entry import entry_reader
from exchange_schemas.errors import CheckpointInvalid, EntryInvalid, ExchangeError, LogIncomplete

_UNKNOWN: Final = "?"
Take = Callable[[int, Sequence[bytes], Sequence[int]], None]
"""Gets the index of a bundle's first entry, its entries, and their times in µs."""


def _ignore(_start: int, _entries: Sequence[bytes], _times: Sequence[int]) -> None:
    """Nobody looks at the entries."""


def verify_mirror(
    mirror: Mirror,
    trust: Trust,
    *,
    others: Iterable[KeptNote] = (),
    take: Take = _ignore,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verdict:
    """Check everything the folder holds against its own checkpoint, as numbered above.

    `others` are checkpoints that somebody else saw. `take` is shown every bundle that holds so far; what it
    made of them is worth nothing unless the verdict is good. `progress` gets (entries done, entries in all).
    Raises: LogIncomplete when the folder holds no log.
    """
    findings = Findings()
    note = mirror.checkpoint
    try:
        current = open_checkpoint(note, trust.keys)  # (1)
    except CheckpointInvalid as error:
        findings.add(Fault.UNSIGNED, f"checkpoint: {error.message}")
        return _verdict(Checkpoint(_UNKNOWN, 0, b""), trust, [], 0, findings)
    kept = [KeptNote("checkpoint", note), *mirror.kept(), *others]
    known = know(kept, trust, current.origin, findings)
    run = _Run(mirror, current, known, findings, take)
    for tile in tiles_of(current.size, level=None):
        run.check_bundle(tile)
        progress(min(current.size, tile.start + tile.width), current.size)
    run.finish()
    return _verdict(current, trust, known, run.checked, findings, covered=run.covered)


def _verdict(
    current: Checkpoint,
    trust: Trust,
    known: Sequence[Known],
    checked: int,
    findings: Findings,
    *,
    covered: int | None = None,
) -> Verdict:
    return Verdict(
        origin=current.origin,
        key=trust.source,
        size=current.size,
        checked=checked,
        witnessed=vouched(known, current, trust.policy),
        counts=dict(findings.counts),
        findings=tuple(findings.listed),
        covered=covered,
    )


class _Run:
    """One verification under way."""

    def __init__(
        self,
        mirror: Mirror,
        current: Checkpoint,
        known: Sequence[Known],
        findings: Findings,
        take: Take,
    ) -> None:
        self._mirror = mirror
        self._current = current
        self._known = known
        self._findings = findings
        self._take = take
        self._read = entry_reader(current.origin)
        self._read_all = bundle_reader(current.origin)
        self._floor = Floor(known)
        self._differences = Differences()
        # The log's own leaves, and what the entries hash to: one tree until a bundle differs.
        self._leaves = GrowingTree([item.checkpoint.size for item in known], self._compare_upper)
        self._entries: GrowingTree | None = None
        self._whole = True
        self.checked = 0
        salts = mirror.salts()
        # Of entries that do not hold nothing is recomputed: then this is None.
        self._heads = None if salts is None else HeadsCheck(salts, findings)

    @property
    def covered(self) -> int | None:
        """How many entries step (9) says something of; None when it was not possible to the end."""
        return None if self._heads is None else self._heads.covers

    def check_bundle(self, tile: Tile) -> None:
        """Steps (2) to (5) and (8) for up to 256 entries."""
        row = self._row(Tile(0, tile.n, tile.width))
        whole, entries, rest = self._bundle(tile)
        found = [*map(leaf_hash, entries or ())]
        if entries is not None:
            self.checked += min(len(found), tile.width)
        leaves = found
        if row is None:
            # Without the log's own leaves the entries must lead to the root by themselves.
            self._whole = self._whole and len(found) == tile.width
        elif b"".join(found) != row:
            leaves = list(split_tile(row, tile.width))
        if entries is None:
            self._heads = None
        elif rest or found is not leaves:
            self._entries = self._leaves.copy() if self._entries is None else self._entries
            self._differences.compare(tile.start, found, leaves, broken=rest)
            for index, (entry, leaf) in enumerate(zip(entries, found, strict=True), tile.start):
                # What the log never committed to breaks no rule of the log.
                if leaf in leaves:
                    self._check_times(index, self._times(index, [entry]))
            self._heads = None
        else:
            self._check_bundle(tile.start, whole or self._read_each(tile.start, entries), found)
        if self._entries is not None:
            self._entries.add(leaves if entries is None else found)
        self._leaves.add(leaves)

    def _check_bundle(self, start: int, bundle: Bundle, leaves: Sequence[bytes]) -> None:
        """Steps (8) and (9), of entries that are those of the log."""
        self._check_times(start, bundle.times)
        self._take(start, bundle.entries, bundle.times)
        if self._heads is not None:
            self._heads.add(start, bundle, leaves)

    def finish(self) -> None:
        """Step (6), the partial tiles of the upper levels, step (7), and the end of step (9)."""
        if self._heads is not None:
            self._heads.finish()
        signed = self._current.root
        self._leaves.finish()
        true = self._leaves if self._whole and self._leaves.root() == signed else None
        if true is None and self._entries is not None and self._entries.root() == signed:
            true = self._entries
            self._findings.add(Fault.TILE, "a tile of leaves is not that of its entries, which are right")
        else:
            self._differences.settle(self._findings)
            if true is None and self._whole:
                self._findings.add(Fault.REWRITTEN, "the entries do not lead to the root that the log signed")
        for known in self._known:
            check_known(known, self._current, None if true is None else true.roots, self._findings)

    def _bundle(self, tile: Tile) -> tuple[Bundle | None, Sequence[bytes] | None, bool]:
        """Step (2): the entries that are there, None without the file; whether bytes are left that make none.

        Before them the bundle, where it is canonical as a whole: steps (2) and (3) at once.
        """
        stored = self._stored(tile)
        if stored is None:
            return None, None, False
        whole = self._read_all(stored.data) if stored.width == tile.width else None
        if whole is not None and len(whole.entries) == tile.width:
            return whole, whole.entries, False
        try:
            return None, stored.entries(tile.width), False
        except ExchangeError:
            entries, rest = read_bundle(stored.data)
            return None, entries, rest != b""

    def _read_each(self, start: int, entries: Sequence[bytes]) -> Bundle:
        """Step (3), entry by entry, which names what is wrong."""
        return Bundle(entries, self._times(start, entries), [parties_of(entry) for entry in entries])

    def _times(self, start: int, entries: Sequence[bytes]) -> list[int]:
        return [self._time_of(index, entry) for index, entry in enumerate(entries, start)]

    def _check_times(self, start: int, times: Sequence[int]) -> None:
        """Step (8)."""
        if times and min(times) < self._floor.at(start + len(times) - 1):
            for index, time in enumerate(times, start):
                if time < self._floor.at(index):
                    self._findings.add(
                        Fault.BACK_DATED,
                        f"entry {index} is dated before a tree without it was cosigned",
                        index,
                    )

    def _time_of(self, index: int, entry: bytes) -> int:
        try:
            return self._read(entry)
        except EntryInvalid as error:
            self._findings.add(Fault.MALFORMED, f"entry {index}: {error.message}", index)
            return self._floor.at(index)

    def _stored(self, tile: Tile) -> StoredTile | None:
        try:
            return self._mirror.stored(tile)
        except LogIncomplete as error:
            self._findings.add(Fault.MISSING, error.message)
            return None

    def _row(self, tile: Tile) -> bytes | None:
        """The hashes of the log's own tile, None without the file or where it is no such tile."""
        stored = self._stored(tile)
        try:
            return None if stored is None else stored.row(tile.width)
        except LogIncomplete as error:
            self._findings.add(Fault.MISSING, error.message)
        except ExchangeError as error:
            self._findings.add(Fault.TILE, error.message)
        return None

    def _compare_upper(self, tile: Tile, computed: list[bytes]) -> None:
        """Step (5): the log's own tile must hold these hashes."""
        row = self._row(tile)
        if row is not None and row != b"".join(computed):
            self._findings.add(
                Fault.TILE, f"tile {tile.n} of level {tile.level} does not follow from the tiles below it"
            )
