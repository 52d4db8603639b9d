"""An append to the audit log against a bare insert and commit of the same entry, in one run.

SQLite: one writer, the tree in the same transaction. PostgreSQL: the trigger, at four connections. Wall time,
because a commit waits for the disk; ours and the floor take turns on the same database, round by round.
"""

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from sqlalchemy import create_engine, text

from bench.databases import postgres
from bench.growth.filling import new_hub, sample, settings_in
from bench.table import Row
from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine, writing
from exchange.hub.hubkeys import HubKeys
from exchange.hub.revisions import migrate
from exchange.hub.services.audit_append import Leaf, append
from exchange.hub.services.audit_entry import new_entry_id
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.settings import Settings
from exchange_keys.signing import SigningKey

ROUNDS: Final = 25
EACH: Final = 150
CONNECTIONS: Final = 4
# On the driver's own cursor, as the append itself is.
_FLOOR: Final = {
    "sqlite": "INSERT INTO bench_floor VALUES (?, ?)",
    "postgresql": "INSERT INTO bench_floor VALUES (%s, %s)",
}
_TABLE: Final = "CREATE TABLE bench_floor (id TEXT PRIMARY KEY, entry {} NOT NULL)"

Once = Callable[[], None]


@dataclass(slots=True)
class Side:
    """What the rounds gave for one of the two: operations a second, and how long each took."""

    per_second: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def p99(self) -> float:
        """Seconds."""
        return statistics.quantiles(self.seconds, n=100)[98]


def rows() -> Iterator[Row]:
    """The ratios on SQLite, then on PostgreSQL."""
    keys = HubKeys((), SigningKey.generate(), SigningKey.generate())
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        hub = new_hub(Path(name), keys)
        with writing(hub.engine) as conn:
            conn.execute(text(_TABLE.format("BLOB")))
        yield from _figures("sqlite", *_measure(hub, 1), aim=0.90)
        hub.engine.dispose()
    with postgres() as databases, tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        hub = _on_postgres(Path(name), databases.hub, keys)
        yield from _figures("postgres", *_measure(hub, CONNECTIONS), aim=0.38, p99_aim=3.0)
        hub.engine.dispose()


def _on_postgres(folder: Path, env: dict[str, str], keys: HubKeys) -> Hub:
    plain = settings_in(folder)
    settings = Settings(
        **{
            **{name: getattr(plain, name) for name in ("origin", "base_url", "data_dir", "guard_dir")},
            "key_passphrase_file": plain.key_passphrase_file,
            "environment": "development",
            "database_url": env["HOMEWARD_DATABASE_URL"],
            "owner_database_url": env["HOMEWARD_OWNER_DATABASE_URL"],
        }
    )
    migrate(settings)
    owner = create_engine(env["HOMEWARD_OWNER_DATABASE_URL"], isolation_level="AUTOCOMMIT")
    with owner.connect() as conn:
        conn.execute(text(_TABLE.format("BYTEA")))
        conn.execute(text("GRANT INSERT ON bench_floor TO PUBLIC"))
    owner.dispose()
    return Hub(settings, open_engine(settings.database_url), utc_now, os.urandom, keys, FolderBlobs(folder))


def _measure(hub: Hub, connections: int) -> tuple[Side, Side]:
    def floor() -> None:
        leaf = _leaf(hub)
        with writing(hub.engine) as conn:
            driver: Any = conn.connection.driver_connection
            driver.cursor().execute(_FLOOR[conn.dialect.name], (leaf.entry_id, leaf.entry))

    def ours() -> None:
        leaf = _leaf(hub)
        with writing(hub.engine) as conn:
            append(conn, [leaf], now=hub.clock(), ends=True)

    mine, bare = Side(), Side()
    for number in range(ROUNDS + 1):
        for work, side in ((ours, mine), (floor, bare)):
            _window(work, connections, Side() if number == 0 else side)
    return mine, bare


def _leaf(hub: Hub) -> Leaf:
    now = hub.clock()
    ident = new_entry_id(now, os.urandom)
    return Leaf(ident, sample(now, ident).to_bytes(), int(now.timestamp()) * 1_000_000)


def _window(work: Once, connections: int, side: Side) -> None:
    def lane() -> list[float]:
        times = []
        for _ in range(EACH):
            start = perf_counter()
            work()
            times.append(perf_counter() - start)
        return times

    start = perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        lanes = [pool.submit(lane) for _ in range(connections)]
        found = [one for each in lanes for one in each.result()]
    side.per_second.append(len(found) / (perf_counter() - start))
    side.seconds += found


def _figures(
    engine: str, mine: Side, bare: Side, *, aim: float, p99_aim: float | None = None
) -> Iterator[Row]:
    ratios = [one / floor for one, floor in zip(mine.per_second, bare.per_second, strict=True)]
    note = f"of an insert and commit; rounds {min(ratios):.2f}-{max(ratios):.2f}"
    yield Row(f"append.{engine}.ratio", statistics.median(ratios), "x", aim=aim, note=note)
    rate = f"floor {statistics.median(bare.per_second):,.0f}/s"
    yield Row(f"append.{engine}.per_s", statistics.median(mine.per_second), "1/s", note=rate)
    p99 = f"99 of 100 appends within {mine.p99() * 1e3:.1f} ms; floor {bare.p99() * 1e3:.1f} ms"
    yield Row(
        f"append.{engine}.p99_ratio",
        mine.p99() / bare.p99(),
        "x",
        aim=p99_aim,
        higher_is_better=False,
        note=p99,
    )
