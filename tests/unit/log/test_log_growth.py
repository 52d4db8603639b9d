"""The growing tree gives the same roots and tiles as the tree made at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.log.growth import GrowingTree
from exchange.log.tiles import Tile, tiles_of
from exchange.log.tree import EMPTY_ROOT, leaf_hash, root_of

LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


def grow(tree: GrowingTree, size: int) -> GrowingTree:
    for tile in tiles_of(size):
        tree.add(LEAVES[tile.start : tile.start + tile.width])
    tree.finish()
    return tree


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(0, 1_100), max_size=8))
def test_the_roots_asked_for_are_those_of_the_tree_at_that_size(size: int, asked: list[int]) -> None:
    tree = grow(GrowingTree(asked), size)
    assert tree.root() == root_of(LEAVES[:size])
    for one in asked:
        assert tree.roots.get(one) == (root_of(LEAVES[:one]) if one <= size else None)


def test_an_empty_tree_has_the_empty_root() -> None:
    assert grow(GrowingTree([0, 5]), 0).roots == {0: EMPTY_ROOT}


@pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_537, 66_000])
def test_every_upper_tile_is_shown_once_as_it_must_be(size: int) -> None:
    shown: dict[Tile, list[bytes]] = {}

    def show(tile: Tile, row: list[bytes]) -> None:
        assert tile not in shown
        shown[tile] = list(row)

    grow(GrowingTree([], show), size)
    wanted = [tile for level in (1, 2) for tile in tiles_of(size, level=level)]
    assert sorted(shown, key=str) == sorted(wanted, key=str)
    for tile, row in shown.items():
        assert tile.level is not None
        width = 256**tile.level
        first = tile.start * width
        assert row == [
            root_of(LEAVES[first + at * width : first + (at + 1) * width]) for at in range(tile.width)
        ]


def test_a_copy_grows_apart() -> None:
    tree = GrowingTree([512])
    tree.add(LEAVES[:256])
    other = tree.copy()
    tree.add(LEAVES[256:512])
    other.add(LEAVES[1256:1512])
    assert tree.roots[512] == root_of(LEAVES[:512])
    assert other.roots[512] == root_of(LEAVES[:256] + LEAVES[1256:1512])
