"""Compact tokens: every attack on shape, algorithm, key id and type ends in one error."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys import compact
from exchange_keys.jose import AuthKey, decode_compact, sign_compact
from exchange_keys.public import PublicKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import Malformed, Unauthorized
from tests.unit.keys.keys_factory import keys_of

ES = AuthKey.generate()
PS = AuthKey.generate("PS256")
KNOWN = keys_of(ES.public, PS.public)
CLAIMS = {"iss": "agency-a", "exp": 1}


def header(key: AuthKey = ES, **changes: Any) -> dict[str, Any]:
    members = {"typ": "at+jwt", "kid": key.public.kid, **changes}
    return {name: value for name, value in members.items() if value is not ...}


def token(key: AuthKey = ES, **changes: Any) -> str:
    return sign_compact(key, header(key, **changes), CLAIMS)


def raw_token(head: bytes, claims: bytes, key: AuthKey = ES) -> str:
    """A token over bytes that no encoder of ours would write, with a good signature."""
    signing_input = f"{b64u(head)}.{b64u(claims)}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode()))}"


def decode(value: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return decode_compact(value, **{"typ": {"at+jwt"}, "key_for": KNOWN, **options})


def rule_of(call: Callable[[], object]) -> str | None:
    with pytest.raises(Unauthorized) as caught:
        call()
    # One opaque text for outsiders, whatever was wrong.
    assert str(caught.value) == "the token or proof was not accepted"
    assert (caught.value.field, caught.value.hint, caught.value.detail) == (None, None, {})
    return caught.value.rule


@pytest.mark.parametrize("key", [ES, PS])
def test_a_good_token_gives_its_header_and_claims(key: AuthKey) -> None:
    assert decode(token(key)) == ({**header(key), "alg": key.public.alg}, CLAIMS)


# -- 1 algorithm confusion ----------------------------------------


def test_algorithm_none_is_refused() -> None:
    for alg in ("none", "None", "nOnE", ""):
        head = json.dumps({**header(), "alg": alg}).encode()
        unsigned = f"{b64u(head)}.{b64u(b'{}')}."
        assert rule_of(lambda value=unsigned: decode(value)) == "alg"  # type: ignore[misc]
        assert rule_of(lambda head=head: decode(raw_token(head, b"{}"))) == "alg"  # type: ignore[misc]


def test_hs256_with_the_public_key_as_secret_is_refused() -> None:
    for secret in (ES.public.raw, PS.public.raw, json.dumps(ES.jwk()).encode()):
        head = json.dumps({**header(), "alg": "HS256"}).encode()
        signing_input = f"{b64u(head)}.{b64u(b'{}')}"
        mac = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        forged = f"{signing_input}.{b64u(mac)}"
        assert rule_of(lambda value=forged: decode(value)) == "alg"  # type: ignore[misc]


@pytest.mark.parametrize(
    "alg", ["RS256", "ES384", "EdDSA", "Ed25519", "PS512", "es256", 'ES256"', None, 5, ["ES256"], {}]
)
def test_any_other_algorithm_is_refused(alg: Any) -> None:
    head = json.dumps({**header(), "alg": alg}).encode()
    assert rule_of(lambda: decode(raw_token(head, b"{}"))) == "alg"


def test_no_algorithm_and_one_that_the_caller_does_not_take_are_refused() -> None:
    assert rule_of(lambda: decode(raw_token(json.dumps(header()).encode(), b"{}"))) == "alg"
    assert rule_of(lambda: decode(token(PS), algs={"ES256"})) == "alg"


def test_a_key_is_used_under_its_own_algorithm_only() -> None:
    head = json.dumps({"alg": "PS256", **header(ES)}).encode()
    assert rule_of(lambda: decode(raw_token(head, b"{}", PS))) == "alg-of-key"


def test_a_lookup_that_gives_an_unusable_key_is_a_refusal() -> None:
    broken = PublicKey("ES256", b"\x04" + bytes(64))
    assert rule_of(lambda: decode(token(), key_for=lambda _kid: broken)) == "signature"


# -- 2 key ids ----------------------------------------


@pytest.mark.parametrize(
    "kid",
    ['"', "../../etc/passwd", "' OR 1=1 --", 7, None, ["a"], {}, True, "", "A" * 44, "é" * 43, "\n", ...],
)
def test_a_kid_that_is_none_is_refused_before_any_lookup(kid: Any) -> None:
    def never(_kid: object) -> None:
        raise AssertionError("looked up")

    assert rule_of(lambda: decode(token(kid=kid), key_for=never)) == "kid"


def test_an_unknown_kid_is_refused_after_as_much_work_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    real = compact.verify_jose

    def counted(public: PublicKey, message: bytes, signature: bytes) -> None:
        verified.append(public.alg)
        real(public, message, signature)

    monkeypatch.setattr(compact, "verify_jose", counted)
    assert rule_of(lambda: decode(token(AuthKey.generate()))) == "kid-unknown"
    assert verified == ["ES256"]


# -- 3 keys and addresses in the header ----------------------------------------


def test_jku_x5u_x5c_and_an_unasked_jwk_are_ignored_and_never_followed() -> None:
    other = AuthKey.generate()
    extras = {"jku": "https://elsewhere.example/jwks", "x5u": "https://elsewhere.example/", "x5c": ["MII"]}
    assert decode(token(**extras, jwk=other.jwk()))[1] == CLAIMS
    forged = sign_compact(other, header(ES, jwk=other.jwk(), **extras), CLAIMS)
    assert rule_of(lambda: decode(forged)) == "signature"


@pytest.mark.parametrize("extra", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"b64": True}])
def test_critical_and_unencoded_tokens_are_refused(extra: dict[str, Any]) -> None:
    assert rule_of(lambda: decode(token(**extra))) == "crit"


# -- 11 types ----------------------------------------


@pytest.mark.parametrize("typ", ["JWT", "dpop+jwt", "application/at+jwt", "", None, 5, ["at+jwt"], ...])
def test_another_type_or_none_is_refused(typ: Any) -> None:
    assert rule_of(lambda: decode(token(typ=typ))) == "typ"


def test_a_type_is_compared_without_regard_to_case_and_may_be_absent_where_allowed() -> None:
    assert decode(token(typ="AT+JWT"))[1] == CLAIMS
    allowed = ("JWT", None)
    assert decode(token(typ=...), typ=allowed)[1] == CLAIMS
    assert decode(token(typ="jwt"), typ=allowed)[1] == CLAIMS
    assert rule_of(lambda: decode(token(typ=None), typ=allowed)) == "typ"


# -- 12, 13, 14 numbers, nesting, size, duplicates, text ----------------------------------------


def claims_of(text: bytes) -> str:
    return raw_token(json.dumps({**header(), "alg": "ES256"}).encode(), text)


@pytest.mark.parametrize(
    "claims",
    [
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":1e999}',
        b'{"exp":1.5}',
        b'{"exp":9007199254740992}',
        b'{"exp":1,"exp":2}',
        b'{"a":' * 5 + b"1" + b"}" * 5,
        b"[" * 3000,
        b'{"jti":"\\u0000"}',
        b'{"jti":"\\ud800"}',
        b'{"jti":"\xff"}',
        b"[]",
        b'"text"',
        b"",
        b"{} {}",
        b'{"a":"' + b"x" * 5000 + b'"}',
    ],
)
def test_claims_that_are_no_strict_json_are_refused(claims: bytes) -> None:
    assert rule_of(lambda: decode(claims_of(claims))) in {"encoding", "size"}


@pytest.mark.parametrize(
    "head",
    [
        b'{"alg":"none","alg":"ES256"}',
        b'{"alg":"ES256","a":{"b":{"c":{}}}}',
        b"[]",
        b"",
        b'{"alg":"ES256","pad":"' + b"x" * 2100 + b'"}',
    ],
)
def test_a_header_that_is_no_strict_json_is_refused(head: bytes) -> None:
    assert rule_of(lambda: decode(raw_token(head, b"{}"))) == "encoding"


def test_a_100_kilobyte_token_is_refused_by_its_size() -> None:
    assert rule_of(lambda: decode("A" * 100_000)) == "size"
    assert rule_of(lambda: decode(token(), max_bytes=20)) == "size"


@pytest.mark.parametrize("value", ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "{}", "é.é.é"])
def test_another_number_or_form_of_segments_is_refused(value: str) -> None:
    assert rule_of(lambda: decode(value)) in {"segments", "encoding"}


def test_padded_spaced_and_non_canonical_segments_are_refused() -> None:
    good = token()
    head, claims, signature = good.split(".")
    last = signature[-1]
    assert last in "AQgw"
    for bad in (
        f"{head}=.{claims}.{signature}",
        f"{head}.{claims} .{signature}",
        f"{head}.{claims}.{signature}==",
        f"{head}.{claims}.{signature[:-1]}{chr(ord(last) + 1)}",
        good + "\n",
        good.replace("-", "+").replace("_", "/") + "+",
    ):
        assert rule_of(lambda bad=bad: decode(bad)) == "encoding"  # type: ignore[misc]


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_no_character_of_a_token_can_be_changed(data: st.DataObject) -> None:
    good = token()
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda character: character != good[at]))
    rule_of(lambda: decode(good[:at] + other + good[at + 1 :]))


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()))
def test_no_text_makes_anything_but_the_one_error(text: str) -> None:
    rule_of(lambda: decode(text))
    rule_of(lambda: decode(f"{text}.{text}.{text}"))


# -- signing ----------------------------------------


def test_a_token_is_not_signed_under_another_algorithm_or_over_its_limits() -> None:
    with pytest.raises(Malformed):
        sign_compact(ES, {"alg": "PS256"}, {})
    with pytest.raises(Malformed):
        sign_compact(ES, {"alg": "none"}, {})
    with pytest.raises(Malformed):
        sign_compact(ES, {}, {"a": "x" * 5000})
    with pytest.raises(Malformed):
        sign_compact(ES, {"a": "x" * 3000}, {})
