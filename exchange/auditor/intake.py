"""What a hub shows of its log, believed only as far as its checkpoint carries it.

From the top down: (1) the rightmost tiles of all levels together must give the checkpoint's root; (2) a full
tile must hash to its node in the tile above; (3) an entry bundle must hash to its tile of level 0. So every
file is proved before it is stored, and a file that the copy has already is used only if it passes the same.
Nothing here writes, and nothing that failed may be given back.
"""

from collections.abc import Callable
from typing import TypeVar

from exchange.auditor.mirror import Mirror, StoredTile
from exchange.log.checkpoint import Checkpoint
from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, node_reader
from exchange.log.tree import ReadNode, complete_root, frontier_at, leaf_hash
from exchange_schemas.errors import EntryInvalid, ExchangeError, LogIncomplete, Malformed, ProofInvalid

T = TypeVar("T")
Fetch = Callable[[Tile], bytes]


class Intake:
    """The tiles and bundles of the tree under `checkpoint`, proved one by one; `fetched` counts downloads."""

    def __init__(self, mirror: Mirror, checkpoint: Checkpoint, fetch: Fetch) -> None:
        """Raises: ProofInvalid when the hub's own tiles do not lead to its checkpoint."""
        self._mirror = mirror
        self._size = checkpoint.size
        self._fetch = fetch
        self.fetched = 0
        self._last: dict[int, tuple[Tile, tuple[bytes, ...]]] = {}
        self._edge: dict[Tile, bytes] = {}
        # The copy's own tiles first; where they do not fit, the copy may be at fault: ask the hub for all.
        if self._edge_root(self._stored_or_fetched) != checkpoint.root:
            self._edge.clear()
            if self._edge_root(self._download) != checkpoint.root:
                raise ProofInvalid("the hub's tiles do not lead to its checkpoint", field="checkpoint")

    @property
    def read(self) -> ReadNode:
        """Reads proved nodes of the tree."""
        return node_reader(self._size, lambda tile: b"".join(self.hashes(tile)))

    def hashes(self, tile: Tile) -> tuple[bytes, ...]:
        """A proved hash tile, of exactly the width that the tree's size gives it.

        Raises: ProofInvalid when the hub shows another one.
        """
        if tile.level is None:
            raise Malformed("tile: a hash tile is needed", field="level")
        if tile.width < TILE_WIDTH:
            return StoredTile(tile.width, self._edge[tile]).hashes(tile.width)
        last = self._last.get(tile.level)
        if last is not None and last[0] == tile:
            return last[1]
        node = self.read(TILE_HEIGHT * (tile.level + 1), tile.n)
        row = self._kept(tile, lambda stored: stored.hashes(tile.width))
        if row is None or complete_root(row) != node:
            row = StoredTile(tile.width, self._download(tile)).hashes(tile.width)
            if complete_root(row) != node:
                raise ProofInvalid("the hub shows a tile that is not in its tree", field="tile")
        self._last[tile.level] = tile, row
        return row

    def entries(self, tile: Tile) -> list[bytes]:
        """A proved bundle, of exactly the width that the tree's size gives it.

        Raises: EntryInvalid when the hub shows other entries than it committed to.
        """
        leaves = list(self.hashes(Tile(0, tile.n, tile.width)))
        entries = self._kept(tile, lambda stored: stored.entries(tile.width))
        if entries is None or [leaf_hash(entry) for entry in entries] != leaves:
            entries = StoredTile(tile.width, self._download(tile)).entries(tile.width)
            if [leaf_hash(entry) for entry in entries] != leaves:
                raise EntryInvalid("the hub shows entries that are not in its tree", field="tile")
        return entries

    def _edge_root(self, load: Fetch) -> bytes | None:
        """The root that the rightmost tiles lead to; None when one of them cannot be read."""

        def keep(tile: Tile) -> bytes:
            if tile not in self._edge:
                self._edge[tile] = load(tile)
            return b"".join(StoredTile(tile.width, self._edge[tile]).hashes(tile.width))

        try:
            return frontier_at(self._size, node_reader(self._size, keep)).root()
        except (LogIncomplete, Malformed):
            return None

    def _stored_or_fetched(self, tile: Tile) -> bytes:
        found = self._kept(tile, lambda stored: stored.data)
        return self._download(tile) if found is None else found

    def _kept(self, tile: Tile, take: Callable[[StoredTile], T]) -> T | None:
        """What the copy has of exactly this tile, if it can be read at all."""
        if not self._mirror.has_tile(tile):
            return None
        try:
            stored = self._mirror.stored(tile)
            return take(stored) if stored.width == tile.width else None
        except ExchangeError:
            return None

    def _download(self, tile: Tile) -> bytes:
        self.fetched += 1
        return self._fetch(tile)
