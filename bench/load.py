"""A thin load generator: prepared HTTP/1.1 requests over a few keep-alive connections, one thread.

It shares the machine with the server, so it does as little as it can: whole requests are bytes made before,
answers are read by their Content-Length and not parsed. Each connection sends its next request when the last
one is answered: from a lane of its own, or, as the usual load generators do, from what all have left.
"""

import gc
import selectors
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from time import perf_counter

HOST = "127.0.0.1"
_CHUNK = 256 * 1024
_STALLED_S = 30.0


class LoadFailed(Exception):
    """A server closed a connection, stalled, or answered with something else than expected."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a run gave: wall seconds from the first request to the last answer; (status, body) by lane."""

    seconds: float
    lanes: tuple[tuple[tuple[int, bytes], ...], ...]

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return sum(len(lane) for lane in self.lanes)

    def expect(self, status: int) -> "Answers":
        """Itself, when every answer has this status. Raises: LoadFailed with the first one that has not."""
        found = Counter(answer[0] for lane in self.lanes for answer in lane)
        if set(found) != {status}:
            odd = next(body for lane in self.lanes for code, body in lane if code != status)
            raise LoadFailed(f"answers {dict(found)}, not all {status}: {odd[:300]!r}")
        return self


def request(
    method: str, path: str, port: int, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def send(port: int, lanes: Sequence[Sequence[bytes]], *, shared: bool = False) -> Answers:
    """Send every lane over a connection of its own, all at once, each in its order.

    `shared`: as many connections, and each takes whatever request is next of all: a server whose processes
    have got different numbers of connections is then not measured by the slowest. Raises: LoadFailed.
    """
    together = (one for row in zip_longest(*lanes) for one in row if one is not None)
    running = [
        _Lane(socket.create_connection((HOST, port)), together if shared else iter(lane))
        for lane in lanes
        if lane
    ]
    # A collection in the middle would be charged to the server.
    gc.collect()
    gc.disable()
    try:
        seconds = _run(running)
    finally:
        gc.enable()
        for lane in running:
            lane.connection.close()
    return Answers(seconds, tuple(tuple(lane.answers) for lane in running))


@dataclass(slots=True)
class _Lane:
    """One connection; `pending` holds the bytes of an answer that is not whole yet."""

    connection: socket.socket
    waiting: Iterator[bytes]
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    pending: bytearray = field(default_factory=bytearray)
    needed: int | None = None

    def __post_init__(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_next(self) -> bool:
        """Send the next request, whose bytes fit the system's buffer; False when there is none."""
        data = next(self.waiting, None)
        if data is None:
            return False
        self.connection.sendall(data)
        return True

    def receive(self) -> bool:
        """Take what has come; whether this was the last answer here. Raises: LoadFailed."""
        data = self.connection.recv(_CHUNK)
        if data == b"":
            raise LoadFailed("the server closed a connection")
        self.pending += data
        if self.needed is None:
            self.needed = _whole_length(self.pending)
        if self.needed is None or len(self.pending) < self.needed:
            return False
        status, body = int(self.pending[9:12]), self.pending.index(b"\r\n\r\n") + 4
        self.answers.append((status, bytes(self.pending[body : self.needed])))
        self.pending.clear()
        self.needed = None
        return not self.send_next()


def _run(lanes: Sequence[_Lane]) -> float:
    with selectors.DefaultSelector() as selector:
        for lane in lanes:
            selector.register(lane.connection, selectors.EVENT_READ, lane)
        start = perf_counter()
        left = sum(lane.send_next() for lane in lanes)
        while left:
            ready = selector.select(_STALLED_S)
            if not ready:
                raise LoadFailed(f"no answer within {_STALLED_S:.0f} seconds")
            for key, _ in ready:
                lane = key.data
                if lane.receive():
                    selector.unregister(lane.connection)
                    left -= 1
        return perf_counter() - start


def _whole_length(data: bytearray) -> int | None:
    """Bytes of head and body together, when the head is whole. Raises: LoadFailed."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    for line in data[:end].lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return end + 4 + int(line[15:])
    raise LoadFailed("an answer without Content-Length")
