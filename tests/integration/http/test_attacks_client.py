"""Attacks on the token endpoint, numbered as in docs/threat-model.md. Sockets are off in these tests."""

import os
import threading
from typing import Any

import pytest

from exchange.hub.oauth.client import ClientKeys, authenticate_client
from exchange_keys.jose import AuthKey
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import ASSERTION_TYPE, BASE_URL, Exchange, Member
from tests.integration.http.forge import deep, forge
from tests.integration.statements import statements_of

INVALID_CLIENT = (400, {"error": "invalid_client"})
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def claims(member: Member, **changes: Any) -> dict[str, Any]:
    now = int(member.now().timestamp())
    made = {"iss": member.agency, "sub": member.agency, "aud": BASE_URL, "iat": now, "exp": now + 60}
    made |= {"jti": b64u(os.urandom(16))}
    return {name: value for name, value in (made | changes).items() if value is not None}


def header(member: Member, **changes: Any) -> dict[str, Any]:
    return {"alg": member.key.public.alg, "typ": "JWT", "kid": member.key.public.kid} | changes


def ask(member: Member, assertion: str) -> tuple[int, Any]:
    answer = member.ask_token(client_assertion=assertion)
    return answer.status_code, answer.json


def test_the_forged_assertion_is_otherwise_good(member: Member) -> None:
    assert ask(member, forge(member.key, header(member), claims(member)))[0] == 200


def test_attack_01_alg_confusion(member: Member) -> None:
    public = member.key.public.raw
    tried: list[tuple[Any, str]] = [(None, "none"), (None, "ES256"), (public, "HS256"), (public, "ES256")]
    tried += [
        (member.key, alg) for alg in ("RS256", "PS256", "ES384", "ES256K", "EdDSA", "Ed25519", "es256", "")
    ]
    for key, alg in tried:
        assert ask(member, forge(key, header(member, alg=alg), claims(member))) == INVALID_CLIENT
    for alg in (None, 5, True, ["ES256"], {"a": "ES256"}):
        assert ask(member, forge(member.key, header(member, alg=alg), claims(member))) == INVALID_CLIENT


KIDS = [
    '"',
    '"}',
    "../../etc/passwd",
    "' OR '1'='1",
    7,
    None,
    True,
    ["a"],
    {"a": 1},
    "",
    "a" * 5000,
    "\x00",
    "é",
]


@pytest.mark.parametrize("kid", KIDS)
def test_attack_02_kid_injection_is_one_error_and_never_500(member: Member, kid: Any) -> None:
    assert ask(member, forge(member.key, header(member, kid=kid), claims(member))) == INVALID_CLIENT


def test_attack_02_another_agencys_kid(exchange: Exchange, member: Member) -> None:
    other = exchange.admit("agency-b")
    forged = forge(other.key, header(other), claims(member))
    assert ask(member, forged) == INVALID_CLIENT


def test_attack_03_jku_jwk_x5c_are_never_followed(member: Member) -> None:
    mine = AuthKey.generate("ES256")
    for extra in (
        {"jwk": mine.jwk()},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/x5"},
        {"x5c": ["MIIB"]},
    ):
        # The right kid with the attacker's key, and the attacker's own kid.
        assert ask(member, forge(mine, header(member, **extra), claims(member))) == INVALID_CLIENT
        own = header(member, kid=mine.public.kid, **extra)
        assert ask(member, forge(mine, own, claims(member))) == INVALID_CLIENT


def test_attack_04_assertion_replay(exchange: Exchange, member: Member) -> None:
    assertion = member.assertion()
    assert ask(member, assertion)[0] == 200
    # With a fresh proof, and with a fresh proof of another key.
    assert ask(member, assertion) == INVALID_CLIENT
    member.dpop = AuthKey.generate("ES256")
    assert ask(member, assertion) == INVALID_CLIENT
    assert exchange.acts()[-1] == ("token:issue", "deny", "REPLAY")


def test_attack_04_an_assertion_that_was_refused_is_used_up_too(member: Member) -> None:
    assertion = member.assertion()
    assert member.ask_token(client_assertion=assertion, scope="audit:read").json == {"error": "invalid_scope"}
    assert ask(member, assertion) == INVALID_CLIENT


def test_attack_04_proof_replay_at_the_token_endpoint(member: Member) -> None:
    sent = {"DPoP": member.proof("POST", "/oauth/token")}
    assert member.ask_token(headers=sent).status_code == 200
    refused = member.ask_token(headers=sent)
    assert refused.status_code == 400
    assert "access_token" not in refused.json


