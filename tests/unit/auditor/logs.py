"""A small real log for the auditor's tests: signed, tiled, with entries that verify."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, parse_vkey, sign_checkpoint, vkey
from exchange.log.tiles import Tile, encode_bundle, tile_path, tiles_of
from exchange.log.tree import root_of
from exchange.member.witnessed import LOG_PREFIX
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import Malformed, NotFound
from exchange_schemas.ids import AgencyId

LOG = "test.example/audit"
KEY = SigningKey.from_seed(bytes(32))
VKEY = vkey(LOG, KEY.public.raw)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRUST = Trust((parse_vkey(VKEY),), "given", NOW)


def entry(number: int, *, log: str = LOG, ts: int | None = None) -> bytes:
    """Entry number `number`, canonical."""
    return Entry(
        log=log,
        id=b64u(number.to_bytes(16, "big")),
        ts=1_790_000_000_000_000 + number if ts is None else ts,
        act=Act.GRANT_FETCH,
        out="allow",
        org=AgencyId("embassy-a"),
        own=(AgencyId("embassy-a"), AgencyId("ngo-a")),
        fld=("name_given", "sex"),
    ).to_bytes()


def tiles(entries: list[bytes]) -> dict[Tile, bytes]:
    """Every bundle and hash tile of a log with these entries."""
    size = len(entries)
    files = {
        tile: encode_bundle(entries[tile.start : tile.start + tile.width])
        for tile in tiles_of(size, level=None)
    }
    hashes = [sha256(b"\0" + item).digest() for item in entries]
    level = 0
    while hashes:
        for tile in tiles_of(size, level=level):
            files[tile] = b"".join(hashes[tile.start : tile.start + tile.width])
        hashes = [root_of(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    return files


def note(entries: list[bytes], *, key: SigningKey = KEY) -> str:
    """The signed checkpoint over these entries."""
    root = root_of(sha256(b"\0" + item).digest() for item in entries)
    return sign_checkpoint(Checkpoint(LOG, len(entries), root), key)


def mirror(folder: Path, entries: list[bytes]) -> Mirror:
    """A whole, honest pull of a log with these entries."""
    made = Mirror(folder)
    made.pin(VKEY)
    for tile, data in tiles(entries).items():
        made.write_tile(tile, data)
    made.keep_checkpoint(len(entries), note(entries))
    made.write_checkpoint(note(entries))
    return made


class Hub:
    """The read interface over a list of entries, and a count of what was asked."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.files = {
            tile_path(tile.level, tile.n, tile.width): data for tile, data in tiles(entries).items()
        }
        self.fetched: list[str] = []
        self.break_after: int | None = None

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool = True) -> tuple[int, dict[str, Any]]:
        assert path == "/v1/audit/pulls"
        assert not repeatable
        if body["from"] > len(self.entries):
            raise Malformed("from: the log has fewer entries than that", field="from")
        return 201, {"pull": "p", "size": len(self.entries), "checkpoint": note(self.entries), "about": None}

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        assert path == "/v1/audit/salts"
        return {"salts": [], "more": False}

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        if self.break_after is not None and len(self.fetched) >= self.break_after:
            raise NotFound("the connection broke")
        self.fetched.append(path.removeprefix(LOG_PREFIX))
        return self.files[path.removeprefix(LOG_PREFIX)][:limit]

    def get_text(self, path: str, *, limit: int) -> str:
        assert path == LOG_PREFIX + "checkpoint"
        return note(self.entries)[:limit]
