"""An auditor's pulled copy of the audit log, read as what it is: a folder that somebody else filled.

Nothing in it is believed. Its entries must be canonical and lead to a checkpoint that this hub's own log key
signed; where the hub has a policy, a quorum of its witnesses must have cosigned one of its checkpoints; and
every signed checkpoint in it must be a prefix. The layout is that of a static C2SP log (docs/audit.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exchange.hub.services.logs import audit_log
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.growth import GrowingTree
from exchange.log.note import NOTE_BYTES
from exchange.log.policy import PolicyKey
from exchange.log.slices import SALTS_FILE, SALTS_FILE_BYTES, read_salts
from exchange.log.tiles import TILE_WIDTH, Tile, split_bundle, tile_path, tiles_of
from exchange.log.tree import leaf_hash
from exchange_schemas.entry import entry_reader
from exchange_schemas.errors import (
    CheckpointInvalid,
    ConfigInvalid,
    LogFork,
    LogIncomplete,
    Malformed,
    ProofInvalid,
)
from exchange_schemas.ids import check_agency

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub

_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + 65_535)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy that verified: its tree, the roots at the sizes that were asked for, a digest of each bundle.

    `witnessed`: the size of the largest tree in it that a quorum cosigned; None where there is no policy.
    `salts`: the secrets of the parties' slices, as the auditor pulled them here.
    """

    folder: Path
    tree: Checkpoint
    roots: dict[int, bytes]
    digests: tuple[bytes, ...]
    witnessed: int | None
    salts: Mapping[str, bytes]

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle, still those that verified. Raises: LogIncomplete when they changed."""
        found = _bundle(self.folder, tile)
        if _digest(found) != self.digests[tile.n]:
            raise LogIncomplete("the copy was changed while it was read", field=tile_path(None, tile.n))
        return found

    def bundles(self, first: int) -> Iterator[Tile]:
        """Every bundle from the one that holds entry number `first` on."""
        return iter(tiles_of(self.tree.size, level=None, after=first))


def read_mirror(hub: Hub, folder: Path, sizes: set[int], progress: Progress) -> Mirror:
    """Verify the copy in `folder`; `sizes`: where its root is wanted, as far as it goes.

    Raises: CheckpointInvalid when nothing in it is signed by this hub's log key or witnessed by a quorum;
    EntryInvalid, ProofInvalid, LogIncomplete when its entries are not those; LogFork when it contradicts
    itself; ConfigInvalid when there is no copy.
    """
    pins, origin = audit_log(hub).pins, hub.settings.audit_log
    notes = [_note(folder / "checkpoint"), *_kept_notes(folder)]
    trees = [open_checkpoint(note, pins, origin=origin) for note in notes]
    tree = trees[0]
    witnessed = _witnessed(hub, notes, trees)
    grown = GrowingTree({*sizes, *(one.size for one in trees)})
    read, digests = entry_reader(origin), []
    for tile in tiles_of(tree.size, level=None):
        entries = _bundle(folder, tile)
        for entry in entries:
            read(entry)
        grown.add([leaf_hash(entry) for entry in entries])
        digests.append(_digest(entries))
        progress(grown.size, tree.size)
    if grown.root() != tree.root:
        raise ProofInvalid("the entries of the copy do not lead to its signed root", rule="T4-root")
    for one in trees:
        if one.size > tree.size or grown.roots[one.size] != one.root:
            raise LogFork(f"the copy holds a checkpoint of {one.size} entries that it does not continue")
    return Mirror(folder, tree, grown.roots, tuple(digests), witnessed, _salts(folder / SALTS_FILE))


def _witnessed(hub: Hub, notes: list[str], trees: list[Checkpoint]) -> int | None:
    if hub.witnesses is None or hub.witnesses.needed == 0:
        return None
    pins = tuple(PolicyKey(key) for key in audit_log(hub).pins)
    policy, now = replace(hub.witnesses.policy, logs=pins), hub.clock()
    met = [
        tree.size
        for note, tree in zip(notes, trees, strict=True)
        if policy.judge_cosignatures(note, now).witnessed
    ]
    if not met:
        raise CheckpointInvalid(
            "no checkpoint of the copy was cosigned by a quorum of this hub's witnesses",
            hint="take the copy of an auditor who pulled with the policy",
        )
    return max(met)


def _salts(path: Path) -> dict[str, bytes]:
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            salts = read_salts(file.read(SALTS_FILE_BYTES + 1))
        return {check_agency(party, field=SALTS_FILE): salt for party, salt in salts.items()}
    except Malformed as error:
        raise LogIncomplete(f"{SALTS_FILE} of the copy cannot be read", field=SALTS_FILE) from error


def _kept_notes(folder: Path) -> list[str]:
    kept = folder / "checkpoints"
    if not kept.is_dir():
        return []
    return [_note(path) for path in sorted(kept.iterdir()) if path.suffix != ".tmp"]


def _note(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(NOTE_BYTES).decode("utf-8")
    except OSError as error:
        hint = "name the folder of exchange-audit pull"
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror})", field="DIR", hint=hint) from None
    except UnicodeDecodeError:
        raise CheckpointInvalid(f"{path.name} is no signed note", rule="N1-form") from None


def _bundle(folder: Path, tile: Tile) -> list[bytes]:
    """The entries of one bundle, out of the full file or any partial one that is wide enough."""
    partial = folder / f"{tile_path(None, tile.n)}.p"
    wide = [folder / tile_path(None, tile.n)]
    wide += [partial / str(width) for width in range(tile.width, TILE_WIDTH)]
    for path in wide:
        if path.is_file():
            with path.open("rb") as file:
                found = split_bundle(file.read(_BUNDLE_BYTES + 1))
            if len(found) < tile.width:
                break
            return found[: tile.width]
    name = tile_path(None, tile.n, tile.width)
    raise LogIncomplete(f"the copy lacks {name}", field=name, hint="pull again, or take another copy")


def _digest(entries: list[bytes]) -> bytes:
    return sha256(b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)).digest()
