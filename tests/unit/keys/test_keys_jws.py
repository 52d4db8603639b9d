"""Signed objects: every signature, exact headers, type, version and origin."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.jws import Signed, sign, verify
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, encode, unb64u
from exchange_schemas.errors import (
    KeyWrongUse,
    KidUnknown,
    Malformed,
    OriginMismatch,
    ProtocolError,
    SigInvalid,
    VersionUnsupported,
)
from tests.unit.keys.keys_factory import ORIGIN, flip, keys_of, seed

KEY = SigningKey.from_seed(seed("ed"))
ROOT = RootKey.from_seeds(ed25519=seed("root ed"), mldsa65=seed("root mldsa"))
KNOWN = keys_of(KEY.public, *ROOT.publics)
TYP = "hx-event"


def payload(**changes: Any) -> bytes:
    return encode({"v": 1, "typ": TYP, "origin": ORIGIN, "event": "suspend", **changes})


def signed(**changes: Any) -> Signed:
    return sign(payload(**changes), TYP, [KEY])


def check(value: Signed, known: Callable[..., PublicKey | None] = KNOWN, typ: str = TYP) -> tuple[str, ...]:
    return verify(value, typ, origin=ORIGIN, key_for=known)


def test_an_object_signed_by_several_keys_comes_back_with_all_kids() -> None:
    value = sign(payload(), TYP, [KEY, *ROOT.signers])
    read = Signed.from_bytes(value.to_bytes(), 16 * 1024)
    assert read == value
    assert read.payload == payload()
    assert check(read) == (KEY.public.kid, *(public.kid for public in ROOT.publics))


def test_the_form_is_jws_general_json_with_an_exact_header_and_standard_signing_input() -> None:
    value = signed().to_json()
    assert set(value) == {"payload", "signatures"}
    (only,) = json.loads(json.dumps(value["signatures"]))
    header = json.loads(unb64u(only["protected"], field="protected"))
    assert header == {"alg": "Ed25519", "kid": KEY.public.kid, "typ": TYP}
    message = f"{only['protected']}.{value['payload']}".encode()
    assert unb64u(only["signature"], field="signature") == KEY.sign(message)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_bit_of_a_signed_object_can_be_turned(data: st.DataObject) -> None:
    value = signed()
    only = value.signatures[0]
    where = data.draw(st.sampled_from(["payload", "protected", "signature"]))
    raw = value.payload if where == "payload" else getattr(only, where)
    turned = flip(raw, data.draw(st.integers(0, len(raw) * 8 - 1)))
    members = value.to_json()
    if where == "payload":
        members["payload"] = b64u(turned)
    else:
        members["signatures"] = [
            {"protected": b64u(only.protected), "signature": b64u(only.signature), where: b64u(turned)}
        ]
    with pytest.raises(ProtocolError):
        check(Signed.from_json(members, 16 * 1024))


def test_reordered_but_equal_json_does_not_verify() -> None:
    value = signed()
    reordered = json.dumps(dict(reversed(json.loads(value.payload).items())), separators=(",", ":")).encode()
    assert json.loads(reordered) == json.loads(value.payload)
    with pytest.raises(SigInvalid):
        check(Signed(reordered, value.signatures))


def test_one_bad_signature_among_good_ones_is_refused() -> None:
    good = sign(payload(), TYP, [KEY, *ROOT.signers])
    for index in range(3):
        spoiled = list(good.to_json()["signatures"])  # type: ignore[arg-type]
        other = sign(payload(event="resume"), TYP, [KEY, *ROOT.signers]).to_json()["signatures"]
        spoiled[index] = other[index]  # type: ignore[index]
        with pytest.raises(SigInvalid):
            check(Signed.from_json({"payload": b64u(payload()), "signatures": spoiled}, 16 * 1024))


def test_an_object_replayed_under_another_type_is_refused() -> None:
    with pytest.raises(Malformed):
        check(signed(), typ="hx-consent")
    relabelled = signed()
    as_consent = Signed(payload(typ="hx-consent"), relabelled.signatures)
    with pytest.raises(Malformed):
        check(as_consent)
    with pytest.raises(Malformed):
        check(as_consent, typ="hx-consent")


def test_an_object_of_another_deployment_is_refused() -> None:
    with pytest.raises(OriginMismatch):
        check(signed(origin="production.example"))
    with pytest.raises(OriginMismatch):
        check(sign(encode({"v": 1, "typ": TYP}), TYP, [KEY]))


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_unsupported(version: int) -> None:
    with pytest.raises(VersionUnsupported):
        check(signed(v=version))


@pytest.mark.parametrize("version", [True, "1", None, [1]])
def test_a_version_that_is_no_number_is_malformed(version: Any) -> None:
    with pytest.raises(Malformed):
        check(signed(v=version))


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(KidUnknown):
        check(signed(), keys_of())


def test_a_lookup_that_answers_with_another_key_is_refused() -> None:
    other = SigningKey.from_seed(seed("other")).public
    with pytest.raises(KidUnknown):
        check(signed(), lambda _kid: other)


def test_a_header_that_names_another_algorithm_than_the_key_is_refused() -> None:
    header = encode({"alg": "ML-DSA-65", "kid": KEY.public.kid, "typ": TYP})
    members = {"protected": b64u(header), "signature": b64u(bytes(3309))}
    value = Signed.from_json({"payload": b64u(payload()), "signatures": [members]}, 16 * 1024)
    with pytest.raises(KeyWrongUse):
        check(value)


def test_nothing_is_proved_without_a_signature() -> None:
    with pytest.raises(Malformed):
        check(Signed(payload(), ()))
    with pytest.raises(Malformed):
        Signed.from_json({"payload": b64u(payload()), "signatures": []}, 16 * 1024)


def test_one_key_cannot_sign_twice() -> None:
    once = signed().to_json()
    twice = {"payload": once["payload"], "signatures": [*once["signatures"], *once["signatures"]]}  # type: ignore[misc, list-item]
    with pytest.raises(Malformed, match="twice"):
        Signed.from_json(twice, 16 * 1024)
    with pytest.raises(Malformed):
        sign(payload(), TYP, [KEY, KEY])


def entry(**changes: Any) -> dict[str, Any]:
    header = {"alg": "Ed25519", "kid": KEY.public.kid, "typ": TYP}
    header = {name: value for name, value in {**header, **changes}.items() if value is not ...}
    return {"protected": b64u(encode(header)), "signature": b64u(bytes(64))}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "text",
        {"protected": "", "signature": ""},
        {"protected": b64u(b"[]"), "signature": b64u(bytes(64))},
        {"protected": b64u(b"{"), "signature": b64u(bytes(64))},
        {**entry(), "header": {}},
        {"signature": b64u(bytes(64))},
        {**entry(), "signature": b64u(bytes(63))},
        {**entry(), "signature": b64u(bytes(64)) + "="},
        {**entry(), "signature": 7},
        {"protected": "=" + entry()["protected"], "signature": b64u(bytes(64))},
        entry(alg="none"),
        entry(alg="EdDSA"),
        entry(alg="HS256"),
        entry(alg=None),
        entry(alg=...),
        entry(kid="../../etc/passwd"),
        entry(kid='"'),
        entry(kid=5),
        entry(typ="JWT"),
        entry(typ="hx-"),
        entry(typ=1),
        entry(typ=...),
        entry(crit=["b64"]),
        entry(jwk={}),
        entry(x5c=[]),
    ],
)
def test_a_signature_of_another_shape_is_malformed(bad: Any) -> None:
    with pytest.raises(Malformed):
        Signed.from_json({"payload": b64u(payload()), "signatures": [bad]}, 16 * 1024)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        {"payload": ""},
        {"payload": b64u(payload()), "signatures": {}},
        {"payload": 1, "signatures": [entry()]},
        {"payload": b64u(payload()), "signatures": [entry()], "protected": ""},
    ],
)
def test_an_object_of_another_shape_is_malformed(bad: Any) -> None:
    with pytest.raises(Malformed):
        Signed.from_json(bad, 16 * 1024)


def test_an_object_has_34_signatures_at_most() -> None:
    listed: list[Any] = [entry(kid=b64u(number.to_bytes(32))) for number in range(35)]
    most = Signed.from_json({"payload": b64u(payload()), "signatures": listed[:34]}, 16 * 1024)
    assert len(most.signatures) == 34
    with pytest.raises(Malformed):
        Signed.from_json({"payload": b64u(payload()), "signatures": listed}, 16 * 1024)


def test_a_payload_over_its_limit_is_malformed() -> None:
    assert Signed.from_json(signed().to_json(), len(payload())).payload == payload()
    with pytest.raises(Malformed):
        Signed.from_json(signed().to_json(), len(payload()) - 1)


@pytest.mark.parametrize("data", [b"", b"{", b'{"payload":"","payload":""}', b"\xff", b"[" * 1000])
def test_bytes_that_are_no_strict_json_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Signed.from_bytes(data, 16 * 1024)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", payload(typ="hx-consent"), b'{"typ":"hx-event","typ":"hx-event"}']
)
def test_a_payload_that_is_not_of_its_type_is_not_signed(data: bytes) -> None:
    with pytest.raises(Malformed):
        sign(data, TYP, [KEY])


def test_a_type_that_is_not_ours_is_not_signed() -> None:
    with pytest.raises(Malformed):
        sign(payload(typ="at+jwt"), "at+jwt", [KEY])


def test_no_key_and_a_key_that_cannot_sign_are_refused() -> None:
    with pytest.raises(Malformed):
        sign(payload(), TYP, [])
    with pytest.raises(Malformed):
        sign(payload(), TYP, [SealingKeyThatSigns()])


class SealingKeyThatSigns:
    """A key of another use that has a `sign` all the same."""

    public = EncKey.from_seed(seed("enc")).public

    def sign(self, message: bytes) -> bytes:
        return message
