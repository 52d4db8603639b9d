"""`POST /oauth/revoke`: a client's own tokens, at once and in every worker."""

from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from exchange.hub.app import BLUEPRINTS, create_app_from
from exchange.hub.db import open_engine
from tests.integration.http.conftest import PROBE, Exchange, Member, probe_blueprint

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def revoke(member: Member, token: str | None, *, proof: bool = False, **form: Any) -> TestResponse:
    sent = {"DPoP": member.proof("POST", "/oauth/revoke")} if proof else {}
    fields = member.form(grant_type=None, token=token, **form)
    return member.client.post("/oauth/revoke", data=fields, headers=sent)


@pytest.mark.parametrize("database_kind", BOTH)
def test_a_revoked_token_is_refused_at_once_by_every_worker(exchange: Exchange) -> None:
    member = exchange.admit("agency-a").login()
    other = replace(exchange.hub, engine=open_engine(exchange.hub.settings.database_url))
    second = create_app_from(other, (*BLUEPRINTS, probe_blueprint())).test_client()
    # Both have verified the token once.
    for client in (member.client, second):
        assert client.get(PROBE, headers=member.headers("GET", PROBE)).status_code == 200
    answer = revoke(member, member.token)
    assert (answer.status_code, answer.json) == (200, {})
    assert answer.headers["Homeward-Receipt"] == exchange.entries()[-1].id
    for client in (member.client, second):
        refused = client.get(PROBE, headers=member.headers("GET", PROBE))
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    other.engine.dispose()
    assert ("token:revoke", "allow", None) in exchange.acts()
    # A new token of the same agency is good.
    assert member.login().call("GET").status_code == 200


def test_a_proof_that_is_sent_must_hold(member: Member) -> None:
    assert revoke(member, member.token, proof=True).status_code == 200
    wrong = {"DPoP": member.proof("POST", "/oauth/token")}
    refused = member.client.post("/oauth/revoke", data=member.form(token=member.token), headers=wrong)
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_dpop_proof"})


def test_another_agencys_token_stays_good(exchange: Exchange, member: Member) -> None:
    other = exchange.admit("agency-b").login()
    assert revoke(other, member.token).status_code == 200
    assert member.call("GET").status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "a" * 20_000])
def test_what_is_no_token_gets_the_same_answer_and_an_entry(
    exchange: Exchange, member: Member, token: str
) -> None:
    before = len(exchange.entries())
    answer = revoke(member, token)
    assert (answer.status_code, answer.json) == (200, {})
    assert len(exchange.entries()) == before + 1


def test_the_client_must_prove_itself(exchange: Exchange, member: Member) -> None:
    for form in ({"client_assertion": None}, {"client_assertion": "a.b.c"}, {"client_id": "agency-b"}):
        refused = revoke(member, member.token, **form)
        assert (refused.status_code, refused.json) == (400, {"error": "invalid_client"})
    assert member.call("GET").status_code == 200


def test_an_assertion_works_once_here_too(exchange: Exchange, member: Member) -> None:
    assertion = member.assertion()
    assert revoke(member, "x", client_assertion=assertion).status_code == 200
    assert revoke(member, "x", client_assertion=assertion).json == {"error": "invalid_client"}
    assert member.ask_token(client_assertion=assertion).json == {"error": "invalid_client"}


def test_a_token_and_a_known_hint_are_needed(member: Member) -> None:
    assert revoke(member, None).json == {"error": "invalid_request"}
    assert revoke(member, member.token, token_type_hint="password").json == {
        "error": "unsupported_token_type"
    }
    assert revoke(member, member.token, token_type_hint="refresh_token").status_code == 200


def test_a_suspended_agency_revokes_nothing(exchange: Exchange, member: Member) -> None:
    exchange.set_status("agency-a", "suspended")
    assert revoke(member, member.token).json == {"error": "invalid_client"}
