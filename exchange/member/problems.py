"""From the hub's answers to our errors: RFC 9457 problem documents, OAuth errors, and what is neither.

It must never repeat a body that it does not understand, and never guess that a refusal was a success.
Sources: RFC 9457, RFC 6749 section 5.2, RFC 9449 section 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from exchange_schemas.codec import JsonValue, decode
from exchange_schemas.errors import (
    ExchangeError,
    HubRefused,
    HubUnreachable,
    Malformed,
    RateLimited,
    Unauthorized,
    error_for,
)

PROBLEM_BYTES = 512 * 1024
_TEXT_CHARS = 600
HINTS = {
    "UNAUTHORIZED": "ask the operator whether this agency is admitted and its keys are active",
    "FORBIDDEN": "this agency's kind has no right to this; ask the operator",
    "KEY_NOT_ACTIVE": "run `exchange-agency directory sync`, then try again",
    "KEY_REVOKED": "run `exchange-agency directory sync`, then try again",
    "LOG_STALE": "run `exchange-agency directory sync`, then try again",
    "CONSENT_UNKNOWN": "register the consent first: `exchange-agency consent grant`",
    "STORAGE_FULL": "the hub's disk is full: nothing was taken; tell the operator and try again later",
    "AUDIT_UNAVAILABLE": "the hub answers nothing that it cannot log; try again later",
}


def problem_error(status: int, body: bytes) -> ExchangeError:
    """The error that an answer of `status` >= 400 from /v1 stands for; not raised here."""
    problem = _object(body)
    code = None if problem is None else problem.get("code")
    if problem is None or not isinstance(code, str):
        return _no_problem(status)
    message = _first_text(problem, "detail", "title") or f"the hub refused with code {code}"
    detail: dict[str, JsonValue] = {**problem, "status": status}
    hint = _first_text(problem, "hint") or HINTS.get(code)
    field, rule = _first_text(problem, "field"), _first_text(problem, "rule")
    kind = error_for(code)
    if issubclass(kind, HubRefused):
        return HubRefused(message, problem=problem, field=field, rule=rule, hint=hint, detail=detail)
    return kind(message, field=field, rule=rule, hint=hint, detail=detail)


def oauth_error(status: int, body: bytes) -> ExchangeError:
    """The error that a refused token request stands for; one sentence whatever the reason."""
    answer = _object(body)
    code = None if answer is None else answer.get("error")
    if status == 429:
        return RateLimited("the hub wants fewer token requests", hint="wait a minute, then try again")
    if not isinstance(code, str):
        return _no_problem(status)
    known = code if code.isascii() and code.replace("_", "").isalpha() and len(code) < 40 else "unknown"
    return Unauthorized(f"the hub gives this agency no token ({known})", hint=HINTS["UNAUTHORIZED"])


def oauth_code(body: bytes) -> str | None:
    """The `error` member of an OAuth answer, or None."""
    answer = _object(body)
    code = None if answer is None else answer.get("error")
    return code if isinstance(code, str) else None


def _no_problem(status: int) -> ExchangeError:
    if status in (502, 503, 504):
        return HubUnreachable(
            f"something between here and the hub answered {status}", hint="try again in a few minutes"
        )
    return HubRefused(
        f"the hub answered {status} without saying why",
        hint="check base_url in agency.json with the operator",
        detail={"status": status},
    )


def _object(body: bytes) -> Mapping[str, JsonValue] | None:
    try:
        return decode(body, limit=PROBLEM_BYTES)
    except Malformed:
        return None


def _first_text(problem: Mapping[str, JsonValue], *names: str) -> str | None:
    for name in names:
        value = problem.get(name)
        if isinstance(value, str) and value:
            return "".join(char if char.isprintable() else " " for char in value[:_TEXT_CHARS])
    return None
