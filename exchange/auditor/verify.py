"""Check a pulled log offline: every entry, the tree, the checkpoint. Files in, a verdict out.

The order, which docs/threat-model.md uses too:
(1) the checkpoint is signed by the pinned key and names this log;
(2) every entry bundle is there and splits into entries;
(3) every entry is in the strict canonical form and names this log;
(4) the hash of every entry is the leaf that the log's own tile holds, which names an altered entry;
(5) every higher tile is the hash of the tiles below it;
(6) the tree over all entries has the checkpoint's root.
Verdicts are kept apart: integrity (3)-(6), completeness (2), and who witnessed the checkpoint.
Memory is constant: one bundle of 256 entries at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tiles_of
from exchange.log.tree import Frontier, root_of
from exchange_schemas.entry import check_canonical
from exchange_schemas.errors import EntryInvalid, ExchangeError, LogError, LogIncomplete

MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a stable code, the index of the entry to blame if one is, a sentence."""

    code: str
    index: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the files prove. `size` entries were named by the checkpoint, `checked` of them were read."""

    origin: str
    size: int
    checked: int
    integrity: bool
    complete: bool
    witnesses: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Integrity and completeness hold."""
        return self.integrity and self.complete


def verify_mirror(
    mirror: Mirror, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Verdict:
    """Check everything the folder holds against its own checkpoint, as numbered above.

    `progress` is called with (entries done, entries in all).
    Raises: CheckpointInvalid when there is no checkpoint to check against; LogIncomplete when the folder
    holds no log.
    """
    checkpoint = open_checkpoint(mirror.checkpoint, [mirror.vkey])  # (1)
    run = _Run(mirror, checkpoint)
    for tile in tiles_of(checkpoint.size, level=None):
        run.check_bundle(tile)
        progress(min(checkpoint.size, tile.start + tile.width), checkpoint.size)
        if len(run.findings) >= MAX_FINDINGS:
            break
    run.check_root()
    return run.verdict()


class _Run:
    """One verification under way: the frontier so far and what was found."""

    def __init__(self, mirror: Mirror, checkpoint: Checkpoint) -> None:
        self._mirror = mirror
        self._checkpoint = checkpoint
        # The tree over whole bundles, and the leaves of the last, partial one: one inner hash a leaf.
        self._bundles = Frontier.empty()
        self._rest = Frontier.empty()
        self._above: dict[int, list[bytes]] = {}
        self._checked = 0
        self._complete = True
        self.findings: list[Finding] = []

    def check_bundle(self, tile: Tile) -> None:
        """Steps (2) to (5) for 256 entries."""
        try:
            entries = self._mirror.stored(tile).entries(tile.width)
        except LogIncomplete as error:
            self._complete = False
            self._found(error, None)
            return
        except LogError as error:
            self._found(error, self._first_broken(tile))
            return
        for index, entry in enumerate(entries, start=tile.start):
            try:
                check_canonical(entry, log=self._checkpoint.origin)
            except EntryInvalid as error:
                self._found(error, index)
        hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
        self._compare(Tile(0, tile.n, tile.width), hashes)
        self._checked += len(hashes)
        if tile.width == TILE_WIDTH:
            node = root_of(hashes)
            self._bundles = self._bundles.append(node)
            self._climb(1, node)
        else:
            self._rest = self._rest.extend(hashes)

    def check_root(self) -> None:
        """Step (6), and the partial tiles of the upper levels."""
        for level, hashes in self._above.items():
            if hashes:
                n = (self._checkpoint.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
                self._compare(Tile(level, n, len(hashes)), hashes)
        if not self._complete or self._checked != self._checkpoint.size:
            return
        tree = Frontier(self._checked, (*self._bundles.hashes, *self._rest.hashes))
        if tree.root() != self._checkpoint.root:
            self.findings.append(
                Finding(
                    "PROOF_INVALID", None, "the tree over all entries does not have the checkpoint's root"
                )
            )

    def verdict(self) -> Verdict:
        """The result so far."""
        return Verdict(
            origin=self._checkpoint.origin,
            size=self._checkpoint.size,
            checked=self._checked,
            integrity=all(finding.code == LogIncomplete.code for finding in self.findings),
            complete=self._complete and self._checked == self._checkpoint.size,
            witnesses=(),
            findings=tuple(self.findings),
        )

    def _first_broken(self, tile: Tile) -> int | None:
        """In a bundle whose lengths do not add up: the first entry that is not the one in the log's tile."""
        try:
            stored = self._mirror.stored(Tile(0, tile.n, tile.width)).hashes(tile.width)
        except ExchangeError:
            return None
        data, at = self._mirror.stored(tile).data, 0
        for offset, leaf in enumerate(stored):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if sha256(b"\x00" + data[at + 2 : end]).digest() != leaf:
                return tile.start + offset
            at = end
        return None

    def _climb(self, level: int, node: bytes) -> None:
        """Keep a finished subtree's hash; compare and pass on each full tile of the level (5)."""
        row = self._above.setdefault(level, [])
        row.append(node)
        if len(row) == TILE_WIDTH:
            done = self._bundles.size >> (TILE_HEIGHT * (level - 1))
            self._compare(Tile(level, done // TILE_WIDTH - 1), row)
            self._above[level] = []
            self._climb(level + 1, root_of(row))

    def _compare(self, tile: Tile, computed: list[bytes]) -> None:
        """The log's own tile must hold these hashes; at level 0 a difference names the entry (4)."""
        try:
            stored = self._mirror.stored(tile).hashes(tile.width)
        except LogIncomplete as error:
            self._complete = False
            self._found(error, None)
            return
        except ExchangeError as error:
            self._found(error, None)
            return
        for offset in _differences(stored, computed):
            if tile.level == 0:
                index = tile.start + offset
                self.findings.append(
                    Finding("ENTRY_INVALID", index, f"entry {index} is not the one the log committed to")
                )
            else:
                self.findings.append(
                    Finding(
                        "PROOF_INVALID",
                        None,
                        f"the tile at level {tile.level} does not follow from the entries",
                    )
                )

    def _found(self, error: ExchangeError, index: int | None) -> None:
        where = "" if index is None else f"entry {index}: "
        self.findings.append(Finding(error.code, index, f"{where}{error.message}"))


def _differences(stored: tuple[bytes, ...], computed: list[bytes]) -> Iterator[int]:
    if list(stored) != computed:
        yield from (
            at for at, (left, right) in enumerate(zip(stored, computed, strict=True)) if left != right
        )
