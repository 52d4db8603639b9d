"""Sealing a record for 1, 5 and 20 recipients: ours beside what a developer would otherwise use, in one run.

Ours: twelve fields, each sealed by itself, post-quantum keys, a signed manifest, and the sender's own grant
besides the recipients'. The peers: X25519 alone; most of them one blob that every recipient can open whole.
Each runs in a process and an environment of its own; all are asked in turn, round by round. CPU seconds.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Final

from bench.peers.environment import HERE, NotInstalled, python_of
from bench.records import own_plaintext, plaintexts
from bench.sealing import RECIPIENTS, our_open, our_seal
from bench.table import Row
from bench.timing import median_ratio, seconds_of
from exchange_schemas.ids import new_id

ROUNDS: Final = 9
TIMES: Final = 4
MOST: Final = max(RECIPIENTS)
# name in a row: (environment, arguments, what it is)
PEERS: Final[Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "pynacl": ("pynacl", (), "PyNaCl SealedBox, the whole record for each recipient"),
    "pyrage": ("pyrage", (), "pyrage, one flat blob for all"),
    "joserfc_flat": ("joserfc", ("flat",), "joserfc JWE, one flat blob for all"),
    "joserfc_fields": ("joserfc", (), "joserfc JWE, one for each field, for all"),
    "didcomm": ("didcomm", (), "didcomm authcrypt, the whole record for each recipient"),
    "crypt4gh": ("crypt4gh", (), "crypt4gh, one flat blob for all"),
}
# How many times a peer's time ours may take at 20 recipients.
AIMS: Final = {"pyrage": 3.0, "didcomm": 1.0, "joserfc_fields": 1.0}


class PeerFailed(Exception):
    """A peer's process ended, or does not open what it sealed."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One running peer."""

    name: str
    process: subprocess.Popen[str]
    feed: IO[str]
    answers: IO[str]

    def ask(self, asked: object) -> dict[str, float]:
        """One line there and back. Raises: PeerFailed."""
        try:
            self.feed.write(json.dumps(asked) + "\n")
            self.feed.flush()
            answer: dict[str, float] = json.loads(self.answers.readline())
        except (OSError, ValueError):
            raise PeerFailed(f"{self.name} ended with code {self.process.wait()}") from None
        return answer


def rows() -> Iterator[Row]:
    """Ours for each number of recipients, every peer's time, and ratios; a row says why a peer is missing."""
    with ExitStack() as stack:
        peers = []
        for name in PEERS:
            try:
                peers.append(stack.enter_context(_running(name)))
            except (NotInstalled, PeerFailed) as error:
                yield Row(f"peers.{name}.missing", 1, "", higher_is_better=False, note=str(error))
        for op in ("seal", "open"):
            for count in RECIPIENTS:
                yield from _rows(op, count, peers)


def _rows(op: str, count: int, peers: list[Peer]) -> Iterator[Row]:
    ours = our_seal(count) if op == "seal" else our_open(count)
    seconds_of(ours, TIMES)
    asked = {"op": op, "count": count, "times": TIMES}
    sizes = {peer.name: peer.ask(asked)["bytes"] for peer in peers}
    mine: list[float] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(ROUNDS):
        mine.append(seconds_of(ours, TIMES))
        for peer in peers:
            theirs[peer.name].append(peer.ask(asked)["seconds"])
    note = "twelve sealed fields, post-quantum, signed"
    yield Row(f"peers.{op}.{count}.ours_ms", median(mine) * 1e3, "ms", higher_is_better=False, note=note)
    for name, found in theirs.items():
        yield Row(
            f"peers.{op}.{count}.to_{name}",
            median_ratio(mine, found),
            "x",
            aim=AIMS.get(name) if (op, count) == ("seal", MOST) else None,
            higher_is_better=False,
            note=f"{median(found) * 1e3:.2f} ms, {sizes[name]:,.0f} bytes: {PEERS[name][2]}",
        )


@contextmanager
def _running(name: str) -> Iterator[Peer]:
    """A peer that has the record. Raises: NotInstalled, PeerFailed."""
    environment, arguments, _ = PEERS[name]
    command: list[str | Path] = [python_of(environment), "-W", "ignore", HERE / f"with_{environment}.py"]
    process = subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise PeerFailed(f"{name} has no pipes")
    with process:
        peer = Peer(name, process, process.stdin, process.stdout)
        peer.ask(_record())
        yield peer


def _record() -> dict[str, str]:
    """The same values as ours seals, each as its JSON text."""
    own = own_plaintext(new_id(bytes))
    return {name: data.decode() for name, data in {**own, **plaintexts()}.items()}
