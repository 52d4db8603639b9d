"""The one map from errors to HTTP."""

import logging
from typing import Any

import pytest
from werkzeug import exceptions

from exchange.hub.api.problem import (
    INTERNAL,
    internal_problem,
    log_failure,
    problem_of,
    problem_of_http,
    problems,
    status_of,
)
from exchange.hub.services.audit_append import Appended
from exchange.hub.services.release import REPLAYED, Receipt
from exchange.hub.services.tokens import INVALID_TOKEN, USE_NONCE, Refused
from exchange.log.tree import Frontier, leaf_hash
from exchange_keys.signing import SigningKey
from exchange_schemas import errors
from exchange_schemas.errors import error_codes, error_for

BASE_URL = "https://hub.example"
STATUSES = {
    "MALFORMED": 422,
    "VERSION": 422,
    "TOO_LARGE": 413,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONSENT_WITHDRAWN": 403,
    "FIELD_DENIED": 403,
    "REPLAY": 409,
    "CONFLICT": 409,
    "SEQ_CONFLICT": 409,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
    "AUDIT_UNAVAILABLE": 503,
    "STORAGE_FULL": 507,
    "METHOD_NOT_ALLOWED": 405,
    "UNSUPPORTED_MEDIA": 415,
    "RANGE_NOT_SATISFIABLE": 416,
}
OWN_FAILURES = (errors.LogError, errors.LocalError)


def document(error: errors.ExchangeError) -> dict[str, Any]:
    body: dict[str, Any] = problem_of(error, BASE_URL).get_json()
    return body


def test_every_code_that_can_reach_a_caller_has_its_problem_and_no_other() -> None:
    reachable = {code for code in error_codes() if not issubclass(error_for(code), OWN_FAILURES)}
    assert set(problems()) == reachable | {INTERNAL}


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_the_status_of_a_code(code: str, status: int) -> None:
    assert problem_of(error_for(code)("why"), BASE_URL).status_code == status


def test_every_denial_by_consent_is_403_and_410_with_a_tombstone() -> None:
    for code in error_codes():
        if code.endswith("_DENIED") or code.startswith("CONSENT_") or code == "GRANT_EXPIRED":
            assert status_of(error_for(code)("why")) == 403
            dead = error_for(code)("why", detail={"tombstone": {"seq": 3}})
            assert status_of(dead) == 410
            assert document(dead)["tombstone"] == {"seq": 3}


def test_a_document_has_the_members_of_rfc_9457_and_ours() -> None:
    error = errors.FieldDenied(
        "field photo is outside the consent",
        field="photo",
        rule="C07-fields",
        hint="leave it out",
        detail={"head": {"seq": 1}, "status": 200, "code": "X", "receipt": "X", "type": "X"},
    )
    assert document(error) == {
        "type": "https://hub.example/problems/field_denied",
        "title": "Field not allowed",
        "status": 403,
        "detail": "field photo is outside the consent",
        "code": "FIELD_DENIED",
        "field": "photo",
        "rule": "C07-fields",
        "hint": "leave it out",
        "head": {"seq": 1},
    }


def test_a_logged_error_carries_its_receipt() -> None:
    error = errors.Forbidden("no")
    place = Appended(0, leaf_hash(b"{}"), Frontier.empty())
    receipt = Receipt("an-id", b"{}", place, "hub.example/audit", SigningKey.generate())
    vars(error)["receipt"] = receipt
    answer = problem_of(error, BASE_URL)
    assert answer.get_json()["receipt"] == {"entry": "e30", "proof": receipt.proof}
    assert answer.headers["Homeward-Receipt"] == "an-id"


def test_not_yours_and_not_there_are_the_same_document() -> None:
    one = errors.NotFound(
        "grant 1 is agency-b's", field="gid", rule="x", hint="y", detail={"owner": "agency-b"}
    )
    assert document(one) == document(errors.NotFound("there is no grant 2"))


def test_the_hubs_own_failures_show_nothing() -> None:
    for error in (
        errors.LogIncomplete("leaf 7 of agency-b is missing", detail={"leaf": 7}),
        errors.ConfigInvalid("HOMEWARD_X", field="x"),
    ):
        assert document(error) == internal_problem(BASE_URL).get_json()


def test_who_must_wait_is_told_how_long() -> None:
    assert (
        problem_of(errors.Unavailable("busy", detail={"retry_after_s": 2}), BASE_URL).headers["Retry-After"]
        == "2"
    )
    for error in (
        errors.AuditUnavailable("full"),
        errors.StorageFull("full"),
        errors.RateLimited("slow down"),
    ):
        assert int(problem_of(error, BASE_URL).headers["Retry-After"]) > 0
    assert "Retry-After" not in problem_of(errors.Malformed("x"), BASE_URL).headers


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (Refused("x", error=None), 'DPoP algs="ES256 PS256"'),
        (Refused("x", error=INVALID_TOKEN), 'DPoP error="invalid_token", algs="ES256 PS256"'),
        (Refused("x", error=USE_NONCE, nonce="n"), 'DPoP error="use_dpop_nonce", algs="ES256 PS256"'),
        (errors.Unauthorized("x", rule=REPLAYED), 'DPoP error="invalid_dpop_proof", algs="ES256 PS256"'),
        (errors.Unauthorized("x", rule="token-revoked"), 'DPoP error="invalid_token", algs="ES256 PS256"'),
    ],
)
def test_a_401_says_which_proof_is_wanting(error: errors.Unauthorized, shown: str) -> None:
    answer = problem_of(error, BASE_URL)
    assert answer.headers["WWW-Authenticate"] == shown
    assert answer.headers.get("DPoP-Nonce") == getattr(error, "nonce", None)


def test_the_frameworks_errors_become_problems() -> None:
    for error, status, code in (
        (exceptions.NotFound(), 404, "NOT_FOUND"),
        (exceptions.BadRequest(), 422, "MALFORMED"),
        (exceptions.RequestEntityTooLarge(), 413, "TOO_LARGE"),
        (exceptions.UnsupportedMediaType(), 415, "UNSUPPORTED_MEDIA"),
        (exceptions.ImATeapot(), 500, "INTERNAL"),
        (exceptions.HTTPException(), 500, "INTERNAL"),
    ):
        answer = problem_of_http(error, BASE_URL)
        assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    allowed = problem_of_http(exceptions.MethodNotAllowed(valid_methods=["GET", "PUT"]), BASE_URL)
    assert (allowed.status_code, allowed.headers["Allow"]) == (405, "GET, PUT")


def test_a_failure_is_logged_by_type_and_place_and_never_by_value(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        try:
            raise KeyError("Maryam")
        except KeyError as cause:
            raise ValueError("Maryam born in Aleppo") from cause

    with caplog.at_level(logging.ERROR):
        try:
            fail()
        except ValueError as error:
            log_failure(error)
    assert "ValueError from KeyError" in caplog.text
    assert "in fail" in caplog.text
    assert "Maryam" not in caplog.text
