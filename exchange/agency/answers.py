"""What an answer to an information request must say: every asked field is given or refused with a code. Pure.

The rules, each with a permanent tag:
  A01-asked     an answer gives what was asked for and nothing else (the reference of the child apart)
  A02-complete  every other asked field is refused with a code
  A03-once      no field is both given and refused, and none is refused that was not asked for
  A04-declined  declined answers a message of the other side that can be declined
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Conflict, FieldDenied

REQUEST = "information_request"
ANSWERS = ("information_response", "declined")
DECLINED = "declined"
DECLINABLE = frozenset(
    {
        REQUEST,
        "tracing_request",
        "service_referral",
        "responsibility_offer",
        "withdrawal_request",
        "regrant_request",
    }
)
"""The kinds that may be answered with declined."""
_REFERENCE = "child_ref"


def check_declined(kind: str, answered: str | None) -> None:
    """Rule A04 for a message of `kind` that answers one of the kind `answered`. Raises: Conflict."""
    if kind == DECLINED and answered not in DECLINABLE:
        raise Conflict(
            "declined: it answers no request that can be declined",
            field="in_reply_to",
            rule="A04-declined",
            hint="name the request with --in-reply-to",
        )


def asked_fields(content: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The fields that a request asks for."""
    asked = content.get("asked_fields")
    return tuple(str(name) for name in asked) if isinstance(asked, list) else ()


def refusals_of(content: Mapping[str, JsonValue]) -> dict[str, str]:
    """Refused fields and their codes."""
    refusals = content.get("refusals")
    found = refusals if isinstance(refusals, list) else []
    return {str(one["field"]): str(one["code"]) for one in found if isinstance(one, dict)}


def check_complete(
    request: Mapping[str, JsonValue], content: Mapping[str, JsonValue], given: Sequence[Collection[str]]
) -> None:
    """Rules A01 to A03 for each recipient's fields in `given`. Raises: FieldDenied."""
    asked, refused = set(asked_fields(request)), set(refusals_of(content))
    known = load_catalogue().fields
    for parts in given:
        names = {name for name in parts if name in known and (name != _REFERENCE or name in asked)}
        _none(names - asked, "A01-asked", "was not asked for", "leave it out, or send it by itself")
        _none(refused - asked, "A03-once", "was not asked for, so it is not refused", "leave it out")
        _none(names & refused, "A03-once", "is given and refused at once", "do one of both")
        _none(
            asked - names - refused,
            "A02-complete",
            "was asked for and is neither given nor refused",
            "refuse it with a code: `exchange-agency request answer` does",
        )


def _none(names: Collection[str], rule: str, why: str, hint: str) -> None:
    if names:
        name = min(names)
        raise FieldDenied(f"{name}: {why}", field=name, rule=rule, hint=hint)
