"""One HTTP exchange with the hub: bounded answers, time-outs, and repeats where they are safe.

It knows nothing of tokens or of what the answers mean, and must never repeat what is not marked repeatable.
The connection under it, and the HTTP library with it, are there once something is sent: many commands ask
nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from exchange_schemas.errors import HubRefused, HubUnreachable

if TYPE_CHECKING:
    import requests

    from exchange.net.connection import Connection

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
ANSWER_BYTES = 32 * 1024 * 1024
PAUSES_SECONDS = (0.25, 1.0)
MAX_WAIT_SECONDS = 10.0
_PIECE_BYTES = 8 * 1024
"""What a cut may cost of a streamed answer: the bytes of a piece that is not whole are lost with it."""
_BUSY = (429, 502, 503, 504)


@runtime_checkable
class Closable(Protocol):
    """What must be closed after it was sent."""

    def close(self) -> None:
        """Close it."""


Body = Callable[[], "bytes | Iterator[bytes] | object"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `headers` and `body` are made anew for every attempt (a DPoP proof works once)."""

    method: str
    url: str
    headers: Callable[[], Mapping[str, str]]
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `sent` are the headers of the attempt that was answered.

    `carried`: a courier brought it; its request's proof was the courier's.
    """

    method: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: Mapping[str, str]
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, and for the next piece of an answer."""

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS


class Lost(Exception):
    """One attempt found no hub; holds the error to raise when it was the last one."""

    def __init__(self, error: HubUnreachable) -> None:
        super().__init__()
        self.error = error


class Wire:
    """A connection to one hub."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], None] = time.sleep,
        session: requests.Session | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`sleep` waits between attempts; `session` is given by tests only."""
        self._sleep = sleep
        self._patience = Patience() if patience is None else patience
        self._session = session

    def pause(self, seconds: float) -> None:
        """Wait before another attempt."""
        self._sleep(seconds)

    def close(self) -> None:
        """Drop the connections."""
        if "_connection" in vars(self):
            self._connection.close()

    @cached_property
    def _connection(self) -> Connection:
        from exchange.net.connection import Connection

        return Connection(self._session)

    def send(self, call: Call) -> Answer:
        """Exchange one request, its answer read whole (32 MiB at most).

        Raises: HubUnreachable after the last attempt, HubRefused for a redirect or an endless answer.
        """
        pauses = PAUSES_SECONDS if call.repeatable else ()
        for pause in pauses:
            try:
                answer = self._once(call)
            except Lost:
                self._sleep(pause)
                continue
            if answer.status not in _BUSY:
                return answer
            self._sleep(_retry_after(answer.headers, pause))
        try:
            return self._once(call)
        except Lost as lost:
            raise lost.error from lost.error.__cause__

    def _once(self, call: Call) -> Answer:
        sent = call.headers()
        with self._attempt(call, sent) as response:
            body = _read(response)
            return Answer(call.method, response.status_code, response.headers, body, sent)

    @contextmanager
    def stream(self, call: Call) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """As `send` with one attempt, for an answer that is read piece by piece in constant memory.

        A refusal (status >= 400) has its body in the answer and no pieces.
        """
        sent = call.headers()
        try:
            with self._attempt(call, sent) as response:
                refused = response.status_code >= 400
                body = _read(response) if refused else b""
                answer = Answer(call.method, response.status_code, response.headers, body, sent)
                yield answer, iter(()) if refused else _pieces(response)
        except Lost as lost:
            raise lost.error from lost.error.__cause__

    @contextmanager
    def _attempt(self, call: Call, sent: Mapping[str, str]) -> Iterator[requests.Response]:
        with _body(call) as body, self._connection.exchange(call, sent, body, self._patience) as response:
            yield response


@contextmanager
def _body(call: Call) -> Iterator[object]:
    """The body for one attempt, closed after it."""
    body = None if call.body is None else call.body()
    try:
        yield body
    finally:
        if isinstance(body, Closable):
            body.close()


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in _pieces(response):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise HubRefused(f"the hub's answer is longer than {ANSWER_BYTES} bytes")
    return bytes(body)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    yield from response.iter_content(_PIECE_BYTES)


def _retry_after(headers: Mapping[str, str], otherwise: float) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), MAX_WAIT_SECONDS) if text.isascii() and text.isdigit() else otherwise
