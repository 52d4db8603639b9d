"""The slices of a thousand agencies: putting an entry into its two slices, writing heads over all of them.

CPU time of this process, which stands beside the workers; nothing of it is in a request. On SQLite.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.growth.filling import new_hub, sample
from bench.table import Row
from exchange.hub.db import writing
from exchange.hub.hubkeys import HubKeys
from exchange.hub.services.audit_append import Leaf, append
from exchange.hub.services.hub import Hub
from exchange.hub.services.slices import append_heads, index_some
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.ids import AgencyId

AGENCIES: Final = 1_000
ENTRIES: Final = 20_000
HEADS: Final = 5
_AT_ONCE: Final = 500


def rows() -> Iterator[Row]:
    """Microseconds of an entry, milliseconds of heads."""
    keys = HubKeys((), SigningKey.generate(), SigningKey.generate())
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        hub = new_hub(Path(name), keys)
        chosen = random.Random(1)
        _append(hub, chosen, ENTRIES)
        start, done = time.process_time(), 0
        while some := index_some(hub):
            done += some
        entry_us = (time.process_time() - start) / done * 1e6
        yield Row(
            "slices.entry_us",
            entry_us,
            "µs",
            higher_is_better=False,
            note=f"CPU; {done:,} entries, {AGENCIES:,} agencies",
        )
        heads = []
        for _ in range(HEADS):
            _append(hub, chosen, _AT_ONCE)
            while index_some(hub):
                pass
            start = time.process_time()
            append_heads(hub)
            heads.append(time.process_time() - start)
        note = f"CPU, once a minute, over {AGENCIES:,} agencies"
        yield Row("slices.heads_ms", min(heads) * 1e3, "ms", higher_is_better=False, note=note)
        hub.engine.dispose()


def _append(hub: Hub, chosen: random.Random, count: int) -> None:
    """Entries between two agencies each."""
    left = count
    while left:
        some, now = min(left, _AT_ONCE), hub.clock()
        leaves = [_leaf(chosen, now) for _ in range(some)]
        with writing(hub.engine) as conn:
            append(conn, leaves, now=now)
        left -= some


def _leaf(chosen: random.Random, now: datetime) -> Leaf:
    ident = b64u(chosen.randbytes(16))
    pair = [f"agency-{number:04}" for number in chosen.sample(range(AGENCIES), 2)]
    entry = sample(now, ident, tuple(AgencyId(one) for one in sorted(pair)))
    return Leaf(ident, entry.to_bytes(), entry.ts)
