"""The tree over a log as it is read from left to right, bundle by bundle, in constant memory. Pure.

It gives the roots at the sizes that were asked for beforehand, and shows every tile of the upper levels as it
is finished, so that a caller can hold it against the log's own.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Final

from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile
from exchange.log.tree import EMPTY_ROOT, Frontier, complete_root

ShowTile = Callable[[Tile, list[bytes]], None]


def _ignore(_tile: Tile, _hashes: list[bytes]) -> None:
    """Nobody looks at the tiles."""


class GrowingTree:
    """`roots` holds the root at each of `sizes` that the tree has reached."""

    def __init__(self, sizes: Iterable[int], show: ShowTile = _ignore) -> None:
        self._sizes: Final = sorted(set(sizes))
        self._show = show
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self.size = 0
        # The tree over whole bundles, and the leaves of the last, partial one: one inner hash a leaf.
        self._bundles = Frontier.empty()
        self._rest = Frontier.empty()
        self._above: dict[int, list[bytes]] = {}

    def copy(self) -> "GrowingTree":
        """The same tree, to be grown in another way; its tiles are not shown."""
        other = GrowingTree(self._sizes)
        other.roots, other.size = dict(self.roots), self.size
        other._bundles, other._rest = self._bundles, self._rest
        return other

    def add(self, leaves: list[bytes]) -> None:
        """The next bundle's leaf hashes: 256, or fewer at the log's end."""
        first, last = bisect_right(self._sizes, self.size), bisect_left(self._sizes, self.size + len(leaves))
        for size in self._sizes[first:last]:
            self.roots[size] = self._root(Frontier.empty().extend(leaves[: size - self.size]))
        self.size += len(leaves)
        if len(leaves) == TILE_WIDTH:
            node = complete_root(leaves)
            self._bundles = self._bundles.append(node)
            self._climb(1, node)
        else:
            self._rest = self._rest.extend(leaves)
        if last < len(self._sizes) and self._sizes[last] == self.size:
            self.roots[self.size] = self.root()

    def finish(self) -> None:
        """Show the partial tiles of the upper levels."""
        for level, hashes in self._above.items():
            if hashes:
                n = (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
                self._show(Tile(level, n, len(hashes)), hashes)

    def root(self) -> bytes:
        """The root of the tree so far."""
        return self._root(self._rest)

    def _root(self, rest: Frontier) -> bytes:
        return Frontier(self.size, self._bundles.packed + rest.packed).root()

    def _climb(self, level: int, node: bytes) -> None:
        """Keep a finished subtree's hash; show and pass on each full tile of the level."""
        row = self._above.setdefault(level, [])
        row.append(node)
        if len(row) == TILE_WIDTH:
            done = self._bundles.size >> (TILE_HEIGHT * (level - 1))
            self._show(Tile(level, done // TILE_WIDTH - 1), row)
            self._above[level] = []
            self._climb(level + 1, complete_root(row))
