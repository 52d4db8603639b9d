"""Authenticated calls to the hub's /v1: tokens, proofs, problems as our errors, receipts kept.

Every answer passes the same four steps: the hub's clock, a nonce, the refusal if it is one, the receipt.
It must never hand out an answer whose receipt does not verify.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from exchange.member.problems import problem_error
from exchange.member.skew import SUSPECT_SECONDS, check_skew
from exchange.member.tokens import Tokens
from exchange.net.wire import ANSWER_BYTES, Answer, Body, Call, Wire
from exchange_schemas.codec import Encodable, JsonValue, b64u, decode, encode, sha256
from exchange_schemas.errors import HubRefused, Malformed
from exchange_schemas.limits import LIMITS

_CONTENT_RANGE = re.compile("bytes ([0-9]{1,15})-[0-9]{1,15}/[0-9]{1,15}")
RECEIPT_HEADER = "Homeward-Receipt"


@dataclass(frozen=True, slots=True)
class RawReceipt:
    """A receipt as an answer carries it, not verified yet.

    `request` is H of the DPoP proof that asked; the entry must name it unless the answer may repeat an
    earlier one (`first` False).
    """

    value: JsonValue
    request: str
    first: bool = True


@dataclass(frozen=True, slots=True)
class Download:
    """Bytes on their way; `start` is the place of the first in the whole."""

    start: int
    pieces: Iterator[bytes]


@dataclass(slots=True)
class Transport:
    """`keep` verifies and stores a receipt; `noted` stores the id of one that must be fetched."""

    base_url: str
    wire: Wire
    tokens: Tokens
    keep: Callable[[RawReceipt], None]
    noted: Callable[[str], None]
    also: Mapping[str, str] = field(default_factory=dict)
    """Headers that every request has besides: a courier's authority."""

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, JsonValue]:
        """The JSON object at `path`. Raises: the problem's error, HubUnreachable, ClockSkew."""
        return self._json(self._call("GET", path, params=params))

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """A binary answer of at most `limit` bytes, read whole. Raises: HubRefused when it is longer."""
        answer = self._call("GET", path, extra={"Accept": "application/octet-stream"})
        if len(answer.body) > limit:
            raise HubRefused(f"the hub's answer is longer than {limit} bytes")
        return answer.body

    def get_text(self, path: str, *, limit: int) -> str:
        """A public text (a checkpoint); no token. Raises: HubRefused when it is not text."""
        answer = self._finish(self.wire.send(Call("GET", self.base_url + path, headers=dict)))
        if len(answer.body) > limit:
            raise HubRefused(f"the hub's answer is longer than {limit} bytes")
        try:
            return answer.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise HubRefused("the hub's answer is not text") from error

    def post(
        self, path: str, body: Mapping[str, Encodable], *, repeatable: bool = True
    ) -> tuple[int, dict[str, JsonValue]]:
        """(status, JSON answer). `repeatable`: the same bytes again change nothing at the hub."""
        return self.post_bytes(path, request_body(body), repeatable=repeatable)

    def post_bytes(
        self, path: str, data: bytes, *, repeatable: bool = True
    ) -> tuple[int, dict[str, JsonValue]]:
        """As `post` for JSON bytes that were kept."""
        answer = self._call(
            "POST", path, body=lambda: data, extra={"Content-Type": "application/json"}, repeatable=repeatable
        )
        return answer.status, self._json(answer)

    def put_json(self, path: str, body: Mapping[str, Encodable]) -> tuple[int, dict[str, JsonValue]]:
        """As `post`, for what is set in place of what was there."""
        data = request_body(body)
        extra = {"Content-Type": "application/json"}
        answer = self._call("PUT", path, body=lambda: data, extra=extra)
        return answer.status, self._json(answer)

    def delete(self, path: str) -> dict[str, JsonValue]:
        """Take away what is at `path`."""
        return self._json(self._call("DELETE", path))

    def put(self, path: str, data: bytes, params: Mapping[str, str | int]) -> dict[str, JsonValue]:
        """Upload a few bytes; the same ones again change nothing at the hub."""
        extra = {"Content-Type": "application/octet-stream"}
        return self._json(self._call("PUT", path, params=params, body=lambda: data, extra=extra))

    @contextmanager
    def download(self, path: str, *, start: int = 0, tag: str = "") -> Iterator[Download]:
        """A binary answer in pieces, in constant memory; its receipt is fetched at the next sync.

        `start`: how much of it is here already, of the bytes whose entity tag is `tag`. The hub may
        give all of it all the same. Raises: the problem's error, HubUnreachable, HubRefused.
        """
        extra = {"Accept": "application/octet-stream"}
        if start > 0:
            extra |= {"Range": f"bytes={start}-", "If-Range": f'"{tag}"'}
        call = self._prepare("GET", path, extra=extra)
        with self.wire.stream(call) as (answer, pieces):
            if answer.status != 401 or not self.tokens.take_nonce(answer.headers):
                self._finish(answer)
                yield _downloaded(answer, start, pieces)
                return
        # The proof lacked the hub's newest nonce, which came with that answer.
        with self.wire.stream(call) as (answer, pieces):
            self._finish(answer)
            yield _downloaded(answer, start, pieces)

    def _prepare(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Body | None = None,
        extra: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Call:
        more = {"Accept": "application/json", **self.also, **({} if extra is None else extra)}
        return Call(
            method,
            self.base_url + path,
            headers=lambda: {**more, **self.tokens.headers(method, path)},
            params={} if params is None else params,
            body=body,
            repeatable=repeatable,
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Body | None = None,
        extra: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Answer:
        call = self._prepare(method, path, params=params, body=body, extra=extra, repeatable=repeatable)
        return self._finish(self._exchange(call))

    def forward(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """One exchange whose answer is handed on as it came, refusals included; its receipt is not kept here.

        Raises: HubUnreachable, ClockSkew, Unauthorized.
        """
        extra = {} if data is None else {"Content-Type": "application/json"}
        body = None if data is None else lambda: data
        answer = self._exchange(self._prepare(method, path, params=params, body=body, extra=extra))
        check_skew(answer.headers, self.tokens.now())
        return answer

    def _exchange(self, call: Call) -> Answer:
        answer = self.wire.send(call)
        if self.tokens.take_nonce(answer.headers) and answer.status == 401:
            answer = self.wire.send(call)
        elif answer.status == 401:
            # The token may have been revoked or have expired on its way: one new one.
            check_skew(answer.headers, self.tokens.now(), limit=SUSPECT_SECONDS)
            self.tokens.drop()
            answer = self.wire.send(call)
        return answer

    def _finish(self, answer: Answer) -> Answer:
        """The same four steps for every answer."""
        limit = SUSPECT_SECONDS if answer.status == 401 else None
        check_skew(answer.headers, self.tokens.now(), **({} if limit is None else {"limit": limit}))
        self.tokens.take_nonce(answer.headers)
        if answer.status >= 400:
            error = problem_error(answer.status, answer.body)
            self._keep(error.detail, answer)
            raise error
        entry = answer.headers.get(RECEIPT_HEADER)
        if entry is not None:
            self.noted(entry)
        return answer

    def _json(self, answer: Answer) -> dict[str, JsonValue]:
        try:
            value = decode(answer.body, limit=ANSWER_BYTES, depth=12)
        except Malformed as error:
            raise HubRefused("the hub's answer cannot be read", field=error.field) from error
        self._keep(value, answer)
        return value

    def _keep(self, value: Mapping[str, JsonValue], answer: Answer) -> None:
        receipt = value.get("receipt")
        if receipt is not None and answer.carried:
            self.keep(RawReceipt(receipt, "", first=False))
            return
        proof = answer.sent.get("DPoP")
        if receipt is not None and proof is not None:
            # What was deposited twice gets the first receipt again, with status 200.
            first = answer.method == "GET" or answer.status != 200
            self.keep(RawReceipt(receipt, b64u(sha256(proof.encode())), first))


def _downloaded(answer: Answer, start: int, pieces: Iterator[bytes]) -> Download:
    """Raises: HubRefused when the hub gives another range than the one it was asked for."""
    if answer.status != 206:
        return Download(0, pieces)
    place = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if place is None or int(place[1]) != start:
        raise HubRefused("the hub gave another range than the one it was asked for", field="Content-Range")
    return Download(start, pieces)


def request_body(body: Mapping[str, Encodable]) -> bytes:
    """The bytes of a JSON request: the same ones for the same body, online and on a stick."""
    return encode(body, limit=LIMITS.request_body_bytes, depth=16)
