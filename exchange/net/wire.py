"""One HTTP exchange with the hub: bounded answers, time-outs, no redirects, and repeats where they are safe.

It knows nothing of tokens or of what the answers mean. It must never follow a redirect (a token would
travel with it), never switch TLS verification off, and never repeat what is not marked repeatable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import requests

from exchange_schemas.errors import HubRefused, HubUnreachable

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
ANSWER_BYTES = 32 * 1024 * 1024
PAUSES_SECONDS = (0.25, 1.0)
MAX_WAIT_SECONDS = 10.0
_CHUNK = 64 * 1024
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
        self._session = requests.Session() if session is None else session
        self._session.auth = _keep_headers
        self._session.headers["User-Agent"] = "homeward-agency"

    def pause(self, seconds: float) -> None:
        """Wait before another attempt."""
        self._sleep(seconds)

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()

    def send(self, call: Call) -> Answer:
        """Exchange one request, its answer read whole (32 MiB at most).

        Raises: HubUnreachable after the last attempt, HubRefused for a redirect or an endless answer.
        """
        pauses = PAUSES_SECONDS if call.repeatable else ()
        for pause in pauses:
            try:
                answer = self._once(call)
            except _Lost:
                self._sleep(pause)
                continue
            if answer.status not in _BUSY:
                return answer
            self._sleep(_retry_after(answer.headers, pause))
        try:
            return self._once(call)
        except _Lost as lost:
            raise lost.error from lost.error.__cause__

    def _once(self, call: Call) -> Answer:
        sent = call.headers()
        with self._response(call, sent) as response:
            body = _read(response)
            return Answer(call.method, response.status_code, response.headers, body, sent)

    @contextmanager
    def stream(self, call: Call) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """As `send` with one attempt, for an answer that is read piece by piece in constant memory.

        A refusal (status >= 400) has its body in the answer and no pieces.
        """
        sent = call.headers()
        try:
            with self._response(call, sent) as response:
                refused = response.status_code >= 400
                body = _read(response) if refused else b""
                answer = Answer(call.method, response.status_code, response.headers, body, sent)
                yield answer, iter(()) if refused else _pieces(response)
        except _Lost as lost:
            raise lost.error from lost.error.__cause__

    @contextmanager
    def _response(self, call: Call, sent: Mapping[str, str]) -> Iterator[requests.Response]:
        with _network_errors(), _body(call) as body:
            response = self._session.request(
                call.method,
                call.url,
                params=dict(call.params),
                headers=dict(sent),
                data=body,  # type: ignore[arg-type]  # bytes, or a file that is read in pieces
                timeout=(self._patience.connect, self._patience.read),
                allow_redirects=False,
                stream=True,
            )
            with response:
                if 300 <= response.status_code < 400 and response.status_code != 304:
                    raise HubRefused(
                        "the hub's address answers with a redirect, which is never followed",
                        hint="check base_url in agency.json with the operator",
                    )
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


class _Lost(Exception):
    """One attempt found no hub; holds the error to raise when it was the last one."""

    def __init__(self, error: HubUnreachable) -> None:
        super().__init__()
        self.error = error


@contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise HubUnreachable(
            "the hub's TLS certificate cannot be verified; nothing was sent",
            hint="check this machine's clock and certificates; never switch verification off",
        ) from error
    except requests.exceptions.Timeout as error:
        raise _Lost(_unreachable("did not answer in time", error)) from error
    except requests.exceptions.RequestException as error:
        raise _Lost(_unreachable("cannot be reached", error)) from error


def _unreachable(what: str, cause: Exception) -> HubUnreachable:
    error = HubUnreachable(
        f"the hub {what}", hint="check the connection; nothing is lost, run the same command again later"
    )
    error.__cause__ = cause
    return error


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As `auth`, so that a ~/.netrc never replaces the Authorization header."""
    return request


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in _pieces(response):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise HubRefused(f"the hub's answer is longer than {ANSWER_BYTES} bytes")
    return bytes(body)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    yield from response.iter_content(_CHUNK)


def _retry_after(headers: Mapping[str, str], otherwise: float) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), MAX_WAIT_SECONDS) if text.isascii() and text.isdigit() else otherwise
