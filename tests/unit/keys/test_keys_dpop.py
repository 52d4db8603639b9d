"""DPoP proofs: one request, one key, one token, one time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_keys.jose import (
    AuthKey,
    DpopProof,
    dpop_proof,
    normal_uri,
    sign_compact,
    thumbprint,
    token_hash,
    verify_dpop,
)
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import Malformed, Unauthorized
from tests.unit.keys.keys_factory import NOW

KEY = AuthKey.generate()
RSA = AuthKey.generate("PS256")
HTU = "https://hub.example/v1/inbox"
JTI = "0123456789abcdefghijkl"
TOKEN = "header.claims.signature"
T = int(NOW.timestamp())


def rule_of(call: Callable[[], object]) -> str | None:
    with pytest.raises(Unauthorized) as caught:
        call()
    assert str(caught.value) == "the token or proof was not accepted"
    return caught.value.rule


def verify(proof: str, now: datetime = NOW, **options: Any) -> DpopProof:
    return verify_dpop(proof, **{"htm": "GET", "htu": HTU, "now": now, "access_token": TOKEN, **options})


def made(header: dict[str, Any] | None = None, key: AuthKey = KEY, **changes: Any) -> str:
    claims = {"htm": "GET", "htu": HTU, "iat": T, "jti": JTI, "ath": token_hash(TOKEN), **changes}
    members = {name: value for name, value in claims.items() if value is not ...}
    return sign_compact(key, {"typ": "dpop+jwt", "jwk": key.jwk()} if header is None else header, members)


@pytest.mark.parametrize("key", [KEY, RSA])
def test_what_the_client_makes_the_hub_accepts(key: AuthKey) -> None:
    proof = dpop_proof(
        key, htm="GET", htu=HTU, now=NOW, jti=JTI, ath=token_hash(TOKEN), nonce="n-1", usr="pseudonym"
    )
    verified = verify(proof, jkt=thumbprint(key.public))
    assert verified.jkt == thumbprint(key.public)
    assert verified.jti_hash == sha256((verified.jkt + JTI).encode())
    assert (verified.iat, verified.compact) == (NOW, proof)
    assert (verified.nonce, verified.usr) == ("n-1", "pseudonym")


def test_a_proof_for_the_token_endpoint_needs_no_token() -> None:
    proof = dpop_proof(KEY, htm="POST", htu=HTU, now=NOW, jti=JTI)
    verified = verify(proof, htm="POST", access_token=None)
    assert (verified.nonce, verified.usr) == (None, None)


def test_the_token_hash_is_that_of_rfc_9449() -> None:
    assert token_hash(TOKEN) == b64u(sha256(TOKEN.encode()))
    with pytest.raises(Malformed):
        token_hash("tökén")


@pytest.mark.parametrize(
    ("htm", "rule"),
    [("POST", "htm"), ("get", "htm"), ("", "htm"), (None, "htm"), (["GET"], "htm"), (..., "htm")],
)
def test_another_method_is_refused(htm: Any, rule: str) -> None:
    assert rule_of(lambda: verify(made(htm=htm))) == rule


def test_a_request_method_that_is_none_matches_no_proof() -> None:
    assert rule_of(lambda: verify(made(htm="get"), htm="get")) == "htm"


@pytest.mark.parametrize(
    "htu",
    [
        "https://other.example/v1/inbox",
        "http://hub.example/v1/inbox",
        "https://hub.example:8443/v1/inbox",
        "https://hub.example:99999/v1/inbox",
        "https://hub.example:0443/v1/inbox",
        "https://hub.example:/v1/inbox",
        "https://hub.example:abc/v1/inbox",
        "https://hub.example:-1/v1/inbox",
        "https://hub.example/v1/outbox",
        "https://hub.example/v1/inbox/",
        "https://hub.example/V1/inbox",
        "https://hub.example/v1/./inbox",
        "https://hub.example/v1/x/../inbox",
        "https://hub.example/v1/%2e%2e/v1/inbox",
        "https://hub.example/v1/inbo%78",
        "https://hub.example//v1/inbox",
        "https://hub.example/v1/inbox?cursor=1",
        "https://hub.example/v1/inbox?",
        "https://hub.example/v1/inbox#part",
        "https://user@hub.example/v1/inbox",
        "https://user:pw@hub.example/v1/inbox",
        "https://hub.example@other.example/v1/inbox",
        "https://hub.example\\@other.example/v1/inbox",
        "https://hub.example./v1/inbox",
        "https://hub.example/v1/inbox\n",
        " https://hub.example/v1/inbox",
        "https://hüb.example/v1/inbox",
        "//hub.example/v1/inbox",
        "/v1/inbox",
        "hub.example/v1/inbox",
        "ftp://hub.example/v1/inbox",
        "https:///v1/inbox",
        "https://hub.example/v1/inbox" + "/x" * 600,
        "",
        None,
        7,
        [HTU],
        ...,
    ],
)
def test_another_address_is_refused(htu: Any) -> None:
    assert rule_of(lambda: verify(made(htu=htu))) == "htu"


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://HUB.EXAMPLE/v1/inbox",
        "https://hub.example:443/v1/inbox",
        "https://Hub.Example:443/v1/inbox",
    ],
)
def test_the_same_address_in_other_spelling_is_accepted(htu: str) -> None:
    verify(made(htu=htu))


def test_an_address_has_one_normal_form() -> None:
    assert normal_uri("HTTP://[::1]:80") == "http://[::1]/"
    assert normal_uri("http://localhost:8080/a") == "http://localhost:8080/a"
    assert normal_uri("https://hub.example:65535/") == "https://hub.example:65535/"
    with pytest.raises(Malformed):
        normal_uri("https://hub.example:65536/")


@given(st.text(max_size=60))
def test_no_text_makes_the_address_reader_fail_otherwise(text: str) -> None:
    try:
        normal = normal_uri(text)
    except Malformed:
        return
    assert normal_uri(normal) == normal


def test_an_address_that_the_hub_cannot_have_is_the_callers_mistake() -> None:
    with pytest.raises(Malformed):
        verify(made(), htu="https://hub.example/v1/inbox?x")
    with pytest.raises(Malformed):
        dpop_proof(KEY, htm="GET", htu="https://hub.example/a/../b", now=NOW, jti=JTI)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"iat": T - 121}, "iat"),
        ({"iat": T + 121}, "iat"),
        ({"iat": T + 315_360_000}, "iat"),
        ({"iat": 0}, "iat"),
        ({"iat": -(2**53) + 1}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": str(T)}, "iat"),
        ({"iat": None}, "iat"),
        ({"iat": ...}, "iat"),
        ({"exp": T}, "exp"),
        ({"exp": False}, "exp"),
        ({"jti": ...}, "jti"),
        ({"jti": "short"}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "0123456789abcdef\r\n"}, "jti"),
        ({"ath": ...}, "ath"),
        ({"ath": token_hash("another.token.x")}, "ath"),
        ({"ath": token_hash(TOKEN)[:-1]}, "ath"),
        ({"ath": 7}, "ath"),
        ({"ath": "é"}, "ath"),
        ({"nonce": 7}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": "a b"}, "nonce"),
        ({"nonce": "x" * 257}, "nonce"),
        ({"usr": "Amina K."}, "usr"),
        ({"usr": "x" * 65}, "usr"),
        ({"usr": "a\nb"}, "usr"),
        ({"usr": None}, "usr"),
    ],
)
def test_a_proof_that_says_something_else_is_refused(changes: dict[str, Any], rule: str) -> None:
    assert rule_of(lambda: verify(made(**changes))) == rule


def test_a_proof_is_good_for_two_minutes_on_either_side_and_remembered_longer() -> None:
    for seconds in (-120, 0, 120):
        verify(made(), now=NOW + timedelta(seconds=seconds))
    verified = verify(made(exp=T + 1))
    with pytest.raises(Unauthorized):
        verify(made(), now=verified.expires)


def test_a_token_that_is_not_ascii_has_no_proof() -> None:
    assert rule_of(lambda: verify(made(), access_token="tökén")) == "ath"


def test_a_proof_by_another_key_than_the_tokens_is_refused() -> None:
    assert rule_of(lambda: verify(made(), jkt=thumbprint(RSA.public))) == "jkt"
    assert rule_of(lambda: verify(made(), jkt="é")) == "jkt"


def test_the_same_jti_under_two_keys_is_two_ids() -> None:
    assert verify(made()).jti_hash != verify(made(key=AuthKey.generate())).jti_hash


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"jwk": KEY.jwk()}, "typ"),
        ({"typ": "JWT", "jwk": KEY.jwk()}, "typ"),
        ({"typ": "at+jwt", "jwk": KEY.jwk()}, "typ"),
        ({"typ": "dpop+jwt"}, "jwk"),
        ({"typ": "dpop+jwt", "jwk": {}}, "jwk"),
        ({"typ": "dpop+jwt", "jwk": "key"}, "jwk"),
        ({"typ": "dpop+jwt", "jwk": {**KEY.jwk(), "d": "AAAA"}}, "jwk"),
        ({"typ": "dpop+jwt", "jwk": {"kty": "oct", "k": "AAAA"}}, "jwk"),
        ({"typ": "dpop+jwt", "kid": KEY.public.kid}, "jwk"),
        ({"typ": "dpop+jwt", "jwk": RSA.jwk()}, "alg-of-key"),
        ({"typ": "dpop+jwt", "jwk": AuthKey.generate().jwk()}, "signature"),
        ({"typ": "dpop+jwt", "jwk": KEY.jwk(), "crit": ["x"]}, "crit"),
    ],
)
def test_a_proof_with_another_header_is_refused(header: dict[str, Any], rule: str) -> None:
    assert rule_of(lambda: verify(made(header))) == rule


def test_an_access_token_is_no_proof_and_a_proof_no_text() -> None:
    for text in ("", "Bearer x", "DPoP", "a.b.c", f"{made()},{made()}", f"{made()}, {made()}"):
        rule_of(lambda text=text: verify(text))  # type: ignore[misc]
