"""The audit log as immutable files (C2SP tlog-tiles): full tiles and entry bundles, written after the commit.

The database is the truth and every file can be derived from it again, so a failure here undoes no answer and
the next run goes on. For each full bundle of 256 entries, in this order: the bundle, its tile, the tiles
above that it completes, then the mark. So the mark is never ahead of the files, however a run ends; files
beyond it are compared and not written again. A file that is there with other bytes, or a mark beyond the log,
means that the files are of another history: nothing is written over. Partial tiles the API serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services import audit_read
from exchange.log.tiles import TILE_WIDTH, Tile, tile_path
from exchange_schemas.errors import LogFork, StoreCorrupt

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.tilestore import TileStore

_MARKED_EVERY: Final = 64
_MARK: Final = re.compile("0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Written:
    """What one run did: `entries` of the log that lie in files now, and how many files were new."""

    entries: int
    files: int


def write_tiles(
    hub: Hub, store: TileStore, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Written:
    """Write every file that the log has and the store lacks. `progress` gets (bundles done, bundles in all).

    Raises: LogFork when the files are of another history than the log; StorageFull, OSError, Unavailable
    when a file cannot be written: the next run goes on; AuditUnavailable when the database does not answer.
    """
    with storage_errors(), reading(hub.engine) as conn:
        bundles = audit_read.head(conn).size // TILE_WIDTH
    begun, files = written_bundles(store), 0
    if begun > bundles:
        raise LogFork(
            f"the files hold {begun * TILE_WIDTH} entries, and the log has not so many",
            rule="rolled-back",
            hint="the database was put back: look at exchange-hub check and audit recover",
        )
    for n in range(begun, bundles):
        files += sum(_write(store, part, _bytes_of(hub, part)) for part in completed_by(n))
        if (n + 1) % _MARKED_EVERY == 0 or n + 1 == bundles:
            store.set_mark(f"{n + 1}\n")
        progress(n + 1 - begun, bundles - begun)
    return Written(bundles * TILE_WIDTH, files)


def written_bundles(store: TileStore) -> int:
    """How many full bundles are in files, with all tiles over them. Raises: StoreCorrupt."""
    text = store.mark()
    if text is None:
        return 0
    match = _MARK.fullmatch(text.removesuffix("\n"))
    if match is None:
        raise StoreCorrupt(
            "the mark of the log's files is damaged",
            hint="remove the file `written`; the next run compares all files and writes what is missing",
        )
    return int(match[0])


def completed_by(n: int) -> Iterator[Tile]:
    """The files that the bundle number `n` makes possible."""
    yield Tile(None, n)
    yield Tile(0, n)
    level, count = 1, n + 1
    while count % TILE_WIDTH == 0:
        count //= TILE_WIDTH
        yield Tile(level, count - 1)
        level += 1


def _bytes_of(hub: Hub, part: Tile) -> bytes:
    if part.level is None:
        return audit_read.bundle(hub, part.n)
    return audit_read.tile(hub, part.level, part.n)


def _write(store: TileStore, part: Tile, data: bytes) -> bool:
    """Whether the file is new. Raises: LogFork when it is there with other bytes."""
    name = tile_path(part.level, part.n)
    if store.create(name, data):
        return True
    if store.read(name) != data:
        raise LogFork(
            f"the file {name} is there and is not that of this log",
            field=name,
            rule="forked",
            hint="exchange-hub audit fsck names every such file; it is evidence until you know why",
        )
    return False
