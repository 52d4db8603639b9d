"""The audit log at 10^4, 10^6 and 10^7 entries: an append and an inclusion proof, and pymerkle beside them.

CPU time of this process; the median of some hundred. Entries are appended by the hub's own append in a
transaction of its own, with ids at random as they are; proofs are read from the database without any cache.
"""

import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.growth.filling import Filler, new_hub, sample
from bench.peers.environment import HERE, NotInstalled, python_of
from bench.table import Row
from exchange.hub.db import reading, writing
from exchange.hub.hubkeys import HubKeys
from exchange.hub.services.audit_append import Leaf, append
from exchange.hub.services.audit_read import head, node_source
from exchange.hub.services.hub import Hub
from exchange.hub.services.startup import check_ready
from exchange.log.tree import inclusion_proof, verify_inclusion
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u

SIZES: Final = (10_000, 1_000_000, 10_000_000)
PEER_SIZE: Final = 1_000_000
MOST: Final = int(os.environ.get("HOMEWARD_BENCH_MOST", SIZES[-1]))
TIMES: Final = 300
APPEND_AIM: Final = 1.2
PROOF_AIM: Final = 4.0
PEER_AIM: Final = 100.0


def rows() -> Iterator[Row]:
    """Every figure, and its ratio to the smallest log's."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        folder = Path(name)
        keys = HubKeys((), SigningKey.generate(), SigningKey.generate())
        hub = new_hub(folder, keys)
        first: dict[str, float] = {}
        for size in [size for size in SIZES if size <= MOST]:
            hub.engine.dispose()
            _fill(folder, size)
            check_ready(hub)
            for what, seconds in (("append", _appends(hub)), ("proof", _proofs(hub))):
                first.setdefault(what, seconds)
                yield from _figures(what, size, seconds, first[what])
                if what == "proof" and size == PEER_SIZE:
                    yield from _peer(folder, seconds)
        hub.engine.dispose()


def _figures(what: str, size: int, seconds: float, least: float) -> Iterator[Row]:
    name = f"growth.{what}.{size:.0e}".replace("e+0", "e")
    yield Row(f"{name}.ms", seconds * 1e3, "ms", higher_is_better=False, note=f"CPU, {size:,} entries")
    if seconds != least or size != SIZES[0]:
        aim = {"append": APPEND_AIM, "proof": PROOF_AIM}[what] if size == SIZES[-1] else None
        yield Row(f"{name}.ratio", seconds / least, "x", aim=aim, higher_is_better=False, note="to 10^4")


def _fill(folder: Path, size: int) -> None:
    filler = Filler(folder / "data" / "hub.sqlite", datetime.now(UTC))
    filler.grow(size)
    filler.close()


def _appends(hub: Hub) -> float:
    now = hub.clock()

    def once() -> None:
        ident = b64u(os.urandom(16))
        leaf = Leaf(ident, sample(now, ident).to_bytes(), int(now.timestamp()) * 1_000_000)
        with writing(hub.engine) as conn:
            append(conn, [leaf], now=now)

    return _median(once)


def _proofs(hub: Hub) -> float:
    chosen = random.Random(1)
    with reading(hub.engine) as conn:
        tree = head(conn)
        root = tree.root()

        def once() -> None:
            index = chosen.randrange(tree.size)
            read = node_source(conn, tree.size)
            path = inclusion_proof(index, tree.size, read)
            found.append((index, path))

        found: list[tuple[int, list[bytes]]] = []
        seconds = _median(once)
        read = node_source(conn, tree.size)
        for index, path in found[:20]:
            verify_inclusion(index, tree.size, read(0, index), path, root)
    return seconds


def _median(work: Callable[[], None]) -> float:
    times = []
    for _ in range(TIMES):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times[TIMES // 10 :])


def _peer(folder: Path, ours: float) -> Iterator[Row]:
    try:
        python = python_of("pymerkle")
    except NotInstalled as error:
        yield Row("growth.proof.pymerkle.ratio", 0.0, "x", note=f"pymerkle: {error}")
        return
    script, file = HERE / "with_pymerkle.py", folder / "pymerkle.sqlite"
    done = subprocess.run(
        [python, script, file, str(PEER_SIZE)], stdout=subprocess.PIPE, check=True, env={"PATH": ""}
    )
    theirs = json.loads(done.stdout)
    for how, note in (("cold", "by a tree just opened; ours has no cache"), ("warm", "with its cache full")):
        yield Row(
            f"growth.proof.pymerkle_{how}.ratio",
            theirs[how] / ours,
            "x",
            aim=PEER_AIM if how == "cold" else None,
            note=f"times as long as ours at 10^6: {theirs[how] * 1e3:,.1f} ms, {note}",
        )
