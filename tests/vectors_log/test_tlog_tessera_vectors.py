"""A log written by another implementation: every checkpoint, tile, bundle and proof in it verifies."""

from base64 import b64decode
from pathlib import Path

import pytest

from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.proof import format_proof, verify_entry
from exchange.log.tiles import Tile, encode_bundle, node_reader, split_bundle, split_tile, tile_path
from exchange.log.tree import (
    Frontier,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
)
from exchange_schemas.errors import CheckpointInvalid

# The public key that the published test log says it was signed with.
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
SIZES = range(16)


@pytest.fixture
def log(shared_data: Path) -> Path:
    return shared_data / "vectors/tlog-tessera/testdata/log"


def note_of(log: Path, size: int) -> str:
    return (log / f"checkpoint.{size}").read_text()


def checkpoint_of(log: Path, size: int) -> Checkpoint:
    checkpoint = open_checkpoint(note_of(log, size), [VKEY])
    assert checkpoint.size == size
    return checkpoint


def test_every_checkpoint_opens_and_the_newest_is_the_last(log: Path) -> None:
    for size in SIZES:
        checkpoint_of(log, size)
    assert open_checkpoint((log / "checkpoint").read_text(), [VKEY]) == checkpoint_of(log, 15)


def test_every_flipped_byte_of_a_checkpoint_is_refused(log: Path) -> None:
    data = (log / "checkpoint.15").read_bytes()
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(CheckpointInvalid):
            open_checkpoint(flipped.decode("utf-8", "surrogateescape"), [VKEY])


@pytest.mark.parametrize("size", SIZES[1:])
def test_bundles_hash_to_tiles_and_tiles_to_the_signed_root(log: Path, size: int) -> None:
    bundle = (log / tile_path(None, 0, size)).read_bytes()
    entries = split_bundle(bundle)
    assert encode_bundle(entries) == bundle
    leaves = split_tile((log / tile_path(0, 0, size)).read_bytes(), size)
    assert tuple(map(leaf_hash, entries)) == leaves
    assert Frontier.empty().extend(leaves).root() == checkpoint_of(log, size).root


@pytest.mark.parametrize("size", SIZES[1:])
def test_proofs_built_from_the_tiles_verify_against_the_signed_roots(log: Path, size: int) -> None:
    def load(tile: Tile) -> bytes:
        return (log / tile_path(tile.level, tile.n, tile.width)).read_bytes()

    read = node_reader(size, load)
    new = checkpoint_of(log, size)
    assert frontier_at(size, read).root() == new.root
    for first in range(1, size + 1):
        old = checkpoint_of(log, first)
        verify_consistency(first, size, consistency_proof(first, size, read), old.root, new.root)
    entries = split_bundle(load(Tile(None, 0, size)))
    for index, entry in enumerate(entries):
        text = format_proof(index, inclusion_proof(index, size, read), note_of(log, size))
        assert verify_entry(entry, text, [VKEY]) == new


def test_the_empty_log_has_the_empty_root(log: Path) -> None:
    assert checkpoint_of(log, 0).root == Frontier.empty().root()
    assert checkpoint_of(log, 0).root == b64decode("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
