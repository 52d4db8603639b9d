"""DPoP nonces, where the setting asks for them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.hub.hubkeys import TokenKey
from exchange.hub.oauth.nonce import SLOT_S, current_nonce, is_current
from exchange.hub.services.hub import Hub, utc_now
from exchange_keys.jose import AuthKey
from tests.integration.http.conftest import PROBE, Exchange, Member


@pytest.fixture
def exchange(make_exchange: Callable[..., Exchange]) -> Exchange:
    return make_exchange(dpop_nonce=True)


def login(exchange: Exchange) -> Member:
    member = exchange.admit("agency-a")
    challenged = member.ask_token()
    assert (challenged.status_code, challenged.json) == (400, {"error": "use_dpop_nonce"})
    nonce = challenged.headers["DPoP-Nonce"]
    answer = member.ask_token(headers={"DPoP": member.proof("POST", "/oauth/token", nonce=nonce)})
    assert answer.status_code == 200
    member.token = answer.json["access_token"]
    return member


def test_the_token_endpoint_asks_for_a_nonce_and_uses_nothing_up(exchange: Exchange) -> None:
    member = exchange.admit("agency-a")
    assertion = member.assertion()
    challenged = member.ask_token(client_assertion=assertion)
    assert challenged.json == {"error": "use_dpop_nonce"}
    proof = member.proof("POST", "/oauth/token", nonce=challenged.headers["DPoP-Nonce"])
    assert member.ask_token(client_assertion=assertion, headers={"DPoP": proof}).status_code == 200


def test_a_resource_asks_for_a_nonce(exchange: Exchange) -> None:
    member = login(exchange)
    challenged = member.call("GET")
    assert challenged.status_code == 401
    assert challenged.headers["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce"')
    proof = member.proof("GET", PROBE, token=member.token, nonce=challenged.headers["DPoP-Nonce"])
    answer = member.call("GET", headers={"DPoP": proof})
    assert answer.status_code == 200
    assert "DPoP-Nonce" in answer.headers


def test_a_wrong_nonce_is_refused_and_a_challenge_is_no_failure(exchange: Exchange) -> None:
    member = login(exchange)
    proof = member.proof("GET", PROBE, token=member.token, nonce="wrong")
    assert member.call("GET", headers={"DPoP": proof}).status_code == 401
    assert [act for act, _, _ in exchange.acts()] == ["token:issue"]


def test_a_nonce_lasts_one_to_two_slots_and_is_every_workers(make_hub: Callable[..., Hub]) -> None:
    now = [utc_now()]
    hub = make_hub(clock=lambda: now[0])
    nonce = current_nonce(hub)
    assert is_current(hub, nonce)
    assert is_current(replace(hub), nonce)
    now[0] += timedelta(seconds=SLOT_S)
    assert is_current(hub, nonce)
    now[0] += timedelta(seconds=SLOT_S)
    assert not is_current(hub, nonce)
    for other in (None, "", "x", nonce[:-1], "é"):
        assert not is_current(hub, other)


def test_a_nonce_outlives_a_rotation_while_workers_restart(make_hub: Callable[..., Hub]) -> None:
    old = make_hub()
    current, following = old.keys.token
    fresh = TokenKey(AuthKey.generate("ES256"), None)
    rotated = (current, TokenKey(following.key, utc_now() - timedelta(seconds=1)), fresh)
    new = replace(old, keys=replace(old.keys, token=rotated))
    assert is_current(new, current_nonce(old))
    assert is_current(old, current_nonce(new))
    stranger = replace(old, keys=replace(old.keys, token=(TokenKey(fresh.key, utc_now()),)))
    assert not is_current(stranger, current_nonce(old))


def test_without_the_setting_no_nonce_is_asked_or_given(make_exchange: Callable[..., Exchange]) -> None:
    answer = make_exchange().admit("agency-a").login().call("GET")
    assert answer.status_code == 200
    assert "DPoP-Nonce" not in answer.headers
