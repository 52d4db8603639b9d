"""Requests a second: tokens, deposits and fetches of the served hub against a bare Flask insert and commit.

Hub and floor stand side by side on the same server program, workers and threads, each with a database of its
own on the same engine, measured in turn. Everything that a client makes (assertions, proofs, consents,
sealed envelopes) is made before each measured window. The load generator shares the machine with either.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.databases import ENGINES, Databases
from bench.hub import LANES, THREADS, WORKERS, World, renew_tokens, served_world
from bench.load import request, send
from bench.processes import Server, free_port, serving
from bench.table import Row

ROUNDS: Final = 4
EACH: Final = 16
"""Requests of each of the 8 connections in one measured window of the hub; a multiple of the recipients."""
FLOOR_EACH: Final = 48
AIMS: Final = {"token": None, "deposit": 0.35, "fetch": 0.5}
_BODY: Final = "x" * 1000

Lanes = Sequence[Sequence[bytes]]


@dataclass(slots=True)
class Series:
    """What the rounds gave for one kind of request: requests a second, the floor's beside it, CPU seconds."""

    per_second: list[float] = field(default_factory=list)
    floor_per_second: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    floor_cpu_s: list[float] = field(default_factory=list)


def rows() -> Iterator[Row]:
    """Every figure on SQLite, then on PostgreSQL."""
    for engine in ENGINES:
        with engine() as databases, served_world(databases) as world, served_floor(databases) as floor:
            yield from _rows(databases.name, _measure(world, floor))


def _measure(world: World, floor: Server) -> dict[str, Series]:
    found = {kind: Series() for kind in AIMS}
    warm_up = Series()
    for number in range(ROUNDS + 1):
        renew_tokens(world)
        for kind, prepared, status in _windows(world):
            series = warm_up if number == 0 else found[kind]
            window(floor, floor_lanes(floor.port), 200, series.floor_per_second, series.floor_cpu_s)
            window(world.server, prepared(), status, series.per_second, series.cpu_s)
    return found


def _windows(world: World) -> Iterator[tuple[str, Callable[[], Lanes], int]]:
    """The three kinds in order; what a deposit brings, the fetch takes."""
    waiting: list[list[str]] = [[] for _ in world.recipients]

    def tokens() -> Lanes:
        return [[one.token_request(world.place) for _ in range(EACH)] for one in world.senders]

    yield "token", tokens, 200
    yield "deposit", lambda: deposits(world, waiting), 201
    yield "fetch", lambda: fetches(world, waiting), 200


def deposits(world: World, waiting: Sequence[list[str]]) -> Lanes:
    """One window of deposits, every recipient in turn; their grants are added to `waiting`, by recipient."""
    lanes: list[list[bytes]] = []
    for lane, sender in enumerate(world.senders):
        lanes.append([])
        for number in range(EACH):
            to = (lane + number) % len(world.recipients)
            data, gid = sender.deposit_request(world.place, world.recipients[to])
            lanes[-1].append(data)
            waiting[to].append(gid)
    return lanes


def fetches(world: World, waiting: Sequence[Sequence[str]]) -> Lanes:
    """One window of fetches: each recipient what waits for it."""
    return [
        [one.fetch_request(world.place, gid) for gid in gids]
        for one, gids in zip(world.recipients, waiting, strict=True)
    ]


def window(
    server: Server,
    lanes: Lanes,
    status: int,
    per_second: list[float],
    cpu_s: list[float],
    *,
    shared: bool = False,
) -> None:
    """Send the lanes, and add what one window gave to the series; `shared`: see `bench.load.send`."""
    before = server.cpu_seconds()
    answers = send(server.port, lanes, shared=shared).expect(status)
    cpu_s.append((server.cpu_seconds() - before) / answers.count)
    per_second.append(answers.count / answers.seconds)


def _rows(engine: str, found: dict[str, Series]) -> Iterator[Row]:
    for kind, series in found.items():
        name = f"{kind}.{engine}"
        ratios = [one / floor for one, floor in zip(series.per_second, series.floor_per_second, strict=True)]
        note = f"of the floor; rounds {min(ratios):.2f}-{max(ratios):.2f}"
        yield Row(f"{name}.ratio", median(ratios), "x", aim=AIMS[kind], note=note)
        floor_note = f"floor {median(series.floor_per_second):,.0f}/s; {WORKERS} workers, {LANES} connections"
        yield Row(f"{name}.per_s", median(series.per_second), "1/s", note=floor_note)
        if sum(series.cpu_s) > 0:
            cpu_note = f"server's CPU a request; floor {median(series.floor_cpu_s) * 1e3:.2f} ms"
            cpu_ms = median(series.cpu_s) * 1e3
            yield Row(f"{name}.cpu_ms", cpu_ms, "ms", higher_is_better=False, note=cpu_note)


# -- the floor -----------------------------------------------------------------------------------------


@contextmanager
def served_floor(databases: Databases) -> Iterator[Server]:
    """Bare Flask on the floor's own database, served as the hub is."""
    port = free_port()
    command = [sys.executable, "-m", "bench.floor_server", str(port), str(WORKERS), str(THREADS)]
    env = {"FLOOR_DATABASE_URL": databases.floor_url}
    with (
        tempfile.TemporaryDirectory(prefix="homeward-bench-") as folder,
        serving(command, port, Path(folder) / "floor.log", env) as server,
    ):
        yield server


def floor_lanes(port: int) -> Lanes:
    """One window of inserts."""
    body = json.dumps({"body": _BODY}).encode()
    data = request("POST", "/insert", port, headers={"Content-Type": "application/json"}, body=body)
    return [[data] * FLOOR_EACH for _ in range(LANES)]
