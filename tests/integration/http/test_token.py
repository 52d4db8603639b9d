"""`POST /oauth/token`: what a client gets, and that the log has it."""

import pytest

from exchange.hub.services.tokens import SCOPES
from exchange_keys.jose import AuthKey, decode_compact, thumbprint
from tests.integration.http.conftest import BASE_URL, Exchange, Member

ALL_BUT_AUDIT = " ".join(sorted(set(SCOPES) - {"audit:read"}))


def claims_of(exchange: Exchange, token: str) -> dict[str, object]:
    keys = {key.public.kid: key.public for key in exchange.hub.keys.published()}
    return decode_compact(token, typ={"at+jwt"}, key_for=keys.get)[1]


@pytest.mark.parametrize("alg", ["ES256", "PS256"])
def test_a_token_is_bound_to_the_key_of_the_proof_and_says_who_may_do_what(
    exchange: Exchange, alg: str
) -> None:
    member = exchange.admit("agency-a", alg=alg)
    answer = member.ask_token(client_id="agency-a", scope="envelopes:send directory:read")
    assert answer.status_code == 200
    body = answer.json
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == (
        "DPoP",
        300,
        "directory:read envelopes:send",
    )
    claims = claims_of(exchange, body["access_token"])
    assert claims["cnf"] == {"jkt": thumbprint(member.dpop.public)}
    assert (claims["iss"], claims["aud"]) == (BASE_URL, BASE_URL)
    assert (claims["sub"], claims["client_id"], claims["kind"]) == ("agency-a", "agency-a", "ngo")
    assert claims["exp"] - claims["iat"] == 300  # type: ignore[operator]


def test_no_scope_asked_gives_all_of_the_kind(exchange: Exchange) -> None:
    assert exchange.admit("agency-a").ask_token().json["scope"] == ALL_BUT_AUDIT
    assert exchange.admit("auditor-a", "auditor").ask_token().json["scope"] == "audit:read directory:read"


def test_a_dpop_key_may_be_ps256_too(exchange: Exchange) -> None:
    member = exchange.admit("agency-a")
    member.dpop = AuthKey.generate("PS256")
    assert member.login().call("GET").status_code == 200


def test_every_token_issue_is_logged_with_the_digest_of_its_proof(exchange: Exchange) -> None:
    answer = exchange.admit("agency-a").ask_token()
    (entry,) = exchange.entries()
    assert (entry.act.value, entry.out, entry.org, entry.own) == (
        "token:issue",
        "allow",
        "agency-a",
        ("agency-a",),
    )
    assert entry.req is not None
    assert answer.headers["Homeward-Receipt"] == entry.id


def test_the_token_lifetime_is_the_setting(make_exchange) -> None:  # type: ignore[no-untyped-def]
    exchange = make_exchange(token_lifetime_s=60)
    body = exchange.admit("agency-a").ask_token().json
    claims = claims_of(exchange, body["access_token"])
    assert (body["expires_in"], claims["exp"] - claims["iat"]) == (60, 60)  # type: ignore[operator]


def test_a_token_answer_is_never_stored_and_sets_no_cookie(exchange: Exchange) -> None:
    headers = exchange.admit("agency-a").ask_token().headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers


def test_a_second_active_key_works_and_a_drained_or_revoked_one_does_not(exchange: Exchange) -> None:
    member = exchange.admit("agency-a")
    first, second = member.key, AuthKey.generate("ES256")
    exchange.add_key("agency-a", second)
    assert member.ask_token().status_code == 200
    member.key = second
    assert member.ask_token().status_code == 200
    for status in ("draining", "revoked"):
        exchange.set_key_status(first.public.kid, status)
        member.key = first
        refused = member.ask_token()
        assert (refused.status_code, refused.json) == (400, {"error": "invalid_client"})
    # Who proves a key that was the agency's is known, so this refusal is in the log.
    assert exchange.acts()[-1] == ("token:issue", "deny", "UNAUTHORIZED")


@pytest.mark.parametrize("status", ["suspended", "expelled"])
def test_an_agency_that_takes_no_part_gets_no_token(exchange: Exchange, status: str) -> None:
    member = exchange.admit("agency-a").login()
    exchange.set_status("agency-a", status)
    assert member.ask_token().json == {"error": "invalid_client"}


def test_without_a_proof_there_is_no_token(member: Member) -> None:
    refused = member.ask_token(headers={})
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_dpop_proof"})


def test_the_resource_parameter_may_only_name_the_hub(member: Member) -> None:
    assert member.ask_token(resource=BASE_URL).status_code == 200
    for other in (f"{BASE_URL}/", "https://other.example"):
        assert member.ask_token(resource=other).json == {"error": "invalid_target"}


@pytest.mark.parametrize("grant_type", ["password", "authorization_code", "refresh_token", 'a"b\\', "é", ""])
def test_other_grant_types_are_refused_without_repeating_them(member: Member, grant_type: str) -> None:
    refused = member.ask_token(grant_type=grant_type)
    assert (refused.status_code, refused.json) == (400, {"error": "unsupported_grant_type"})


def test_a_token_endpoint_get_is_405_with_allow(exchange: Exchange) -> None:
    answer = exchange.client.get("/oauth/token")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
