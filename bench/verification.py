"""How fast an auditor verifies a pulled log: entries a CPU second, and the ratio to hashing alone.

With the slices of all agencies made again, as `verify` does by itself, and without; each in a process of its
own, which is what an auditor runs. The log: two agencies of a hundred in each entry, heads over all of them
every thousand entries.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from bench.auditlog import build
from bench.table import Row
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.verify import verify_mirror
from exchange.log.checkpoint import parse_vkey
from exchange.log.slices import Heads, Slice
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId, Digest

ENTRIES: Final = 100_000
HEADS_EVERY: Final = 1_000
ROUNDS: Final = 5
LOG: Final = "bench.example/audit"
NAMES: Final = [f"agency-{number:03}" for number in range(100)]
SALTS: Final = {name: sha256(name.encode()).digest() for name in NAMES}
_START_US: Final = 1_790_000_000_000_000
_GAP_US: Final = 10_000


def rows() -> Iterator[Row]:
    """Build a log of 100,000 entries, verify it, and compare with SHA-256 over the same leaves."""
    entries = list(_entries())
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as folder:
        mirror = build(Path(folder), iter(entries), log=LOG)
        without = _alone(mirror, slices=None)
        mirror.write_salts(SALTS)
        everything = _alone(mirror, slices=True)
    floor = _hashing(entries)
    what = "every entry, tree, checkpoint"
    yield Row("verify.entries_per_cpu_s", ENTRIES / everything, "1/s", aim=200_000, note=f"{what}, slices")
    yield Row("verify.without_slices_per_cpu_s", ENTRIES / without, "1/s", note=what)
    note = "with slices; floor: leaf hashes and tree"
    yield Row("verify.ratio_to_hashing", everything / floor, "x", higher_is_better=False, note=note)


def _alone(mirror: Mirror, *, slices: bool | None) -> float:
    """The least of some rounds in a new process, whose memory nothing else has cut into pieces."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return min([pool.submit(_verify, mirror, slices=slices).result() for _ in range(ROUNDS)])


def _hashing(entries: Sequence[bytes]) -> float:
    """CPU seconds of hashing the entries and their tree."""
    start = time.process_time()
    Frontier.empty().extend(map(leaf_hash, entries)).root()
    return time.process_time() - start


def _verify(mirror: Mirror, *, slices: bool | None) -> float:
    """CPU seconds of one verification, which must find all well and judge the slices or not."""
    trust = Trust((parse_vkey(mirror.vkey),), "given", datetime.now(UTC))
    start = time.process_time()
    verdict = verify_mirror(mirror, trust)
    seconds = time.process_time() - start
    if not verdict.ok or verdict.slices is not slices:
        raise SystemExit("bench: the built log does not verify")
    return seconds


def _entries() -> Iterator[bytes]:
    trees: dict[str, Frontier] = {}
    chosen = random.Random(1)
    for number in range(ENTRIES):
        if number % HEADS_EVERY == HEADS_EVERY - 1:
            yield _heads(number, trees)
            continue
        pair = sorted(chosen.sample(NAMES, 2))
        entry = _entry(number, pair)
        leaf = leaf_hash(entry)
        for name in pair:
            trees[name] = trees.get(name, Frontier.empty()).append(leaf)
        yield entry


def _heads(number: int, trees: dict[str, Frontier]) -> bytes:
    slices = [Slice(name, tree.size, tree.root(), SALTS[name]) for name, tree in trees.items()]
    return Entry(
        log=LOG,
        id=b64u(number.to_bytes(16, "big")),
        ts=_START_US + number * _GAP_US,
        act=Act.SLICE_HEADS,
        out="allow",
        pol=Heads.over(number, slices).to_tag(),
    ).to_bytes()


def _entry(number: int, pair: list[str]) -> bytes:
    digest = Digest(b64u(sha256(b"%d" % number).digest()))
    own = tuple(AgencyId(name) for name in pair)
    return Entry(
        log=LOG,
        id=b64u(number.to_bytes(16, "big")),
        ts=_START_US + number * _GAP_US,
        act=Act.GRANT_FETCH,
        out="allow",
        org=own[0],
        own=own,
        fld=("age_range", "birth_date", "current_area", "name_family", "name_given", "sex"),
        knd="found_notice",
        pur="trace",
        cns=digest,
        rec=digest,
        req=digest,
    ).to_bytes()
