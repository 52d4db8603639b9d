"""ES256 and PS256 keys, their JWK form and thumbprints."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from exchange_keys.auth_key import AuthKey, jwk_of, load_public, verify_jose
from exchange_keys.jose import jwk_thumbprint, jwks_member, public_from_jwk, thumbprint
from exchange_keys.public import ED25519, PublicKey
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import Malformed, SigInvalid
from tests.unit.keys.keys_factory import A

ES = AuthKey.generate()
PS = AuthKey.generate("PS256")


@pytest.mark.parametrize("key", [ES, PS])
def test_a_key_survives_its_pkcs8_form(key: AuthKey) -> None:
    again = AuthKey.from_secret(key.secret)
    assert again.public == key.public
    verify_jose(key.public, b"message", again.sign(b"message"))


@pytest.mark.parametrize("key", [ES, PS])
def test_a_signature_is_for_its_message_and_key_only(key: AuthKey) -> None:
    signature = key.sign(b"message")
    for public, message, sig in (
        (key.public, b"other", signature),
        (key.public, b"message", signature[:-1]),
        (key.public, b"message", bytes(len(signature))),
        (key.public, b"message", b""),
        (AuthKey.generate(key.public.alg).public, b"message", signature),
    ):
        with pytest.raises(SigInvalid):
            verify_jose(public, message, sig)


def test_algorithms_are_es256_and_ps256_and_no_other() -> None:
    assert (ES.public.alg, PS.public.alg) == ("ES256", "PS256")
    for alg in ("RS256", "EdDSA", "Ed25519", "none", ""):
        with pytest.raises(Malformed):
            AuthKey.generate(alg)
    ed = A.envelope.public
    assert ed.alg == ED25519
    for refuse in (load_public, jwk_of, lambda key: verify_jose(key, b"", bytes(64))):
        with pytest.raises(Malformed):
            refuse(ed)


def der(key: Any) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"no der",
        der(ed25519.Ed25519PrivateKey.generate()),
        der(ec.generate_private_key(ec.SECP384R1())),
        der(ec.generate_private_key(ec.SECP256K1())),
        der(rsa.generate_private_key(65537, 1024)),
        der(rsa.generate_private_key(65537, 2048)),
        der(rsa.generate_private_key(3, 3072)),
    ],
    ids=["empty", "no-der", "ed25519", "p384", "secp256k1", "rsa-1024", "rsa-2048", "rsa-exponent-3"],
)
def test_another_kind_of_secret_is_malformed(secret: bytes) -> None:
    with pytest.raises(Malformed):
        AuthKey.from_secret(secret)


def test_a_jwk_has_only_the_members_of_its_kind_and_comes_back() -> None:
    assert set(ES.jwk()) == {"kty", "crv", "x", "y"}
    assert set(PS.jwk()) == {"kty", "n", "e"}
    for key in (ES, PS):
        assert public_from_jwk(key.jwk()) == key.public
        member = jwks_member(key.public)
        assert member == {**key.jwk(), "kid": key.public.kid, "alg": key.public.alg, "use": "sig"}
        assert public_from_jwk(member) == key.public


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # The key of RFC 9449 section 4.1 and its `jkt` in section 6.1. RFC 7638's own has 2,048 bits.
    jwk = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    assert jwk_thumbprint(jwk) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    x, y = ES.jwk()["x"], ES.jwk()["y"]
    plain = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    assert thumbprint(ES.public) == jwk_thumbprint(ES.jwk()) == b64u(sha256(plain.encode()))


def jwk_with(key: AuthKey, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**key.jwk(), **changes}.items() if value is not ...}


def b64(number: int, length: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(length)).rstrip(b"=").decode()


MODULUS = int.from_bytes(base64.urlsafe_b64decode(str(PS.jwk()["n"]) + "=="))


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        [],
        "jwk",
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": b64u(A.envelope.public.raw)},
        {"kty": ["EC"]},
        jwk_with(ES, kty="RSA"),
        jwk_with(ES, d=b64u(bytes(32))),
        jwk_with(ES, crv="P-384"),
        jwk_with(ES, crv=None),
        jwk_with(ES, y=...),
        jwk_with(ES, x=1),
        jwk_with(ES, x=b64u(bytes(31))),
        jwk_with(ES, x=b64u(bytes(33))),
        jwk_with(ES, x=str(ES.jwk()["x"]) + "="),
        jwk_with(ES, x=b64u(bytes(32)), y=b64u(bytes(32))),
        jwk_with(ES, alg="ES384"),
        jwk_with(ES, alg="none"),
        jwk_with(ES, alg=None),
        jwk_with(ES, use="enc"),
        jwk_with(ES, x5c=["MII"]),
        jwk_with(ES, x5u="https://elsewhere.example/"),
        jwk_with(ES, key_ops=["sign"]),
        jwk_with(PS, d="AQAB"),
        jwk_with(PS, p="AQAB"),
        jwk_with(PS, e="Aw"),
        jwk_with(PS, e="AAEAAQ"),
        jwk_with(PS, e=65537),
        jwk_with(PS, alg="RS256"),
        jwk_with(PS, n=b64(MODULUS, 385)),
        jwk_with(PS, n=b64(MODULUS - 1, 384)),
        jwk_with(PS, n=b64(2**2048 - 1, 256)),
        jwk_with(PS, n=b64(2**3071 - 1, 384)),
        jwk_with(PS, n=b64(2**4096 + 1, 513)),
        jwk_with(PS, n=""),
        jwk_with(PS, n="!"),
    ],
)
def test_a_jwk_that_is_private_weak_or_of_another_form_is_malformed(jwk: Any) -> None:
    with pytest.raises(Malformed):
        public_from_jwk(json.loads(json.dumps(jwk)))


@pytest.mark.parametrize("bits", [3072, 4096])
def test_rsa_from_3072_to_4096_bits_is_taken(bits: int) -> None:
    # Making a pair takes a second; any odd modulus of the length does for reading.
    public = public_from_jwk({"kty": "RSA", "n": b64(2 ** (bits - 1) + 1, bits // 8), "e": "AQAB"})
    assert 418 <= len(public.raw) <= 560
    assert public_from_jwk(jwk_of(public)) == public


def test_a_public_key_that_is_no_rsa_key_has_no_jwk() -> None:
    with pytest.raises(Malformed):
        jwk_of(PublicKey("PS256", bytes(300)))
