"""ES256 and PS256 keys, their JWK form and thumbprints."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from exchange_keys.auth_key import AuthKey, jwk_of, load_public, verify_jose
from exchange_keys.jose import jwks_member, public_from_jwk, thumbprint
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
        der(rsa.generate_private_key(3, 2048)),
    ],
    ids=["empty", "no-der", "ed25519", "p384", "secp256k1", "rsa-1024", "rsa-exponent-3"],
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
    # RFC 7638 section 3.1.
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPeb"
        "WKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY36"
        "8QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4"
        "lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    del jwk["alg"]
    assert thumbprint(public_from_jwk(jwk)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    x, y = ES.jwk()["x"], ES.jwk()["y"]
    plain = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    assert thumbprint(ES.public) == thumbprint(public_from_jwk(ES.jwk())) == b64u(sha256(plain.encode()))


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
        jwk_with(PS, n=b64(2**2047 - 1, 256)),
        jwk_with(PS, n=b64(2**4096 + 1, 513)),
        jwk_with(PS, n=""),
        jwk_with(PS, n="!"),
    ],
)
def test_a_jwk_that_is_private_weak_or_of_another_form_is_malformed(jwk: Any) -> None:
    with pytest.raises(Malformed):
        public_from_jwk(json.loads(json.dumps(jwk)))


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_from_2048_to_4096_bits_is_taken(bits: int) -> None:
    key = AuthKey(rsa.generate_private_key(65537, bits)) if bits < 4096 else None
    if key is None:
        # Generating one takes a second; any odd modulus of the size does for reading.
        public = public_from_jwk({"kty": "RSA", "n": b64(2**4095 + 1, 512), "e": "AQAB"})
        assert len(public.raw) < 560
    else:
        assert public_from_jwk(key.jwk()) == key.public


def test_a_public_key_that_is_no_rsa_key_has_no_jwk() -> None:
    with pytest.raises(Malformed):
        jwk_of(PublicKey("PS256", bytes(300)))
