"""Tiles and entry bundles: how a log is cut into immutable files (C2SP tlog-tiles).

A tile is 256 hashes wide and 8 levels high; the last one of a level may be partial. This module names,
packs and reads them; it never fetches one, and never trusts one: what is read from tiles becomes evidence
only through a verified checkpoint.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from exchange.log.tree import HASH_BYTES, ReadNode, root_of, split_hashes
from exchange_schemas.errors import EntryInvalid, LogIncomplete, Malformed

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
MAX_ENTRY_BYTES: Final = 65_535
"""The most that the u16 length prefix of a bundle can say; our own entries are far smaller."""
_MAX_LEVEL: Final = 63
_MAX_INDEX: Final = 2**55
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `level` None is an entry bundle, `n` its place in the level, `width` 1 to 256."""

    level: int | None
    n: int
    width: int = TILE_WIDTH

    @property
    def start(self) -> int:
        """The index of the tile's first hash (or entry) within its level."""
        return self.n * TILE_WIDTH


LoadTile = Callable[[Tile], bytes]
"""Gives a tile's bytes; may answer with the full tile where a partial one was asked for."""


def tile_path(level: int | None, n: int, width: int = TILE_WIDTH) -> str:
    """The path under the log's prefix, as `tile/0/x001/x234/067.p/112`; level None gives `tile/entries/…`.

    Raises: Malformed when a number is out of range.
    """
    if level is not None and not 0 <= level <= _MAX_LEVEL:
        raise Malformed("tile: the level is not 0 to 63", field="level")
    if not 0 <= n < _MAX_INDEX:
        raise Malformed("tile: the index is out of range", field="n")
    if not 1 <= width <= TILE_WIDTH:
        raise Malformed("tile: the width is not 1 to 256", field="width")
    digits = str(n)
    groups = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [groups[at : at + 3] for at in range(0, len(groups), 3)]
    name = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{name}{suffix}"


def parse_tile_path(path: str) -> Tile:
    """Read a path that `tile_path` could have written, and no other spelling of it.

    Raises: Malformed.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise Malformed("tile: not the path of a tile", field="path")
    level = None if match["level"] == "entries" else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if tile_path(level, n, width) != path:
        raise Malformed("tile: not the path of a tile", field="path")
    return Tile(level, n, width)


def tiles_of(size: int, *, level: int | None = 0, after: int = 0) -> Iterable[Tile]:
    """The tiles of one level in a tree of `size` leaves, from the one that holds its item number `after` on.

    The last one is partial unless it is full; empty tiles do not exist.
    """
    count = size if level is None else size >> (TILE_HEIGHT * level)
    for n in range(after // TILE_WIDTH, -(-count // TILE_WIDTH)):
        yield Tile(level, n, min(TILE_WIDTH, count - n * TILE_WIDTH))


def split_tile(data: bytes, width: int) -> tuple[bytes, ...]:
    """The first `width` hashes of a tile's bytes.

    Raises: LogIncomplete when the tile is shorter; Malformed when it is no row of 1 to 256 hashes.
    """
    if len(data) % HASH_BYTES or len(data) > HASH_BYTES * TILE_WIDTH:
        raise Malformed("tile: not a row of at most 256 hashes", field="tile")
    if len(data) < HASH_BYTES * width:
        raise LogIncomplete("tile: fewer hashes than the tree's size needs", field="tile")
    return tuple(split_hashes(data[: HASH_BYTES * width]))


def node_reader(size: int, load: LoadTile) -> ReadNode:
    """A `read(level, index)` for `exchange.log.tree`, over the tiles of a tree of `size` leaves.

    `load` is called for tiles that this tree has; keeping them is its own matter.
    The reader raises: LogIncomplete for a node that the tree does not have, and as `split_tile`.
    """

    def read(level: int, index: int) -> bytes:
        if index < 0 or (index + 1) << level > size:
            raise LogIncomplete("tile: the tree has no such complete subtree")
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        n, offset = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile_level)) - n * TILE_WIDTH)
        row = split_tile(load(Tile(tile_level, n, width)), width)
        return root_of(row[offset : offset + (1 << height)])

    return read


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: each entry after its length as u16 big-endian.

    Raises: EntryInvalid when an entry is too long or there are none or more than 256.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise EntryInvalid("bundle: 1 to 256 entries are needed")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise EntryInvalid("bundle: an entry is longer than 65,535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_bundle(data: bytes) -> list[bytes]:
    """All entries of a bundle, 256 at the most. Raises: EntryInvalid when the bytes are not a bundle."""
    entries, rest = read_bundle(data)
    if rest:
        raise EntryInvalid("bundle: its lengths do not add up")
    return entries


def read_bundle(data: bytes) -> tuple[list[bytes], bytes]:
    """The entries at the start of a bundle's bytes, 256 at the most, and the bytes that make no entry."""
    entries: list[bytes] = []
    at, size = 0, len(data)
    while at + 2 <= size and len(entries) < TILE_WIDTH:
        end = at + 2 + (data[at] << 8 | data[at + 1])
        if end > size:
            break
        entries.append(data[at + 2 : end])
        at = end
    return entries, data[at:]