@pytest.mark.parametrize("database_kind", BOTH)
def test_attack_04_of_24_replays_at_once_exactly_one_gets_a_token(exchange: Exchange) -> None:
    member = exchange.admit("agency-a")
    assertion = member.assertion()
    proofs = [member.proof("POST", "/oauth/token") for _ in range(24)]
    start = threading.Barrier(24)
    statuses: list[int] = []

    def replay(proof: str) -> None:
        client = exchange.app.test_client()
        form = member.form(client_assertion=assertion)
        start.wait()
        statuses.append(client.post("/oauth/token", data=form, headers={"DPoP": proof}).status_code)

    threads = [threading.Thread(target=replay, args=(proof,)) for proof in proofs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 23
    outcomes = [outcome for _, outcome, _ in exchange.acts()]
    assert (outcomes.count("allow"), outcomes.count("deny")) == (1, 23)


@pytest.mark.parametrize(
    "aud",
    [
        None,
        [BASE_URL],
        [BASE_URL, "https://other.example"],
        f"{BASE_URL}/",
        f"{BASE_URL}/oauth/token",
        "https://other.example",
        5,
    ],
)
def test_attack_10_the_audience_is_the_issuer_as_one_string(member: Member, aud: Any) -> None:
    assert ask(member, forge(member.key, header(member), claims(member, aud=aud))) == INVALID_CLIENT


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "", 5, ["JWT"]])
def test_attack_11_another_typ(member: Member, typ: Any) -> None:
    assert ask(member, forge(member.key, header(member, typ=typ), claims(member))) == INVALID_CLIENT


TIMES = ["NaN", "Infinity", "1e999", "1e10", "true", '"1795464481"', "1795464481.5", "-1", "null", "[]"]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("name", ["exp", "iat"])
def test_attack_12_times_that_are_no_whole_numbers(member: Member, name: str, time: str) -> None:
    sent = forge(member.key, header(member), claims(member, **{name: 424242}))
    head, body, _ = sent.split(".")
    raw = claims(member, **{name: 424242})
    text = str(raw).replace("'", '"').replace("424242", time).encode()
    assert ask(member, forge(member.key, header(member), text)) == INVALID_CLIENT
    assert head
    assert body


def test_attack_12_times_too_far_off(member: Member) -> None:
    now, year = int(member.now().timestamp()), 365 * 24 * 3600
    for times in (
        {"exp": now + 10 * year},
        {"exp": now - 600, "iat": now - 660},
        {"iat": now + 3600, "exp": now + 3660},
        {"nbf": now + 3600},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "a" * 500},
    ):
        assert ask(member, forge(member.key, header(member), claims(member, **times))) == INVALID_CLIENT


def test_attack_13_nested_large_and_doubled_json(member: Member) -> None:
    good = claims(member)
    doubled = str({"sub": "agency-b", **good}).replace("'", '"').encode()[:-1] + b', "sub": "agency-a"}'
    for body in (deep(10), deep(2000), {**good, "pad": "a" * 100_000}, doubled, b"[]", b"1", b"", b"{"):
        assert ask(member, forge(member.key, header(member), body)) in (
            INVALID_CLIENT,
            (400, {"error": "invalid_request"}),
        )
    assert ask(member, forge(member.key, deep(1000), good)) == INVALID_CLIENT


@pytest.mark.parametrize(
    "assertion", ["", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", "\x00", "a" * 100_000, "eyJ9.e30=.e30="]
)
def test_attack_13_assertions_that_are_none(exchange: Exchange, member: Member, assertion: str) -> None:
    answer = member.ask_token(client_assertion=assertion)
    assert answer.status_code == 400
    assert answer.json["error"] in ("invalid_client", "invalid_request")


@pytest.mark.parametrize("text", ['"\\u0000"', '"\\ud800"', '"a\\u0000b"'])
def test_attack_14_nul_and_lone_surrogates(member: Member, text: str) -> None:
    raw = str(claims(member, iss="X", sub="X")).replace("'", '"').replace('"X"', text).encode()
    assert ask(member, forge(member.key, header(member), raw)) == INVALID_CLIENT
    for field in ("scope", "client_id", "resource", "extra"):
        assert member.ask_token(**{field: "a\x00b"}).json == {"error": "invalid_request"}


def test_attack_15_query_and_form(member: Member) -> None:
    sent = {"DPoP": member.proof("POST", "/oauth/token")}
    refused = member.client.post("/oauth/token?scope=directory:read", data=member.form(), headers=sent)
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_request"})
    everything = "&".join(f"{name}={value}" for name, value in member.form().items())
    assert member.client.post(f"/oauth/token?{everything}", headers=sent).status_code == 400


@pytest.mark.parametrize("name", ["scope", "client_assertion", "grant_type", "anything"])
def test_attack_15_repeated_parameters(member: Member, name: str) -> None:
    form = member.form(scope="directory:read", anything="x")
    refused = member.ask_token(**{**form, name: [form[name], form[name]]})
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/xml"]
)
def test_attack_15_another_content_type(member: Member, media_type: str) -> None:
    sent = {"DPoP": member.proof("POST", "/oauth/token")}
    body = "&".join(f"{name}={value}" for name, value in member.form().items())
    refused = member.client.post("/oauth/token", data=body, content_type=media_type, headers=sent)
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize(
    "scope",
    [
        "audit:read",
        "directory:read audit:read",
        "admin",
        "",
        " ",
        "directory:read  consents:read",
        "directory:*",
        "directory:read directory:read",
        "Directory:read",
        "directory:read\n",
        "directory:read,consents:read",
    ],
)
def test_attack_16_scope_escalation_is_invalid_scope_and_logged(
    exchange: Exchange, member: Member, scope: str
) -> None:
    refused = member.ask_token(scope=scope)
    assert (refused.status_code, refused.json) == (400, {"error": "invalid_scope"})
    assert exchange.acts()[-1] == ("token:issue", "deny", "FORBIDDEN")


