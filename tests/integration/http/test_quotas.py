"""Rate limits over HTTP: who is counted, what is said, what it costs, and that nobody pays for another."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import event, func, select

from exchange.hub.app import BLUEPRINTS, create_app_from
from exchange.hub.db import open_engine
from exchange.hub.models.replay import replay
from exchange.hub.services.hub import utc_now
from exchange.hub.services.limits import WINDOW_S
from exchange_keys.jose import AuthKey
from tests.integration.http.conftest import PROBE, Exchange, Member, probe_blueprint

JWKS = "/oauth/jwks.json"


@pytest.fixture
def small(make_exchange: Callable[..., Exchange], now: Any) -> Exchange:
    """A hub with small quotas, whose clock stands still: one window."""
    exchange = make_exchange(clock=lambda: now, rate_agency=40, rate_address=12, rate_failures=8)
    # Nor does the minute of the counter pass, however slow the machine.
    exchange.app.extensions["homeward"].quotas._refused._seconds = lambda: 0.0
    return exchange


@pytest.fixture
def now() -> Any:
    return utc_now()


def test_every_answer_to_a_member_says_what_is_left(small: Exchange) -> None:
    member = small.admit("agency-a")
    first = member.ask_token()
    assert first.headers["RateLimit-Policy"] == '"agency";q=40;w=10'
    assert first.headers["RateLimit"].startswith('"agency";r=')
    member.token = first.json["access_token"]
    left = []
    for call in (member.call("GET"), member.call("POST", json={"wrong": 1}), member.call("GET", "/v1/inbox")):
        assert call.headers["RateLimit-Policy"] == '"agency";q=40;w=10'
        left.append(int(call.headers["RateLimit"].split("r=")[1].split(";")[0]))
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == 3


def test_a_used_up_quota_is_429_with_the_time_to_wait(small: Exchange) -> None:
    member = small.admit("agency-a").login()
    answers = [member.call("GET") for _ in range(45)]
    given = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 30 - 1 <= len(given) <= 40 - 1
    assert len(given) + len(refused) == 45
    last = refused[-1]
    assert last.json["code"] == "RATE_LIMITED"
    assert last.json["violated-policies"] == ["agency"]
    wait = int(last.headers["Retry-After"])
    assert 1 <= wait <= WINDOW_S
    assert last.headers["RateLimit"] == f'"agency";r=0;t={wait}'
    assert "Homeward-Receipt" not in last.headers
    # The token endpoint counts as well, and speaks OAuth.
    token = member.ask_token()
    assert (token.status_code, token.json) == (429, {"error": "temporarily_unavailable"})
    assert token.headers["Retry-After"] == str(wait)
    assert token.headers["RateLimit"] == f'"agency";r=0;t={wait}'


def test_a_refusal_for_a_quota_writes_nothing_but_a_count_a_minute(small: Exchange) -> None:
    member = small.admit("agency-a").login()
    while member.call("GET").status_code == 200:
        pass
    counted = small.entries()[-1]
    assert (counted.act, counted.own, counted.pol, counted.org) == (
        "request:count",
        ("agency-a",),
        "limited:1",
        None,
    )
    entries = len(small.entries())
    begun: list[Any] = []
    note = begun.append
    event.listen(small.hub.engine, "begin", note)
    sent = member.headers("GET", PROBE)
    assert {member.client.get(PROBE, headers=sent).status_code for _ in range(30)} == {429}
    event.remove(small.hub.engine, "begin", note)
    assert begun == []
    assert len(small.entries()) == entries


def test_the_proof_of_a_request_that_was_not_looked_at_is_not_used_up(
    make_exchange: Callable[..., Exchange], now: Any
) -> None:
    clock = [now]
    exchange = make_exchange(clock=lambda: clock[0], rate_agency=5)
    member = exchange.admit("agency-a").login()
    while member.call("GET").status_code == 200:
        pass
    with exchange.hub.engine.connect() as conn:
        spent = conn.execute(select(func.count()).select_from(replay)).scalar_one()
    sent = member.headers("GET", PROBE)
    assert member.client.get(PROBE, headers=sent).status_code == 429
    with exchange.hub.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(replay)).scalar_one() == spent
    clock[0] = now + timedelta(seconds=WINDOW_S)
    assert member.client.get(PROBE, headers=sent).status_code == 200
    # And then it is a replay, as ever.
    assert member.client.get(PROBE, headers=sent).status_code == 401


def test_one_agencys_burst_does_not_slow_another(small: Exchange) -> None:
    """Counted, not timed: the other gets every answer, and the burst's refusals cost the database nothing."""
    noisy, quiet = small.admit("agency-a").login(), small.admit("agency-b").login()
    begun: list[Any] = []
    note = begun.append
    event.listen(small.hub.engine, "begin", note)
    statuses: dict[str, list[int]] = {"noisy": [], "quiet": []}
    for number in range(200):
        statuses["noisy"].append(noisy.call("GET").status_code)
        if number % 8 == 0:
            statuses["quiet"].append(quiet.call("GET").status_code)
    event.remove(small.hub.engine, "begin", note)
    assert statuses["quiet"] == [200] * 25
    answered = statuses["noisy"].count(200)
    assert answered < 40
    # One transaction for each answer; the rest are leases of both, and the count of the refused.
    leases = len(begun) - answered - 25
    assert leases <= 2 * (4 * 2 + 2) + 1


