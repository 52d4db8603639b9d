"""How fast an auditor verifies a pulled log: entries a CPU second, and the ratio to hashing alone."""

import tempfile
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from bench.table import Row
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.verify import verify_mirror
from exchange.log.checkpoint import Checkpoint, parse_vkey, sign_checkpoint, vkey
from exchange.log.tiles import TILE_HEIGHT, Tile, encode_bundle, tiles_of
from exchange.log.tree import Frontier, root_of
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId, Digest

ENTRIES = 100_000
LOG = "bench.example/audit"


def rows() -> list[Row]:
    """Build a log of 100,000 entries, verify it, and compare with SHA-256 over the same leaves."""
    with tempfile.TemporaryDirectory() as folder:
        mirror, entries = _build(Path(folder))
        trust = Trust((parse_vkey(mirror.vkey),), "given", datetime.now(UTC))
        start = time.process_time()
        verdict = verify_mirror(mirror, trust)
        ours = time.process_time() - start
        if not verdict.ok:
            raise SystemExit("bench: the built log does not verify")
    start = time.process_time()
    Frontier.empty().extend(sha256(b"\0" + entry).digest() for entry in entries).root()
    floor = time.process_time() - start
    return [
        Row(
            "verify.entries_per_cpu_s",
            ENTRIES / ours,
            "1/s",
            aim=200_000,
            note="every entry, tree, checkpoint",
        ),
        Row(
            "verify.ratio_to_hashing",
            ours / floor,
            "x",
            higher_is_better=False,
            note="floor: leaf hashes and tree",
        ),
    ]


def _build(folder: Path) -> tuple[Mirror, list[bytes]]:
    key = SigningKey.generate()
    mirror = Mirror(folder)
    mirror.pin(vkey(LOG, key.public.raw))
    entries = [_entry(number) for number in range(ENTRIES)]
    for tile in tiles_of(ENTRIES, level=None):
        mirror.write_tile(tile, encode_bundle(entries[tile.start : tile.start + tile.width]))
    hashes = [sha256(b"\0" + entry).digest() for entry in entries]
    root = root_of(hashes)
    level = 0
    while hashes:
        for tile in tiles_of(ENTRIES, level=level):
            mirror.write_tile(
                Tile(level, tile.n, tile.width), b"".join(hashes[tile.start : tile.start + tile.width])
            )
        width = 1 << TILE_HEIGHT
        full = len(hashes) // width
        hashes = [root_of(hashes[at * width : (at + 1) * width]) for at in range(full)]
        level += 1
    mirror.write_checkpoint(sign_checkpoint(Checkpoint(LOG, ENTRIES, root), key))
    return mirror, entries


def _entry(number: int) -> bytes:
    digest = Digest(b64u(sha256(b"%d" % number).digest()))
    return Entry(
        log=LOG,
        id=b64u(number.to_bytes(16, "big")),
        ts=1_790_000_000_000_000 + number,
        act=Act.GRANT_FETCH,
        out="allow",
        org=AgencyId("embassy-a"),
        own=(AgencyId("embassy-a"), AgencyId("ngo-a")),
        fld=("age_range", "birth_date", "current_area", "name_family", "name_given", "sex"),
        knd="found_notice",
        pur="trace",
        cns=digest,
        rec=digest,
        req=digest,
    ).to_bytes()