def test_attack_16_an_auditor_gets_no_member_scope(exchange: Exchange) -> None:
    auditor = exchange.admit("auditor-a", "auditor")
    for scope in ("envelopes:receive", "audit:read consents:read", "directory:write"):
        assert auditor.ask_token(scope=scope).json == {"error": "invalid_scope"}


def test_attack_22_compressed_and_large_forms(member: Member) -> None:
    sent = {"DPoP": member.proof("POST", "/oauth/token"), "Content-Encoding": "gzip"}
    assert member.ask_token(headers=sent).json == {"error": "invalid_request"}
    assert member.ask_token(pad="a" * 40_000).json == {"error": "invalid_request"}
    many = {f"p{number}": "1" for number in range(3000)}
    assert member.ask_token(**many).status_code in (200, 400)


def test_attack_25_whoever_is_not_believed_gets_one_answer(exchange: Exchange, member: Member) -> None:
    """A client that does not exist, one that does with a wrong key, and every other failure look the same."""
    stranger = Member(exchange.hub, exchange.client, "agency-z", AuthKey.generate("ES256"))
    wrong = Member(exchange.hub, exchange.client, "agency-a", AuthKey.generate("ES256"))
    answers = [
        stranger.ask_token(),
        wrong.ask_token(),
        wrong.ask_token(client_assertion=forge(wrong.key, header(member), claims(member))),
        member.ask_token(client_id="agency-b"),
        member.ask_token(client_secret="x"),
        member.ask_token(client_assertion=None),
        member.ask_token(client_assertion_type="urn:other"),
        member.ask_token(client_assertion_type=None),
        member.ask_token(client_assertion=member.assertion(audience="https://other.example")),
    ]
    shown = {(a.status_code, a.data, tuple(sorted(a.headers.items()))) for a in answers}
    assert len(shown) == 1
    assert answers[0].json == {"error": "invalid_client"}
    assert ASSERTION_TYPE not in answers[0].text


def test_attack_25_looking_for_a_client_costs_one_statement_without_a_row(exchange: Exchange) -> None:
    """Whoever names a key that an agency does not have learns nothing from how many keys it has."""
    exchange.admit("agency-a")
    for _ in range(20):
        exchange.add_key("agency-a", AuthKey.generate("ES256"))
    unknown = AuthKey.generate("ES256")
    ran = []
    for agency in ("agency-a", "agency-z"):
        form = Member(exchange.hub, exchange.client, agency, unknown).form()
        with statements_of(exchange.hub.engine) as found:
            assert authenticate_client(exchange.hub, ClientKeys(exchange.hub), form) is None
        ran.append(found)
    assert [[text for text, _ in found] for found in ran] == [[text for text, _ in ran[0]]] * 2
    for found in ran:
        with exchange.hub.engine.connect() as conn:
            rows = [conn.exec_driver_sql(text, values) for text, values in found if "SELECT" in text]
            assert [len(found.all()) for found in rows] == [0]


def test_attack_25_basic_and_secret_authentication_are_no_methods(member: Member) -> None:
    sent = {"DPoP": member.proof("POST", "/oauth/token"), "Authorization": "Basic YWdlbmN5LWE6eA=="}
    form = {"grant_type": "client_credentials", "client_id": "agency-a", "client_secret": "x"}
    assert member.client.post("/oauth/token", data=form, headers=sent).json == {"error": "invalid_client"}


def test_failures_make_one_counter_entry_a_minute(exchange: Exchange) -> None:
    stranger = Member(exchange.hub, exchange.client, "agency-z", AuthKey.generate("ES256"))
    for _ in range(20):
        stranger.ask_token()
    (entry,) = exchange.entries()
    assert (entry.act.value, entry.org, entry.pol) == ("request:count", None, "unauthenticated:1")
