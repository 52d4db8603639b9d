"""Attacks on protected operations, numbered as in docs/threat-model.md."""

import os
import threading
from dataclasses import replace
from typing import Any

import pytest

from exchange.hub.app import BLUEPRINTS, create_app_from
from exchange.hub.db import open_engine
from exchange_keys.jose import AuthKey, thumbprint, token_hash
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import BASE_URL, PROBE, Exchange, Member, past, probe_blueprint
from tests.integration.http.forge import claims, deep, forge, refused, signed, with_token

# What differs between any two answers.
OF_ANY_ANSWER = ("Homeward-Receipt", "Content-Length", "RateLimit")
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def test_the_forged_token_is_otherwise_good(member: Member) -> None:
    assert signed(member, claims(member)).status_code == 200


def test_nothing_shown_is_a_plain_challenge(exchange: Exchange) -> None:
    refused(exchange.client.get(PROBE), None)
    assert exchange.entries() == []


def test_attack_01_token_alg_confusion(member: Member) -> None:
    hub_key = member.hub.keys.published()[0]
    own = AuthKey.generate("ES256")
    for key, alg in ((None, "none"), (hub_key.public.raw, "HS256"), (None, "ES256"), (own, "ES256")):
        head = {"alg": alg, "typ": "at+jwt", "kid": hub_key.public.kid}
        # With an empty third part the header does not even have the form of a token.
        refused(with_token(member, forge(key, head, claims(member))), "invalid_token")


@pytest.mark.parametrize("kid", ['"', "../x", "' OR 1=1", 7, None, "absent", ["a"]])
def test_attack_02_token_kid_injection(member: Member, kid: Any) -> None:
    refused(signed(member, claims(member), kid=kid), "invalid_token")


def test_attack_03_token_with_an_own_key_in_its_header(member: Member) -> None:
    own = AuthKey.generate("ES256")
    head = {"alg": "ES256", "typ": "at+jwt", "kid": own.public.kid, "jwk": own.jwk()}
    refused(with_token(member, forge(own, head, claims(member))), "invalid_token")


@pytest.mark.parametrize("database_kind", BOTH)
def test_attack_05_proof_replay_across_workers_and_a_restart(exchange: Exchange) -> None:
    member = exchange.admit("agency-a").login()
    sent = member.headers("GET", PROBE)
    assert member.client.get(PROBE, headers=sent).status_code == 200
    # Another worker, or this one after a restart: nothing but the database is the same.
    other = replace(exchange.hub, engine=open_engine(exchange.hub.settings.database_url))
    restarted = create_app_from(other, (*BLUEPRINTS, probe_blueprint())).test_client()
    for client in (member.client, restarted, restarted):
        answer = client.get(PROBE, headers=sent)
        assert answer.status_code == 401
        assert 'error="invalid_dpop_proof"' in answer.headers["WWW-Authenticate"]
    other.engine.dispose()
    assert exchange.acts()[-1] == ("inbox:list", "deny", "REPLAY")


