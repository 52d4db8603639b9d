"""One entry's proof, to be handed to somebody who has neither the log nor the hub (C2SP tlog-proof).

The proof holds the entry itself as its extra data, so that one file is enough. It is built under the newest
checkpoint that a quorum cosigned, if one reaches so far, and is checked before it is given out.
"""

from dataclasses import dataclass
from typing import Final

from exchange.auditor.history import Known, Trust, know
from exchange.auditor.mirror import Mirror
from exchange.auditor.reading import signed_tree
from exchange.auditor.verdict import Findings
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.policy import Quorate
from exchange.log.proof import format_proof, parse_proof
from exchange.log.tiles import TILE_WIDTH, Tile, node_reader, tiles_of
from exchange.log.tree import inclusion_proof, leaf_hash, verify_inclusion
from exchange_schemas.entry import Entry, check_canonical
from exchange_schemas.errors import NotFound, ProofInvalid

_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class Proved:
    """An entry and its place, as a proof file says and the log's signature confirms."""

    index: int
    entry: bytes
    checkpoint: Checkpoint
    quorum: Quorate | None


def find_index(mirror: Mirror, trust: Trust, wanted: str) -> int:
    """The index of an entry, from an index (a number) or an entry's id; `prove` proves what stands there.

    Raises: NotFound, LogIncomplete, EntryInvalid, CheckpointInvalid.
    """
    size = signed_tree(mirror, trust).size
    missing = NotFound("the copy has no such entry", hint=f"it has the entries below {size}")
    if wanted.isascii() and wanted.isdecimal():
        if len(wanted) > _DIGITS or int(wanted) >= size:
            raise missing
        return int(wanted)
    marked = f'"id":"{wanted}"'.encode("utf-8", "replace")
    for tile in tiles_of(size, level=None):
        stored = mirror.stored(tile)
        if marked in stored.data:
            for index, entry in enumerate(stored.entries(tile.width), tile.start):
                if marked in entry and Entry.from_bytes(entry).id == wanted:
                    return index
    raise missing


def prove(mirror: Mirror, trust: Trust, index: int) -> str:
    """The proof text for an entry of this copy. Raises: ProofInvalid, LogIncomplete, EntryInvalid."""
    note, tree = _best_note(mirror, trust, index)

    def load(tile: Tile) -> bytes:
        return mirror.stored(tile).row(tile.width)

    bundle = index // TILE_WIDTH
    width = min(TILE_WIDTH, tree.size - bundle * TILE_WIDTH)
    entry = mirror.stored(Tile(None, bundle, width)).entries(width)[index % TILE_WIDTH]
    path = inclusion_proof(index, tree.size, node_reader(tree.size, load))
    verify_inclusion(index, tree.size, leaf_hash(entry), path, tree.root)
    return format_proof(index, path, note, extra=entry)


def check_proof(text: str, trust: Trust) -> Proved:
    """Prove that the entry within a proof file is in the log, offline.

    (1) The text is a proof and holds an entry. (2) Its checkpoint is signed by the log's key. (3) The path
    leads from the entry to the root. (4) The entry is one of that log. (5) What the policy's witnesses say.
    Raises: ProofInvalid, CheckpointInvalid, EntryInvalid.
    """
    proof = parse_proof(text)  # (1)
    if proof.extra is None:
        raise ProofInvalid("the proof holds no entry", rule="P1-form", field="extra")
    tree = open_checkpoint(proof.note, trust.keys)  # (2)
    verify_inclusion(proof.index, tree.size, leaf_hash(proof.extra), proof.hashes, tree.root)  # (3)
    check_canonical(proof.extra, log=tree.origin)  # (4)
    quorum = None if trust.policy is None else trust.policy.judge_cosignatures(proof.note, trust.now)  # (5)
    return Proved(proof.index, proof.extra, tree, quorum)


def _best_note(mirror: Mirror, trust: Trust, index: int) -> tuple[str, Checkpoint]:
    """The newest checkpoint with a quorum that has the leaf; else the newest of all."""
    current = signed_tree(mirror, trust)
    notes = {note.source: note for note in mirror.kept() if note.evidence is None}
    known = know(notes.values(), trust, current.origin, Findings())
    fit = [item for item in known if item.quorum_at is not None and _has(item, index, current)]
    best = max(fit, key=lambda item: item.quorum_at or trust.now, default=None)
    if best is None:
        return mirror.checkpoint, current
    return notes[best.source].note, best.checkpoint


def _has(known: Known, index: int, current: Checkpoint) -> bool:
    return index < known.checkpoint.size <= current.size
