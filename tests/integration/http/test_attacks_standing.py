"""Attacks by those who are known: scopes, others' objects, agencies and keys that are out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from exchange.hub.app import BLUEPRINTS, create_app_from
from exchange.hub.hubkeys import TokenKey
from exchange.hub.oauth.standing import TRUSTED_S
from exchange_keys.jose import AuthKey
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import PROBE, Exchange, Member, probe_blueprint
from tests.integration.http.forge import claims, refused, signed

# What differs between any two answers.
OF_ANY_ANSWER = ("Homeward-Receipt", "Content-Length", "RateLimit")
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def test_attack_16_a_scope_that_the_token_lacks_is_a_logged_denial(exchange: Exchange) -> None:
    member = exchange.admit("agency-a").login(scope="consents:read")
    denied = member.call("GET")
    assert (denied.status_code, denied.json["code"]) == (403, "FORBIDDEN")
    assert denied.json["hint"] == "ask for a token with directory:read"
    assert exchange.acts()[-1] == ("inbox:list", "deny", "FORBIDDEN")
    assert denied.json["receipt"]["entry"] == b64u(exchange.entries()[-1].to_bytes())
    assert denied.headers["Homeward-Receipt"] == exchange.entries()[-1].id


@pytest.mark.parametrize(
    "scope", ["audit:read", "directory:read audit:read", "", "admin", None, ["directory:read"]]
)
def test_attack_16_a_token_whose_scopes_its_kind_may_not_have(member: Member, scope: Any) -> None:
    refused(signed(member, claims(member, scope=scope)), "invalid_token")


def test_attack_17_not_yours_and_not_there_are_one_answer(member: Member) -> None:
    shown = set()
    for gid in ("a", "b"):
        answer = member.call("GET", f"{PROBE}/objects/{gid}")
        receipt = answer.json.pop("receipt")
        assert receipt.keys() == {"entry", "proof"}
        body = {name: value for name, value in answer.json.items() if name != "receipt"}
        headers = {n: v for n, v in answer.headers.items() if n not in OF_ANY_ANSWER}
        shown.add((answer.status_code, str(body), str(sorted(headers.items()))))
    assert len(shown) == 1
    assert "no a" not in answer.text


def test_attack_25_a_suspended_agency_is_out_within_seconds(make_exchange: Any, monkeypatch: Any) -> None:
    exchange = make_exchange()
    monotonic = [1000.0]
    gate = exchange.app.extensions["homeward"].authenticate.__self__
    monkeypatch.setattr(gate._standings, "_seconds", lambda: monotonic[0])
    member = exchange.admit("agency-a").login()
    assert member.call("GET").status_code == 200
    for status in ("suspended", "expelled"):
        exchange.set_status("agency-a", status)
        monotonic[0] += TRUSTED_S
        refused(member.call("GET"), "invalid_token")
        exchange.set_status("agency-a", "active")
        monotonic[0] += TRUSTED_S
        assert member.call("GET").status_code == 200
    assert TRUSTED_S <= 5


def test_attack_25_a_token_of_an_agency_that_never_was(exchange: Exchange) -> None:
    stranger = Member(exchange.hub, exchange.client, "agency-z", AuthKey.generate("ES256"))
    refused(signed(stranger, claims(stranger)), "invalid_token")


def test_attack_25_an_agency_whose_kind_changed_needs_a_new_token(member: Member) -> None:
    refused(signed(member, claims(member, kind="auditor")), "invalid_token")
    refused(signed(member, claims(member, kind=None)), "invalid_token")


def test_attack_25_a_retired_signing_key_stays_good_and_a_removed_one_is_not(exchange: Exchange) -> None:
    member = exchange.admit("agency-a").login()
    keys = exchange.hub.keys
    current, following = keys.token
    fresh = TokenKey(AuthKey.generate("ES256"), None)
    rotated = (current, TokenKey(following.key, exchange.hub.clock()), fresh)
    for token_keys, status in ((rotated, 200), (rotated[1:], 401)):
        hub = replace(exchange.hub, keys=replace(keys, token=token_keys))
        client = create_app_from(hub, (*BLUEPRINTS, probe_blueprint())).test_client()
        assert client.get(PROBE, headers=member.headers("GET", PROBE)).status_code == status
    # A worker that has not restarted takes what a restarted one signs: its next key.
    hub = replace(exchange.hub, keys=replace(keys, token=rotated))
    client = create_app_from(hub, (*BLUEPRINTS, probe_blueprint())).test_client()
    newer = Member(hub, client, "agency-a", member.key).login()
    newer.client = exchange.client
    assert newer.call("GET").status_code == 200


def test_attack_25_a_token_of_a_stolen_signing_key_is_out_once_the_key_is(exchange: Exchange) -> None:
    keys, fresh = exchange.hub.keys, TokenKey(AuthKey.generate("ES256"), exchange.hub.clock())
    now = [keys.token]
    hub = replace(exchange.hub, keys=replace(keys, watched=lambda: now[0]))
    client = create_app_from(hub, (*BLUEPRINTS, probe_blueprint())).test_client()
    exchange.client = client
    member = exchange.admit("agency-a").login()
    for _ in range(2):
        assert member.call("GET").status_code == 200
    now[0] = (fresh,)
    refused(member.call("GET"), "invalid_token")
    assert member.login().call("GET").status_code == 200


def test_a_token_verified_once_still_expires(make_exchange: Any, now: datetime) -> None:
    clock = [now]
    exchange = make_exchange(clock=lambda: clock[0])
    member = exchange.admit("agency-a").login()
    for seconds, status in ((0, 200), (299, 200), (300, 401)):
        clock[0] = now + timedelta(seconds=seconds)
        assert member.call("GET").status_code == status
