"""The signed trees that the holder of some of a log was shown, each proved to continue the one before.

The steps between them are kept with their proofs, so that they hold again at any time, offline. A note that
does not fit between its neighbours proves a fork; one beyond all that the hub shows proves a roll-back.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import split_note
from exchange.log.tree import split_hashes, verify_consistency
from exchange.log.witnessing import merge_notes
from exchange.member.witnessed import TileSource, prefix_prover
from exchange_schemas.errors import LogFork, NotFound, ProofInvalid

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tree (size INTEGER PRIMARY KEY, note TEXT);
CREATE TABLE IF NOT EXISTS step (old INTEGER, new INTEGER, proof BLOB, PRIMARY KEY (old, new));
"""


@dataclass(frozen=True, slots=True)
class Trees:
    """The trees in an open database with `SCHEMA`; nothing is committed here."""

    db: sqlite3.Connection

    def notes(self) -> dict[int, str]:
        """The notes by the size that they are kept under, the smallest first."""
        return dict(self.db.execute("SELECT size, note FROM tree ORDER BY size"))

    def see(self, source: TileSource, note: str, vkeys: Iterable[str]) -> Checkpoint:
        """Prove that a note fits in with all that were shown before, over the log's tiles, and keep it.

        Raises: LogFork (forked, rolled-back), CheckpointInvalid.
        """
        seen = open_checkpoint(note, vkeys)
        kept = self.notes().get(seen.size)
        if kept is not None:
            if split_note(kept)[0] != split_note(note)[0]:
                raise _forked(seen)
            note = merge_notes(kept, note)
        self.db.execute("INSERT OR REPLACE INTO tree VALUES (?, ?)", (seen.size, note))
        self._prove_steps(source, seen)
        return seen

    def _prove_steps(self, source: TileSource, seen: Checkpoint) -> None:
        """Every step that has no proof yet: those beside `seen`, and any that were never proved."""
        trees = {size: Checkpoint.from_text(split_note(note)[0]) for size, note in self.notes().items()}
        proved = set(self.db.execute("SELECT old, new FROM step"))
        for old, new in pairwise(trees):
            if (old, new) not in proved:
                try:
                    proof = prefix_prover(source, trees[new])(trees[old])
                except NotFound as error:
                    raise _shorter(seen) from error
                except ProofInvalid as error:
                    raise _forked(seen) from error
                self.db.execute("INSERT INTO step VALUES (?, ?, ?)", (old, new, b"".join(proof)))

    def unproved(self, trees: Mapping[int, Checkpoint]) -> Iterator[tuple[int, int, bool]]:
        """The steps between these trees that do not hold: old and new size, and whether a proof is there."""
        for old, new in pairwise(sorted(trees)):
            row = self.db.execute("SELECT proof FROM step WHERE old = ? AND new = ?", (old, new)).fetchone()
            if row is None or not isinstance(row[0], bytes):
                yield old, new, False
                continue
            try:
                verify_consistency(old, new, split_hashes(row[0]), trees[old].root, trees[new].root)
            except ProofInvalid:
                yield old, new, True


def _forked(seen: Checkpoint) -> LogFork:
    return LogFork(
        f"the log signed a tree of {seen.size} entries that does not fit in with the others it signed",
        field="checkpoint",
        rule="forked",
    )


def _shorter(seen: Checkpoint) -> LogFork:
    return LogFork(
        f"the log signed {seen.size} entries, and the hub does not show so many",
        field="checkpoint",
        rule="rolled-back",
    )
