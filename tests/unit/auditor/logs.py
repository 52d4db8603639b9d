"""A small real log for the auditor's tests: signed, tiled, with entries that verify."""

from hashlib import sha256
from pathlib import Path

from exchange.auditor.mirror import Mirror
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tiles import Tile, encode_bundle, tiles_of
from exchange.log.tree import root_of
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId

LOG = "test.example/audit"
KEY = SigningKey.from_seed(bytes(32))
VKEY = vkey(LOG, KEY.public.raw)


def entry(number: int, *, log: str = LOG) -> bytes:
    """Entry number `number`, canonical."""
    return Entry(
        log=log,
        id=b64u(number.to_bytes(16, "big")),
        ts=1_790_000_000_000_000 + number,
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
    made.write_checkpoint(note(entries))
    return made
