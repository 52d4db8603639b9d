"""Bring an auditor's copy of the log up to date, from the hub's public read interface only.

The order: announce the pull (one entry in the log, with the size it covers) → fetch the entry bundles and
tiles that are missing → check that the new tree continues the one pulled before → write the checkpoint. The
checkpoint is written last, so that a pull that was interrupted is simply run again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.tiles import TILE_HEIGHT, Tile, node_reader, tile_path, tiles_of
from exchange.log.tree import frontier_at
from exchange_schemas.codec import Encodable, JsonValue
from exchange_schemas.errors import HubRefused, LogFork

LOG_PREFIX = "/v1/audit/log/"


class Source(Protocol):
    """The calls of `exchange.member.transport.Transport` that a pull needs."""

    def post(
        self, path: str, body: dict[str, Encodable], *, repeatable: bool = True
    ) -> tuple[int, dict[str, JsonValue]]:
        """POST and give (status, JSON answer)."""

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """GET a binary answer of at most `limit` bytes."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull did: entries known before, entries known now, files fetched."""

    before: int
    size: int
    files: int


# A bundle is at most 256 entries of 16 KiB with a length each; a tile is 8 KiB.
_BUNDLE_BYTES = 256 * (16 * 1024 + 2)
_TILE_BYTES = 256 * 32


def pull(
    mirror: Mirror,
    source: Source,
    vkey: str,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pulled:
    """Fetch everything the log has that the mirror lacks. `progress` gets (files done, files in all).

    Raises: LogFork when the hub's log does not continue the one pulled before; the hub's own refusals.
    """
    mirror.pin(vkey)
    old = open_checkpoint(mirror.checkpoint, [vkey]) if mirror.has_checkpoint() else None
    before = 0 if old is None else old.size
    _, answer = source.post("/v1/audit/pulls", {"from": before}, repeatable=False)
    note = answer.get("checkpoint")
    if not isinstance(note, str):
        raise HubRefused("the hub's answer holds no checkpoint", field="checkpoint")
    new = open_checkpoint(note, [vkey])
    if old is not None and new.size < old.size:
        raise LogFork(
            "the hub's log is shorter than the one pulled before", field="checkpoint", rule="rolled-back"
        )
    wanted = [tile for tile in _tiles(before, new.size) if not mirror.has_tile(tile)]
    for number, tile in enumerate(wanted, start=1):
        limit = _BUNDLE_BYTES if tile.level is None else _TILE_BYTES
        path = LOG_PREFIX + tile_path(tile.level, tile.n, tile.width)
        mirror.write_tile(tile, source.get_bytes(path, limit=limit))
        progress(number, len(wanted))
    if old is not None:
        _check_continues(mirror, old, new)
    mirror.write_checkpoint(note)
    return Pulled(before, new.size, len(wanted))


def _tiles(before: int, size: int) -> Iterator[Tile]:
    """Every bundle and tile of the new tree from the first that the old tree had not full."""
    yield from tiles_of(size, level=None, after=before)
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield from tiles_of(size, level=level, after=before >> (TILE_HEIGHT * level))
        level += 1


def _check_continues(mirror: Mirror, old: Checkpoint, new: Checkpoint) -> None:
    """The tree of the old size, computed from the new tiles, must have the old root."""
    read = node_reader(new.size, mirror.read_tile)
    if frontier_at(old.size, read).root() != old.root:
        raise LogFork(
            "the hub's log does not continue the one pulled before",
            field="checkpoint",
            rule="forked",
            hint="keep this folder as evidence, pull into a new one, and tell the other auditors",
        )
