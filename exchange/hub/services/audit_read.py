"""Reading the audit log: its head, hash tiles and entry bundles, derived on request in bounded work.

Nothing is kept beside the database, so nothing can fall behind it or disagree with it. Who may read what is
decided before: entry bundles are for accredited auditors only. C2SP tlog-tiles.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services.hub import Hub
from exchange.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, encode_bundle, node_reader, tiles_of
from exchange.log.tree import Frontier, ReadNode
from exchange_schemas.errors import NotFound

_KEPT_TILES: Final = 64
_RANGE: Final[tuple[ColumnElement[Any], ColumnElement[Any]]] = (bindparam("start"), bindparam("end"))
_LAST: Final = (
    select(log_entry.c.idx, log_entry.c.leaf, log_entry.c.frontier).order_by(log_entry.c.idx.desc()).limit(1)
)
_SIZE: Final = select(func.coalesce(func.max(log_entry.c.idx) + 1, 0))
_LEAVES: Final = select(log_entry.c.leaf).where(log_entry.c.idx.between(*_RANGE)).order_by(log_entry.c.idx)
_NODES: Final = (
    select(log_node.c.hash)
    .where(log_node.c.level == bindparam("level"), log_node.c.idx.between(*_RANGE))
    .order_by(log_node.c.idx)
)
_ENTRIES: Final = select(log_entry.c.entry).where(log_entry.c.idx.between(*_RANGE)).order_by(log_entry.c.idx)


def head(conn: Connection) -> Frontier:
    """The log as it stands: its size and frontier, which are those after its last entry.

    Raises: Malformed when the last entry is damaged, which a hub that serves has looked at when it started.
    """
    row = conn.execute(_LAST).one_or_none()
    if row is None:
        return Frontier.empty()
    return Frontier.ending_with(bytes(row.leaf), bytes(row.frontier), index=row.idx)


def size(conn: Connection) -> int:
    """How many entries the log has: its last one's place and one."""
    return int(conn.execute(_SIZE).scalar_one())


def tile(hub: Hub, level: int, n: int, width: int = TILE_WIDTH) -> bytes:
    """A hash tile's bytes, `width` hashes of 32 bytes. Raises: NotFound beyond the log."""
    with storage_errors(), reading(hub.engine) as conn:
        return read_tile(conn, Tile(level, n, width))


def bundle(hub: Hub, n: int, width: int = TILE_WIDTH) -> bytes:
    """An entry bundle's bytes: `width` entries from number `n * 256`. Raises: NotFound beyond the log."""
    with storage_errors(), reading(hub.engine) as conn:
        return encode_bundle(_rows(conn, Tile(None, n, width)))


def bundles(hub: Hub, first: int, size: int) -> Iterator[bytes]:
    """Entry bundles that hold the entries from number `first` up to `size`, one in memory at a time.

    The first bundle may begin before `first`: bundles are cut at multiples of 256.
    Raises: NotFound when the log has fewer than `size` entries.
    """
    for part in tiles_of(size, level=None, after=first):
        yield bundle(hub, part.n, part.width)


def node_source(conn: Connection, size: int) -> ReadNode:
    """A `read(level, index)` for proofs about the first `size` leaves; each tile is read once.

    For one request: what it read it keeps, up to some hundred kilobytes.
    """
    return node_reader(size, lru_cache(maxsize=_KEPT_TILES)(partial(read_tile, conn)))


def read_tile(conn: Connection, part: Tile) -> bytes:
    """A hash tile's bytes inside a transaction. Raises: NotFound beyond the log's size."""
    return b"".join(_rows(conn, part))


def _rows(conn: Connection, part: Tile) -> list[bytes]:
    """The hashes or entries of one tile, all of them or none."""
    if not 1 <= part.width <= TILE_WIDTH or not 0 <= part.n < 2**48:
        raise NotFound("the log has no such tile")
    place = {"start": part.start, "end": part.start + part.width - 1}
    if part.level is None:
        found = conn.execute(_ENTRIES, place).scalars().all()
    elif part.level == 0:
        found = conn.execute(_LEAVES, place).scalars().all()
    else:
        found = conn.execute(_NODES, {**place, "level": part.level * TILE_HEIGHT}).scalars().all()
    if len(found) != part.width:
        raise NotFound("the log has no such tile")
    return [bytes(row) for row in found]
