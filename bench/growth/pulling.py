"""A hub in use, with and without an auditor that pulls as fast as it can: how long requests take.

The pull is the auditor's own over HTTP, of a log with some thousand entries, into a new folder again and
again; in reality it runs on another machine, so here it may only use what the others leave (nice 19).
Requests come one every 40 ms: a hub at its limit is slowed by anything. With and without take turns.
"""

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

from bench.databases import ENGINES
from bench.hub import World, renew_tokens, served_world
from bench.load import send
from bench.members import Member
from bench.table import Row
from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import pull
from exchange.member.deployment import Deployment
from exchange.member.tokens import AUDITOR_SCOPES, Caller, Tokens
from exchange.member.transport import Transport
from exchange.net.wire import Wire
from exchange_schemas.ids import AgencyId

ROUNDS: Final = 4
WINDOW_S: Final = 4.0
"""How long each of the two lasts in a round: both databases take some minute and a half in all."""
EVERY_S: Final = 0.04
BEFORE: Final = 1_000
"""Entries that the log has before anything is measured."""
AIMS: Final = {50: 1.5, 99: 2.0}


@dataclass(slots=True)
class Times:
    """Seconds of each request."""

    seconds: list[float] = field(default_factory=list)

    def at(self, percent: int) -> float:
        """The time within which so many of a hundred were answered."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1]


def rows() -> Iterator[Row]:
    """Both databases."""
    for engine in ENGINES:
        auditor = Member(AgencyId("bench-audit"), "auditor")
        with engine() as databases, served_world(databases, (auditor,)) as world:
            _grow(world)
            alone, beside, pulls = Times(), Times(), 0
            for _ in range(ROUNDS):
                renew_tokens(world)
                _window(world, alone)
                with _pulling(world, auditor) as done:
                    _window(world, beside)
                pulls += done.value
            yield from _figures(databases.name, alone, beside, pulls)


def _grow(world: World) -> None:
    """Entries to be pulled: reads of keys that nobody has, each a logged denial."""
    place, each = world.place, BEFORE // len(world.senders) // 4
    for _ in range(4):
        renew_tokens(world)
        path = f"/v1/grants/{'A' * 22}"
        lanes = [[one.get_request(place, path) for _ in range(each)] for one in world.recipients]
        send(place.port, lanes)


def _window(world: World, found: Times) -> None:
    place, senders, recipients = world.place, world.senders, world.recipients
    end = perf_counter() + WINDOW_S
    for number in count():
        if perf_counter() > end:
            return
        sender, to = senders[number % len(senders)], recipients[number % len(recipients)]
        data, gid = sender.deposit_request(place, to)
        _send(place.port, data, 201, found)
        _send(place.port, to.fetch_request(place, gid), 200, found)


def _send(port: int, data: bytes, status: int, found: Times) -> None:
    start = perf_counter()
    send(port, [[data]]).expect(status)
    took = perf_counter() - start
    found.seconds.append(took)
    sleep(max(0.0, EVERY_S - took))


@contextmanager
def _pulling(world: World, auditor: Member) -> Iterator[Any]:
    """Pull in a process of its own; `.value` is how often it came to an end."""
    context = multiprocessing.get_context("fork")
    stop, done = context.Event(), context.Value("i", 0)
    process = context.Process(target=_pull_on, args=(world.place.base_url, auditor, stop, done))
    process.start()
    try:
        yield done
    finally:
        stop.set()
        process.join()


def _pull_on(base_url: str, auditor: Member, stop: Any, done: Any) -> None:
    os.nice(19)
    wire = Wire()
    caller = Caller(auditor.id, AUDITOR_SCOPES, auditor.auth, "bench")
    tokens = Tokens(base_url, caller, wire, lambda: datetime.now(UTC), os.urandom, lambda _entry: None)
    hub = Transport(base_url, wire, tokens, lambda _receipt: None, lambda _entry: None)
    vkey = Deployment.from_bytes(hub.get_text("/v1/deployment", limit=65_536).encode()).audit_vkey
    while not stop.is_set():
        with tempfile.TemporaryDirectory(prefix="homeward-bench-") as folder:
            pull(Mirror(Path(folder)), hub, vkey, progress=lambda _done, _all: _until(stop))
        with done.get_lock():
            done.value += 1


def _until(stop: Any) -> None:
    if stop.is_set():
        raise SystemExit(0)


def _figures(engine: str, alone: Times, beside: Times, pulls: int) -> Iterator[Row]:
    for percent, aim in AIMS.items():
        ratio = beside.at(percent) / alone.at(percent)
        note = f"{beside.at(percent) * 1e3:.1f} ms, without {alone.at(percent) * 1e3:.1f} ms; "
        note += f"{len(beside.seconds)} requests, {pulls} pulls"
        yield Row(f"pull.{engine}.p{percent}_ratio", ratio, "x", aim=aim, higher_is_better=False, note=note)