@pytest.mark.parametrize("database_kind", BOTH)
def test_attack_05_of_24_replays_at_once_exactly_one_is_answered(exchange: Exchange) -> None:
    member = exchange.admit("agency-a").login()
    sent = member.headers("GET", PROBE)
    start = threading.Barrier(24)
    statuses: list[int] = []

    def replay() -> None:
        client = exchange.app.test_client()
        start.wait()
        statuses.append(client.get(PROBE, headers=sent).status_code)

    threads = [threading.Thread(target=replay) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [401] * 23


def test_attack_05_a_proof_whose_request_was_refused_is_used_up(exchange: Exchange, member: Member) -> None:
    sent = member.headers("POST", PROBE)
    denied = member.client.post(PROBE, json={"wrong": 1}, headers=sent)
    assert (denied.status_code, denied.json["code"]) == (422, "MALFORMED")
    again = member.client.post(PROBE, json={"number": 1}, headers=sent)
    assert again.status_code == 401
    assert exchange.acts()[-2:] == [
        ("consent:register", "deny", "MALFORMED"),
        ("inbox:list", "deny", "REPLAY"),
    ]


def test_attack_06_method_and_address_of_the_proof(member: Member) -> None:
    for htm, htu in (
        ("POST", BASE_URL + PROBE),
        ("get", BASE_URL + PROBE),
        ("GET", BASE_URL + "/v1/inbox"),
        ("GET", BASE_URL + PROBE + "/"),
        ("GET", "https://other.example" + PROBE),
        ("GET", "http://exchange.example" + PROBE),
        ("GET", "https://exchange.example:8443" + PROBE),
        ("GET", "https://exchange.example:0" + PROBE),
        ("GET", "https://exchange.example:65536" + PROBE),
        ("GET", "https://exchange.example:x" + PROBE),
        ("GET", "https://exchange.example:٣" + PROBE),
        ("GET", BASE_URL + "/v1/x/../probe"),
        ("GET", BASE_URL + "/v1/./probe"),
        ("GET", BASE_URL + "/v1/%70robe"),
        ("GET", BASE_URL + "//v1/probe"),
        ("GET", "https://a@exchange.example" + PROBE),
        ("GET", "https://exchange.example\\@other" + PROBE),
        ("GET", PROBE),
        ("GET", ""),
        ("GET", 5),
        ("GET", [BASE_URL + PROBE]),
    ):
        now = int(member.now().timestamp())
        body = {
            "htm": htm,
            "htu": htu,
            "iat": now,
            "jti": b64u(os.urandom(16)),
            "ath": token_hash(member.token),
        }
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": member.dpop.jwk()}
        proof = forge(member.dpop, head, body)
        refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")


@pytest.mark.parametrize("host", ["evil.example", "exchange.example:444", "exchange.example@evil.example"])
def test_attack_06_the_address_never_comes_from_the_host_header(member: Member, host: str) -> None:
    proof = member.proof("GET", PROBE, token=member.token, htu=f"https://evil.example{PROBE}")
    refused(member.call("GET", headers={"DPoP": proof, "Host": "evil.example"}), "invalid_dpop_proof")
    forwarded = {"DPoP": proof, "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    refused(member.call("GET", headers=forwarded), "invalid_dpop_proof")
    # And the right proof holds whatever the header says, if the server lets such a header through at all.
    assert member.call("GET", headers={"Host": host}).status_code in (200, 400, 422)


def test_attack_06_a_query_is_no_part_of_the_address(member: Member) -> None:
    assert member.call("GET", query="?limit=3").json["seen"]["limit"] == 3


def test_attack_07_two_proofs_or_two_tokens(member: Member) -> None:
    first, second = (member.proof("GET", PROBE, token=member.token) for _ in range(2))
    for joined in (
        f"{first},{second}",
        f"{first}, {second}",
        f"{first} {second}",
        f"{first},",
        f" {first} x",
    ):
        refused(member.call("GET", headers={"DPoP": joined}), "invalid_dpop_proof")
    token = f"DPoP {member.token}"
    for joined in (f"{token}, {token}", f"{token},{token}", f"{token} {member.token}", f"{token} x"):
        refused(member.call("GET", headers={"Authorization": joined}), "invalid_token")
    twice = [("Authorization", token), ("DPoP", first), ("DPoP", second)]
    refused(member.client.get(PROBE, headers=twice), "invalid_dpop_proof")
    twice = [("Authorization", token), ("Authorization", token), ("DPoP", first)]
    refused(member.client.get(PROBE, headers=twice), "invalid_token")


def test_attack_08_the_hash_of_the_token(exchange: Exchange, member: Member) -> None:
    other = Member(exchange.hub, exchange.client, "agency-a", member.key, member.dpop).login()
    for ath in (None, token_hash(other.token), "", "x", token_hash(member.token)[:-1]):
        proof = member.proof("GET", PROBE, ath=ath)
        refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "DPoPBearer", "Basic", "", "DPoP\t", "DPoP "])
def test_attack_09_a_stolen_token_as_bearer(member: Member, scheme: str) -> None:
    stolen = {"Authorization": f"{scheme} {member.token}"}
    refused(member.call("GET", headers=stolen | {"DPoP": None}), "invalid_token")
    refused(member.call("GET", headers=stolen), "invalid_token")


def test_attack_09_a_stolen_token_with_another_key(member: Member) -> None:
    thief = replace(member, dpop=AuthKey.generate("ES256"))
    proof = thief.proof("GET", PROBE, token=member.token)
    refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")
    refused(member.call("GET", headers={"DPoP": None}), "invalid_dpop_proof")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [BASE_URL]},
        {"aud": [BASE_URL, "https://other.example"]},
        {"aud": "https://other.example"},
        {"aud": BASE_URL + "/"},
        {"aud": None},
        {"iss": "https://other.example"},
        {"iss": None},
    ],
)
def test_attack_10_audience_and_issuer(member: Member, changes: dict[str, Any]) -> None:
    refused(signed(member, claims(member, **changes)), "invalid_token")