def test_addresses_are_counted_where_nobody_proves_anything(small: Exchange) -> None:
    statuses = [small.client.get(JWKS).status_code for _ in range(20)]
    assert 9 <= statuses.count(200) <= 12
    refused = small.client.get("/v1/audit/log/checkpoint")
    assert (refused.status_code, refused.json["violated-policies"]) == (429, ["address"])
    assert refused.headers["RateLimit-Policy"] == '"address";q=12;w=10'
    # A member is never refused for its address, nor is a probe of the operators' monitoring.
    member = small.admit("agency-a").login()
    assert member.call("GET").status_code == 200
    assert {small.client.get(path).status_code for path in ("/healthz", "/readyz")} == {200}
    # No token at all is a request without proof.
    assert small.client.get(PROBE).status_code == 429


def test_failed_proofs_are_counted_by_address_and_keep_nobody_else_out(small: Exchange) -> None:
    member = small.admit("agency-a").login()
    stranger = Member(small.hub, small.client, "agency-z", AuthKey.generate("ES256"))
    statuses = [stranger.ask_token().status_code for _ in range(12)]
    assert statuses[-1] == 429
    assert 6 <= statuses.count(400) <= 8
    bad = member.call("GET", headers={"Authorization": "Bearer x"})
    assert (bad.status_code, bad.json["violated-policies"]) == (429, ["failures"])
    assert member.client.post("/oauth/token", data="a=1&a=2").status_code == 429
    # Agencies behind one address, or behind one proxy, do not pay for a stranger beside them.
    assert member.call("GET").status_code == 200
    assert member.login().call("GET").status_code == 200


def test_who_had_a_token_of_this_hub_is_told_to_ask_for_a_new_one_however_often(
    make_exchange: Callable[..., Exchange], now: Any
) -> None:
    """Whoever floods from the same address must not turn the 401 that a client needs into a 429."""
    clock = [now]
    exchange = make_exchange(clock=lambda: clock[0], rate_failures=4)
    member = exchange.admit("agency-a").login()
    used = member.assertion()
    assert member.ask_token(client_assertion=used).status_code == 200
    for _ in range(10):
        assert member.call("GET", headers={"Authorization": "DPoP a.b.c"}).status_code in (401, 429)
        assert member.call("GET", headers={"DPoP": member.proof("GET", PROBE)}).status_code == 401
        # A client that proved its key and used an assertion twice is no stranger either.
        assert member.ask_token(client_assertion=used).status_code == 400
    clock[0] = now + timedelta(seconds=300)
    assert {member.call("GET").status_code for _ in range(10)} == {401}


def test_asking_for_a_nonce_is_no_failure(make_exchange: Callable[..., Exchange], now: Any) -> None:
    exchange = make_exchange(clock=lambda: now, rate_failures=4, dpop_nonce=True)
    member = exchange.admit("agency-a")
    assert {member.ask_token().json["error"] for _ in range(10)} == {"use_dpop_nonce"}


def test_addresses_are_told_apart_by_a_trusted_proxys_word_only(
    make_exchange: Callable[..., Exchange], now: Any
) -> None:
    def ask(exchange: Exchange, client: str) -> int:
        environ = {"REMOTE_ADDR": "10.0.0.5"}
        sent = {"X-Forwarded-For": client}
        return exchange.client.get(JWKS, headers=sent, environ_overrides=environ).status_code

    untrusted = make_exchange(clock=lambda: now, rate_address=8)
    assert 429 in {ask(untrusted, f"198.51.100.{number}") for number in range(20)}
    proxies = (ip_network("10.0.0.5/32"),)
    trusted = make_exchange(clock=lambda: now, rate_address=8, trusted_proxies=proxies)
    assert {ask(trusted, f"198.51.100.{number}") for number in range(20)} == {200}
    assert 429 in {ask(trusted, f"203.0.113.{number}, 198.51.100.99") for number in range(20)}


def test_workers_share_a_quota(make_exchange: Callable[..., Exchange], now: Any) -> None:
    exchange = make_exchange(clock=lambda: now, rate_agency=40)
    engine = open_engine(exchange.hub.settings.database_url)
    second = create_app_from(replace(exchange.hub, engine=engine), (*BLUEPRINTS, probe_blueprint()))
    member = exchange.admit("agency-a").login()
    clients = [exchange.client, second.test_client()]
    given = 0
    for number in range(100):
        answer = clients[number % 2].get(PROBE, headers=member.headers("GET", PROBE))
        given += answer.status_code == 200
    engine.dispose()
    # The token request was one of the forty; one worker keeps what it was given and not asked for.
    assert 30 <= given <= 39
