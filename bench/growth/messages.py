"""Deposit, inbox and fetch as consents and envelopes grow: PostgreSQL, the served hub, filled in bulk.

The same hub and the same agencies, first with a small number of rows, then with a large one: every filler row
belongs to the agencies that are measured, so their lists, chains and indexes are the long ones. What is
measured is what the hub's workers and the database's server spend on one request (CPU), in turn with nothing
else: a ratio of the two sizes. BENCH_GROWTH_SMALL and BENCH_GROWTH_LARGE set the sizes.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import Connection, create_engine, text

from bench.databases import Databases, postgres
from bench.hub import World, renew_tokens, served_world
from bench.processes import tree_cpu_seconds
from bench.requests import EACH, Lanes, deposits, fetches, window
from bench.table import Row

SMALL: Final = int(os.environ.get("BENCH_GROWTH_SMALL", "10000"))
LARGE: Final = int(os.environ.get("BENCH_GROWTH_LARGE", "1000000"))
ROUNDS: Final = 5
AIM: Final = 1.3
_OLD: Final = 1_000_000_000
"""Filler rows lie so far from the real ones, in chains below and in lists above, that they never meet."""


@dataclass(slots=True)
class Costs:
    """CPU seconds of one request and wall requests a second, by kind, one for each round."""

    cpu_s: dict[str, list[float]] = field(default_factory=dict)
    per_second: dict[str, list[float]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[list[float], list[float]]:
        """The series of a kind: requests a second, CPU seconds."""
        return self.per_second.setdefault(kind, []), self.cpu_s.setdefault(kind, [])


def rows() -> Iterator[Row]:
    """For each kind the cost at the large size against the small one."""
    with postgres() as databases, served_world(databases) as world:
        fill(databases, 0, SMALL)
        small = _measure(world, databases)
        fill(databases, SMALL, LARGE)
        large = _measure(world, databases)
    for kind in small.cpu_s:
        before, after = median(small.cpu_s[kind]), median(large.cpu_s[kind])
        slower = median(small.per_second[kind]) / median(large.per_second[kind])
        note = f"CPU at {LARGE:,} rows against {SMALL:,}: {after * 1e3:.2f} and {before * 1e3:.2f} ms"
        yield Row(f"growth.{kind}.cpu_ratio", after / before, "x", AIM, higher_is_better=False, note=note)
        yield Row(f"growth.{kind}.wall_ratio", slower, "x", None, higher_is_better=False, note="wall time")


def _measure(world: World, databases: Databases) -> Costs:
    found, warm_up = Costs(), Costs()
    for number in range(ROUNDS + 1):
        costs = warm_up if number == 0 else found
        renew_tokens(world)
        for kind, prepare, status in _windows(world):
            per_second, cpu_s = costs.of(kind)
            seconds, spent = _window(world, databases, prepare(), status)
            per_second.append(seconds)
            cpu_s.append(spent)
    return found


def _window(world: World, databases: Databases, lanes: Lanes, status: int) -> tuple[float, float]:
    """Requests a second in one window, and CPU seconds of one: the hub's workers' and the database's."""
    pid, rate, spent = databases.server_pid, list[float](), list[float]()
    before = 0.0 if pid is None else tree_cpu_seconds(pid)
    window(world.server, lanes, status, rate, spent)
    database = 0.0 if pid is None else tree_cpu_seconds(pid) - before
    return rate[0], spent[0] + database / sum(len(lane) for lane in lanes)


def _windows(world: World) -> Iterator[tuple[str, Callable[[], Lanes], int]]:
    """Deposits, the first page of every recipient's inbox, and the fetches of what was deposited."""
    waiting: list[list[str]] = [[] for _ in world.recipients]

    def inboxes() -> Lanes:
        return [[one.get_request(world.place, "/v1/inbox") for _ in range(EACH)] for one in world.recipients]

    yield "deposit", lambda: deposits(world, waiting), 201
    yield "inbox", inboxes, 200
    yield "fetch", lambda: fetches(world, waiting), 200


# -- filling -------------------------------------------------------------------------------------------


def fill(databases: Databases, start: int, to: int) -> None:
    """Rows `start` to `to` of consents, families, manifests, grants, parts, as many deposits leave them.

    Copied inside the database from one real consent and one real envelope, each under ids of its own.
    """
    engine = create_engine(databases.hub["HOMEWARD_OWNER_DATABASE_URL"])
    try:
        with engine.begin() as conn:
            _copy(conn, start, to)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("VACUUM ANALYZE"))
    finally:
        engine.dispose()


def _copy(conn: Connection, start: int, to: int) -> None:
    # The n-th filler row is of one of the real pairs in turn, at a place before everything real.
    conn.execute(
        text(
            "CREATE TEMP TABLE filler ON COMMIT DROP AS"
            " SELECT n, pairs.iss, pairs.rcp, 'f' || lpad(n::text, 21, '0') AS id"
            " FROM generate_series(CAST(:start AS bigint), CAST(:last AS bigint)) AS n"
            " JOIN (SELECT iss, rcp, row_number() OVER () - 1 AS k, count(*) OVER () AS many"
            " FROM (SELECT DISTINCT iss, rcp FROM consent WHERE iss_pos < 1000000000) AS real_pairs) AS pairs"
            " ON pairs.k = n % pairs.many"
        ),
        {"start": start, "last": to - 1},
    )
    for statement in _STATEMENTS:
        conn.execute(text(statement), {"old": _OLD} if ":old" in statement else {})


# Real rows to copy from: cid, digest and jws of a consent; core, sealed keys and manifest of an envelope.
_STATEMENTS: Final = (
    "INSERT INTO consent_family (family, iss, rcp, subj, newest, status)"
    " SELECT id, iss, rcp, id, id, 'active' FROM filler",
    "INSERT INTO consent (cid, family, iss, rcp, digest, jws, exp, iss_pos, rcp_pos, entry_id)"
    " SELECT f.id, f.id, f.iss, f.rcp, 'd' || f.id, c.jws, c.exp, f.n + :old, f.n + :old, f.id"
    " FROM filler f, (SELECT jws, exp FROM consent WHERE iss_pos < 1000000000 LIMIT 1) AS c",
    "INSERT INTO manifest (digest, eid, opens, snd, jws, entry_id)"
    " SELECT 'm' || f.id, f.id, f.id, f.iss, m.jws, f.id"
    " FROM filler f, (SELECT '{}'::bytea AS jws) AS m",
    "INSERT INTO grant_ (gid, eid, manifest, snd, rcp, rcp_kid, kind, thread, pur, cns, family, seq, digest,"
    " core, sealed, iat, exp, dies, state, inbox_pos, outbox_pos)"
    " SELECT f.id, f.id, 'm' || f.id, f.iss, f.rcp, 'k', 'found_notice', f.id, 'trace', 'd' || f.id, f.id,"
    " f.n - :old, 'g' || f.id, convert_to(repeat('x', 1800), 'UTF8'), convert_to(repeat('x', 1500), 'UTF8'),"
    " 1700000000, 4000000000, 4000000000, 'receipted', f.n + :old, f.n + :old FROM filler f",
    "INSERT INTO part (agency, sha256, bytes, eid, p, f, ct)"
    " SELECT f.iss, 'p' || f.id, 328, f.id, f.id, 'sex', convert_to(repeat('x', 328), 'UTF8') FROM filler f",
)