@pytest.mark.parametrize(
    "typ", ["absent", "JWT", "jwt", "dpop+jwt", "client-authentication+jwt", "", 5, None]
)
def test_attack_11_a_token_without_its_typ(member: Member, typ: Any) -> None:
    refused(signed(member, claims(member), typ=typ), "invalid_token")


def test_attack_11_a_token_that_is_not_bound(member: Member) -> None:
    jkt = thumbprint(member.dpop.public)
    for cnf in (
        None,
        jkt,
        {},
        {"jkt": None},
        {"jkt": [jkt]},
        {"x5t#S256": jkt},
        {"jkt": jkt, "jwk": {}},
        [jkt],
    ):
        refused(signed(member, claims(member, cnf=cnf)), "invalid_token")


def test_attack_11_an_assertion_is_no_access_token(member: Member) -> None:
    refused(with_token(member, member.assertion()), "invalid_token")
    refused(with_token(member, member.proof("GET", PROBE)), "invalid_token")


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1e999", "true", '"1795464481"', "1795464481.5", "null"])
@pytest.mark.parametrize("name", ["exp", "iat"])
def test_attack_12_token_times_that_are_no_whole_numbers(member: Member, name: str, time: str) -> None:
    raw = str(claims(member, **{name: 424242})).replace("'", '"').replace("424242", time).encode()
    refused(signed(member, raw), "invalid_token")


def test_attack_12_token_times_too_far_off(member: Member) -> None:
    now = int(member.now().timestamp())
    for times in (
        {"exp": now - 1, "iat": now - 200},
        {"exp": now},
        {"exp": now + 10 * 365 * 86400},
        {"iat": now, "exp": now + 301},
        {"iat": now + 3600, "exp": now + 3700},
        {"exp": None},
        {"iat": None},
    ):
        refused(signed(member, claims(member, **times)), "invalid_token")


@pytest.mark.parametrize("iat", [0, -1, "NaN", True, 1e18, "1795464481", None, 2**60])
def test_attack_12_proof_times(member: Member, iat: Any) -> None:
    body = {
        "htm": "GET",
        "htu": BASE_URL + PROBE,
        "jti": b64u(os.urandom(16)),
        "ath": token_hash(member.token),
    }
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": member.dpop.jwk()}
    refused(
        member.call("GET", headers={"DPoP": forge(member.dpop, head, body | {"iat": iat})}),
        "invalid_dpop_proof",
    )


def test_attack_12_an_old_and_a_future_proof(member: Member) -> None:
    for when in (past(member, seconds=300), past(member, seconds=-300)):
        proof = member.proof("GET", PROBE, token=member.token, now=when)
        refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")


def test_attack_13_nested_and_large_tokens_and_proofs(member: Member) -> None:
    for body in (deep(3000), b'{"iss":"a","iss":"b"}', b"[]", b"{", {"pad": "a" * 50_000}):
        refused(signed(member, body), "invalid_token")
    member.login()
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": member.dpop.jwk()}
    for forged_head, body in (
        (head, deep(3000)),
        (deep(3000), {}),
        (head, {"pad": "a" * 50_000}),
        (head, b"[]"),
    ):
        proof = forge(member.dpop, forged_head, body)
        refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "x",
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
    ],
)
def test_attack_13_proof_keys_that_are_none(member: Member, jwk: Any) -> None:
    body = {
        "htm": "GET",
        "htu": BASE_URL + PROBE,
        "jti": b64u(os.urandom(16)),
        "ath": token_hash(member.token),
    }
    body |= {"iat": int(member.now().timestamp())}
    proof = forge(member.dpop, {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}, body)
    refused(member.call("GET", headers={"DPoP": proof}), "invalid_dpop_proof")


@pytest.mark.parametrize("text", ["\x00", "\x7f", "é", "\ud83d\ude00", "a" * 100_000])
def test_attack_14_headers_that_hold_other_characters(member: Member, text: str) -> None:
    shown = text.encode("utf-8", "surrogatepass").decode("latin-1")
    refused(member.call("GET", headers={"Authorization": f"DPoP {shown}"}), "invalid_token")
    refused(member.call("GET", headers={"DPoP": shown}), "invalid_dpop_proof")
