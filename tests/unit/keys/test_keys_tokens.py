"""Client assertions and access tokens: issuer, audience, times, binding."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange_keys.jose import (
    AccessToken,
    AuthKey,
    ClientAssertion,
    client_assertion,
    sign_compact,
    verify_access_token,
    verify_client_assertion,
)
from exchange_keys.public import PublicKey
from exchange_schemas.codec import lp, sha256
from exchange_schemas.errors import Unauthorized
from exchange_schemas.ids import AgencyId, Kid
from tests.unit.keys.keys_factory import NOW, a_digest, keys_of

ISSUER = "https://hub.example"
KEY = AuthKey.generate()
HUB = AuthKey.generate()
JTI = "0123456789abcdefghijkl"
T = int(NOW.timestamp())
YEARS = 10 * 365 * 86_400


def rule_of(call: Callable[[], object]) -> str | None:
    with pytest.raises(Unauthorized) as caught:
        call()
    assert str(caught.value) == "the token or proof was not accepted"
    return caught.value.rule


def changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}


# -- client assertions ----------------------------------------


def assertion(typ: Any = "client-authentication+jwt", key: AuthKey = KEY, **changes: Any) -> str:
    claims = {"iss": "agency-a", "sub": "agency-a", "aud": ISSUER, "jti": JTI, "iat": T, "exp": T + 60}
    header = changed({"typ": typ, "kid": KEY.public.kid}, {})
    return sign_compact(key, header, changed(claims, changes))


def key_of_a(client_id: AgencyId, kid: Kid) -> PublicKey | None:
    return KEY.public if (client_id, kid) == ("agency-a", KEY.public.kid) else None


def verify(value: str, now: datetime = NOW, **options: Any) -> ClientAssertion:
    return verify_client_assertion(value, audience=ISSUER, key_for=key_of_a, now=now, **options)


def test_what_the_client_makes_the_hub_accepts() -> None:
    made = client_assertion(KEY, client_id="agency-a", audience=ISSUER, now=NOW, jti=JTI)
    verified = verify(made)
    assert (verified.client_id, verified.kid) == ("agency-a", KEY.public.kid)
    assert verified.jti_hash == sha256(lp(b"hx1/assertion", b"agency-a", JTI.encode()))
    assert verified.expires >= NOW + timedelta(seconds=60)


def test_the_jti_of_one_client_is_not_that_of_another() -> None:
    other = verify_client_assertion(
        assertion(iss="agency-b", sub="agency-b"),
        audience=ISSUER,
        key_for=lambda _client, _kid: KEY.public,
        now=NOW,
    )
    assert other.jti_hash != verify(assertion()).jti_hash


@pytest.mark.parametrize("typ", ["JWT", "jwt", "client-authentication+jwt", ...])
def test_the_three_types_of_an_assertion_are_accepted(typ: Any) -> None:
    verify(assertion(typ))


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "", None])
def test_another_type_is_no_assertion(typ: Any) -> None:
    assert rule_of(lambda: verify(assertion(typ))) == "typ"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"iss": ...}, "iss"),
        ({"iss": 'agency"a'}, "iss"),
        ({"iss": ["agency-a"]}, "iss"),
        ({"iss": "agency-b"}, "kid-unknown"),
        ({"sub": "agency-b"}, "sub"),
        ({"sub": ...}, "sub"),
        ({"aud": [ISSUER]}, "aud"),
        ({"aud": ISSUER + "/"}, "aud"),
        ({"aud": ISSUER + "/oauth/token"}, "aud"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": ...}, "aud"),
        ({"exp": ...}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": str(T + 60)}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": T - 120}, "exp"),
        ({"exp": T + 721}, "exp"),
        ({"exp": T + YEARS}, "exp"),
        ({"exp": 2**53 - 1}, "exp"),
        ({"exp": -1}, "exp"),
        ({"nbf": T + 121}, "nbf"),
        ({"nbf": False}, "nbf"),
        ({"iat": T + 121}, "iat"),
        ({"iat": T - YEARS}, "iat"),
        ({"iat": T + 60 - 601}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"jti": ...}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "short"}, "jti"),
        ({"jti": "x" * 15}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"jti": "with a space in the middle"}, "jti"),
        ({"jti": "line\r\nbreak-in-the-middle"}, "jti"),
        ({"jti": "\u202e0123456789abcdef"}, "jti"),
    ],
)
def test_an_assertion_that_says_something_else_is_refused(changes: dict[str, Any], rule: str) -> None:
    assert rule_of(lambda: verify(assertion(**changes))) == rule


def test_times_within_the_clock_difference_are_accepted() -> None:
    for changes in ({"exp": T - 119}, {"exp": T + 720, "iat": T + 120}, {"nbf": T + 120}, {"iat": ...}):
        verify(assertion(**changes))
    assert rule_of(lambda: verify(assertion(exp=T + 200, iat=...), max_life_s=60)) == "exp"


def test_an_assertion_is_remembered_until_it_can_no_longer_be_used() -> None:
    verified = verify(assertion())
    with pytest.raises(Unauthorized):
        verify(assertion(), now=verified.expires)


def test_an_assertion_by_another_key_is_refused() -> None:
    assert rule_of(lambda: verify(assertion(key=AuthKey.generate()))) == "signature"
    other = AuthKey.generate()
    own_kid = client_assertion(other, client_id="agency-a", audience=ISSUER, now=NOW, jti=JTI)
    assert rule_of(lambda: verify(own_kid)) == "kid-unknown"


# -- access tokens ----------------------------------------


JKT = a_digest("jkt")


def access(typ: Any = "at+jwt", key: AuthKey = HUB, **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "agency-a",
        "client_id": "agency-a",
        "scope": "directory:read envelopes:send",
        "jti": JTI,
        "iat": T,
        "exp": T + 300,
        "cnf": {"jkt": JKT},
    }
    return sign_compact(key, changed({"typ": typ, "kid": key.public.kid}, {}), changed(claims, changes))


def verify_access(value: str, now: datetime = NOW) -> AccessToken:
    return verify_access_token(value, issuer=ISSUER, audience=ISSUER, key_for=keys_of(HUB.public), now=now)


def test_an_access_token_gives_its_client_scopes_and_bound_key() -> None:
    verified = verify_access(access())
    assert verified.client_id == "agency-a"
    assert verified.scopes == {"directory:read", "envelopes:send"}
    assert (verified.jkt, verified.jti) == (JKT, JTI)
    assert (verified.iat, verified.expires) == (NOW, NOW + timedelta(seconds=300))
    assert verified.claims["sub"] == "agency-a"


@pytest.mark.parametrize(
    "typ", ["JWT", "application/at+jwt", "dpop+jwt", "client-authentication+jwt", None, ...]
)
def test_another_type_is_no_access_token(typ: Any) -> None:
    assert rule_of(lambda: verify_access(access(typ))) == "typ"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"iss": "https://other.example"}, "iss"),
        ({"iss": ...}, "iss"),
        ({"aud": [ISSUER]}, "aud"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": ...}, "aud"),
        ({"client_id": ...}, "client_id"),
        ({"client_id": "A"}, "client_id"),
        ({"sub": "agency-b"}, "sub"),
        ({"exp": T}, "exp"),
        ({"exp": T + 301}, "exp"),
        ({"exp": T + YEARS}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": T - 1}, "exp"),
        ({"iat": T + 11, "exp": T + 100}, "iat"),
        ({"iat": ...}, "iat"),
        ({"iat": True}, "iat"),
        ({"scope": ...}, "scope"),
        ({"scope": ""}, "scope"),
        ({"scope": ["directory:read"]}, "scope"),
        ({"scope": "directory:read  envelopes:send"}, "scope"),
        ({"scope": "all"}, "scope"),
        ({"cnf": ...}, "cnf"),
        ({"cnf": JKT}, "cnf"),
        ({"cnf": {}}, "cnf"),
        ({"cnf": {"jkt": JKT, "jwk": {}}}, "cnf"),
        ({"cnf": {"jkt": "short"}}, "cnf"),
        ({"cnf": {"jkt": 7}}, "cnf"),
        ({"jti": ...}, "jti"),
    ],
)
def test_an_access_token_that_says_something_else_is_refused(changes: dict[str, Any], rule: str) -> None:
    assert rule_of(lambda: verify_access(access(**changes))) == rule


def test_an_access_token_ends_on_time() -> None:
    verify_access(access(), now=NOW + timedelta(seconds=299))
    assert rule_of(lambda: verify_access(access(), now=NOW + timedelta(seconds=300))) == "exp"
    assert rule_of(lambda: verify_access(access(), now=datetime(2036, 1, 1, tzinfo=UTC))) == "exp"


def test_a_client_cannot_make_its_own_access_token() -> None:
    assert rule_of(lambda: verify_access(access(key=KEY))) == "kid-unknown"
    assert rule_of(lambda: verify_access(assertion())) == "typ"
