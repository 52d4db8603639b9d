"""Every entry of a copy in order, each proved by the signed checkpoint; what is not is never given out.

Exports, proofs and reports read through here, so that none of them can be made from a log that does not
verify. Memory is constant: one bundle of 256 entries at a time. The last step, the root over all entries, can
fail only at the end: whoever writes a file must not put it in its place before the last entry has come.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.growth import GrowingTree
from exchange.log.tiles import Tile, tiles_of
from exchange.log.tree import leaf_hash
from exchange_schemas.entry import entry_reader
from exchange_schemas.errors import EntryInvalid, ProofInvalid


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the log: its index, its bytes, its leaf hash, its time in µs."""

    index: int
    entry: bytes
    hash: bytes
    ts: int


def signed_tree(mirror: Mirror, trust: Trust) -> Checkpoint:
    """What the copy claims to be. Raises: CheckpointInvalid, LogIncomplete."""
    return open_checkpoint(mirror.checkpoint, trust.keys)


def proved_leaves(
    mirror: Mirror, checkpoint: Checkpoint, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Leaf]:
    """Every leaf of the tree under `checkpoint`. `progress` gets (entries done, entries in all).

    Raises: EntryInvalid naming the first entry that is not the log's or breaks a rule; ProofInvalid after
    the last one when they do not lead to the root; LogIncomplete.
    """
    tree = GrowingTree(())
    read = entry_reader(checkpoint.origin)
    for tile in tiles_of(checkpoint.size, level=None):
        entries = mirror.stored(tile).entries(tile.width)
        hashes = [leaf_hash(entry) for entry in entries]
        row = mirror.stored(Tile(0, tile.n, tile.width)).row(tile.width)
        if b"".join(hashes) != row:
            raise _wrong(tile.start)
        tree.add(hashes)
        for index, (entry, digest) in enumerate(zip(entries, hashes, strict=True), tile.start):
            yield Leaf(index, entry, digest, read(entry))
        progress(tile.start + tile.width, checkpoint.size)
    if tree.root() != checkpoint.root:
        raise ProofInvalid("the entries do not lead to the signed root", rule="T4-root", hint=_HINT)


def _wrong(start: int) -> EntryInvalid:
    text = f"among the 256 entries from {start} on is one that the log did not commit to"
    return EntryInvalid(text, field=f"entry {start}", hint=_HINT)


_HINT = "exchange-audit verify DIR names what is wrong"


def entries_from(mirror: Mirror, size: int, start: int) -> Iterator[tuple[int, bytes]]:
    """(index, entry) of the copy's first `size` entries from number `start` on, not proved.

    Raises: LogIncomplete, EntryInvalid.
    """
    for tile in tiles_of(size, level=None, after=start):
        for index, entry in enumerate(mirror.stored(tile).entries(tile.width), tile.start):
            if index >= start:
                yield index, entry
