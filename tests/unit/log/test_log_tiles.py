"""Tiles: one path for one tile, and proofs from tiles alone."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.log.tiles import (
    Tile,
    encode_bundle,
    node_reader,
    parse_tile_path,
    split_bundle,
    split_tile,
    tile_path,
    tiles_of,
)
from exchange.log.tree import (
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from exchange_schemas.errors import EntryInvalid, LogIncomplete, Malformed


class TileStore:
    """A log cut into tiles, as a folder of files would hold it."""

    def __init__(self, size: int) -> None:
        self.leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(size)]
        self.levels = [self.leaves]
        while len(self.levels[-1]) >= 256:
            below = self.levels[-1]
            self.levels.append(
                [root_of(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)]
            )

    def __call__(self, tile: Tile) -> bytes:
        assert tile.level is not None
        row = self.levels[tile.level][tile.start : tile.start + tile.width]
        assert len(row) == tile.width
        return b"".join(row)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/x001/x234/067", Tile(0, 1234067)),
        ("tile/1/000.p/17", Tile(1, 0, 17)),
        ("tile/63/999", Tile(63, 999)),
        ("tile/entries/x001/000.p/255", Tile(None, 1000, 255)),
    ],
)
def test_paths_are_those_of_the_specification(path: str, tile: Tile) -> None:
    assert tile_path(tile.level, tile.n, tile.width) == path
    assert parse_tile_path(path) == tile


@given(st.none() | st.integers(0, 63), st.integers(0, 2**55 - 1), st.integers(1, 256))
def test_a_path_survives_both_ways(level: int | None, n: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, n, width)) == Tile(level, n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/data/000",
        "tile/0/000\n",
        "tile/0/" + "x999/" * 6 + "999",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(Malformed):
        parse_tile_path(path)


@pytest.mark.parametrize(
    ("level", "n", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2**55, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_out_of_range_has_no_path(level: int, n: int, width: int) -> None:
    with pytest.raises(Malformed):
        tile_path(level, n, width)


def test_the_tiles_of_a_tree_of_70_000_are_those_of_the_specification() -> None:
    level0 = list(tiles_of(70_000))
    assert (len(level0), level0[-1]) == (274, Tile(0, 273, 112))
    assert list(tiles_of(70_000, level=1)) == [Tile(1, 0), Tile(1, 1, 17)]
    assert list(tiles_of(70_000, level=2)) == [Tile(2, 0, 1)]
    assert list(tiles_of(70_000, level=3)) == []
    assert list(tiles_of(70_000, level=None, after=69_900)) == [Tile(None, 273, 112)]
    assert list(tiles_of(256)) == [Tile(0, 0)]
    assert list(tiles_of(256, level=1)) == [Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537])
def test_proofs_from_tiles_verify(size: int) -> None:
    store = TileStore(size)
    root = root_of(store.leaves)
    read = node_reader(size, store)
    assert frontier_at(size, read).root() == root
    for index in {0, size // 3, size - 1}:
        proof = inclusion_proof(index, size, read)
        verify_inclusion(index, size, store.leaves[index], proof, root)
    for first in {1, size // 2 or 1, size}:
        verify_consistency(
            first, size, consistency_proof(first, size, read), root_of(store.leaves[:first]), root
        )


def test_a_node_that_the_tree_does_not_have_is_not_read() -> None:
    read = node_reader(300, TileStore(300))
    for level, index in [(0, 300), (8, 1), (0, -1), (9, 0)]:
        with pytest.raises(LogIncomplete):
            read(level, index)


def test_a_full_tile_serves_where_a_partial_one_was_asked_for() -> None:
    store = TileStore(600)
    read = node_reader(
        300, lambda tile: store(Tile(tile.level, tile.n)) if (tile.level, tile.n) == (0, 1) else store(tile)
    )
    assert frontier_at(300, read).root() == root_of(store.leaves[:300])


def test_a_short_or_crooked_tile_is_refused() -> None:
    with pytest.raises(LogIncomplete):
        split_tile(bytes(64), 3)
    for data in (bytes(63), bytes(32 * 257)):
        with pytest.raises(Malformed):
            split_tile(data, 1)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_a_bundle_survives_both_ways(entries: list[bytes]) -> None:
    assert split_bundle(encode_bundle(entries)) == entries


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.data())
def test_a_truncated_bundle_never_gives_all_its_entries(entries: list[bytes], data: st.DataObject) -> None:
    whole = encode_bundle(entries)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with suppress(EntryInvalid):
        found = split_bundle(cut)
        assert len(found) < len(entries)


def test_a_bundle_out_of_bounds_is_refused() -> None:
    with pytest.raises(EntryInvalid):
        encode_bundle([])
    with pytest.raises(EntryInvalid):
        encode_bundle([b""] * 257)
    with pytest.raises(EntryInvalid):
        encode_bundle([bytes(65_536)])
    assert split_bundle(encode_bundle([bytes(65_535)])) == [bytes(65_535)]
    assert split_bundle(encode_bundle([b""] * 256)) == [b""] * 256
    with pytest.raises(EntryInvalid):
        split_bundle(b"\0\0" * 257)
