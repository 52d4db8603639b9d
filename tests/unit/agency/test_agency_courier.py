"""Which of the hub's answers a courier takes back to the office, and which are its own affair."""

import pytest

from exchange.agency.bundles.courier import final
from exchange.net.wire import Answer
from exchange_schemas.codec import encode
from exchange_schemas.errors import ExchangeError


def answer(status: int, code: str, rule: str | None = None) -> Answer:
    members = {"code": code, "title": "No", "detail": "no", "status": status}
    return Answer("POST", status, {}, encode(members if rule is None else {**members, "rule": rule}), {})


@pytest.mark.parametrize(
    ("status", "code", "rule"),
    [
        (201, "", None),
        (403, "CONSENT_WITHDRAWN", "C05-withdrawn"),
        (403, "RECIPIENT_DENIED", "agency-active"),
        (403, "POLICY_DENIED", "C20-policy"),
        (403, "FORBIDDEN", "deletion-withdrawn"),
        (404, "NOT_FOUND", None),
        (409, "SEQ_CONFLICT", None),
        (410, "CONSENT_WITHDRAWN", None),
        (422, "KEY_REVOKED", None),
    ],
)
def test_what_the_hub_says_of_the_offices_request_goes_back_to_it(
    status: int, code: str, rule: str | None
) -> None:
    given = answer(status, code, rule)
    assert final(given) is given


@pytest.mark.parametrize(
    ("status", "code", "rule"),
    [
        (401, "UNAUTHORIZED", None),
        (403, "FORBIDDEN", "courier-time"),
        (403, "FORBIDDEN", "courier-operation"),
        (403, "FORBIDDEN", None),
        (429, "RATE_LIMITED", None),
        (500, "INTERNAL", None),
        (503, "AUDIT_UNAVAILABLE", None),
        (507, "STORAGE_FULL", None),
    ],
)
def test_what_is_said_of_the_courier_or_passes_stops_it(status: int, code: str, rule: str | None) -> None:
    with pytest.raises(ExchangeError) as refused:
        final(answer(status, code, rule))
    assert refused.value.rule == rule


@pytest.mark.parametrize("body", [b"", b"<html>blocked</html>", b"{}", b'{"code":"NEVER_HEARD_OF"}'])
def test_a_refusal_that_is_not_the_hubs_is_no_answer(body: bytes) -> None:
    with pytest.raises(ExchangeError):
        final(Answer("POST", 403, {}, body, {}))
