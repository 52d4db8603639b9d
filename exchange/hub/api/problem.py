"""The one map from errors to HTTP: RFC 9457 problem documents, their headers and their pages.

It must never show what a caller may not know: another agency's object and one that does not exist give the
same document, and a failure of the hub itself gives nothing but its code.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from flask import Response
from werkzeug.exceptions import HTTPException

from exchange.hub.services.release import REPLAYED, receipt_of_error
from exchange.hub.services.tokens import INVALID_PROOF, INVALID_TOKEN, Refused, challenge
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    ExchangeError,
    LocalError,
    LogError,
    Malformed,
    MethodNotAllowed,
    NotFound,
    RangeUnsatisfiable,
    RateLimited,
    ServiceError,
    TooLarge,
    Unauthorized,
    UnsupportedMedia,
)

if TYPE_CHECKING:
    from exchange_schemas.codec import JsonValue

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL: Final = "INTERNAL"
RETRY_AFTER_S: Final = 5
_BY_STATUS: Final[Mapping[int, type[ExchangeError]]] = {
    HTTPStatus.BAD_REQUEST: Malformed,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMedia,
}
# Members that a problem document has by itself: no error's own detail may replace them.
_RESERVED: Final = frozenset(
    {"type", "title", "status", "detail", "code", "field", "rule", "hint", "receipt"}
)

_log = logging.getLogger("exchange.hub")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One code's entry in problems.toml."""

    code: str
    status: int
    title: str
    happened: str
    todo: str


@cache
def problems() -> Mapping[str, Problem]:
    """Every code that an answer may carry, from the data file."""
    text = resources.files("exchange.hub.api").joinpath("problems.toml").read_text(encoding="utf-8")
    return {code: Problem(code, **members) for code, members in tomllib.loads(text).items()}


def status_of(error: ExchangeError) -> int:
    """The HTTP status: the code's own; 410 for something dead that left a tombstone."""
    if "tombstone" in error.detail:
        return HTTPStatus.GONE
    return _entry_of(error).status


def problem_of(error: ExchangeError, base_url: str) -> Response:
    """The answer to a request that was refused, with the receipt of its entry if it was logged."""
    known = _entry_of(error)
    status = status_of(error)
    document = _document(error, known, base_url, status)
    receipt = receipt_of_error(error)
    response = Response(status=status, mimetype=MEDIA_TYPE)
    if receipt is not None:
        document["receipt"] = {"entry": b64u(receipt.entry), "proof": receipt.proof}
        response.headers["Homeward-Receipt"] = receipt.entry_id
    response.set_data(dump(document))
    _add_headers(response, error, known)
    return response


def problem_of_http(error: HTTPException, base_url: str) -> Response:
    """The same for what the framework refuses: no such address, wrong method, a body over the limit."""
    kind = _BY_STATUS.get(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if kind is None:
        return internal_problem(base_url)
    response = problem_of(kind(problems()[kind.code].happened), base_url)
    allow = dict(error.get_headers()).get("Allow")
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def internal_problem(base_url: str) -> Response:
    """The answer when the hub itself failed: a code and nothing else."""
    known = problems()[INTERNAL]
    members = members_of(known, base_url, known.status, known.happened)
    return Response(dump(members), status=known.status, mimetype=MEDIA_TYPE)


def log_failure(error: BaseException) -> None:
    """Record where the hub failed: types and places in the code, never values."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    causes = [type(error).__name__]
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 5:
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    _log.error("failed: %s\n  %s", " from ".join(causes), "\n  ".join(places))


def dump(body: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON."""
    return _ENCODER.encode(body).encode()


def _entry_of(error: ExchangeError) -> Problem:
    # A LogError or LocalError here is the hub's own failure, not the caller's.
    if isinstance(error, LogError | LocalError):
        return problems()[INTERNAL]
    return problems().get(error.code, problems()[INTERNAL])


def _document(error: ExchangeError, known: Problem, base_url: str, status: int) -> dict[str, JsonValue]:
    # One text for "not yours" and "not there", and nothing of the hub's own failures.
    if known.code == INTERNAL or isinstance(error, NotFound):
        return members_of(known, base_url, status, known.happened)
    members = members_of(known, base_url, status, error.message)
    for name, value in (("field", error.field), ("rule", error.rule), ("hint", error.hint)):
        if value is not None:
            members[name] = value
    members.update((name, value) for name, value in error.detail.items() if name not in _RESERVED)
    return members


def members_of(known: Problem, base_url: str, status: int, detail: str) -> dict[str, JsonValue]:
    """What every problem document of this code holds."""
    return {
        "type": f"{base_url}/problems/{known.code.lower()}",
        "title": known.title,
        "status": int(status),
        "detail": detail,
        "code": known.code,
    }


def _add_headers(response: Response, error: ExchangeError, known: Problem) -> None:
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = _challenge(error)
        if isinstance(error, Refused) and error.nonce is not None:
            response.headers["DPoP-Nonce"] = error.nonce
    if known.code != INTERNAL and isinstance(error, ServiceError | RateLimited):
        wait = error.detail.get("retry_after_s", RETRY_AFTER_S)
        response.headers["Retry-After"] = str(wait)
    if isinstance(error, RangeUnsatisfiable) and "bytes" in error.detail:
        response.headers["Content-Range"] = f"bytes */{error.detail['bytes']}"


def _challenge(error: Unauthorized) -> str:
    if isinstance(error, Refused):
        return challenge(error.error)
    # `release` refuses only a used proof or a revoked token.
    return challenge(INVALID_PROOF if error.rule == REPLAYED else INVALID_TOKEN)
