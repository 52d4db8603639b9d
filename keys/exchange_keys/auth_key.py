"""Keys of OAuth clients and of the hub's tokens: ES256 and PS256, and their JWK form.

ES256 is cryptography's ECDSA with the two numbers side by side, as JWS has them; PS256 is joserfc's. An
Ed25519 key is never accepted here: joserfc verifies it through a library that takes the identity key. A JWK
is read only when it is public and has exactly the members that its kind needs.
Sources: RFC 7517, RFC 7518 sections 3.4, 3.5, 6.2, 6.3; RFC 7638 (thumbprint).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from joserfc import jws
from joserfc.jwk import RSAKey

from exchange_keys.public import ES256, PS256, PublicKey
from exchange_keys.secret import Secret
from exchange_schemas.codec import JsonValue, b64u, encode, sha256, unb64u
from exchange_schemas.errors import Malformed, SigInvalid

ALGS: Final = frozenset({ES256, PS256})
RSA_BITS_MIN, RSA_BITS_MAX, RSA_BITS_NEW = 2048, 4096, 3072

_RSA_EXPONENT = 65537
_RSA_E = "AQAB"
_COORDINATE_BYTES = 32
_UNCOMPRESSED = b"\x04"
_ECDSA_SHA256 = ec.ECDSA(SHA256())
_JWK_MUST = {"EC": frozenset({"kty", "crv", "x", "y"}), "RSA": frozenset({"kty", "n", "e"})}
_JWK_MAY = frozenset({"alg", "kid", "use"})
# What is kept of public keys that come again with every request: checked, loaded, named.
_KEPT = 2048
_NOT_A_KEY = "key: not a usable key of this algorithm"


class AuthKey(Secret):
    """An ES256 or PS256 key: a client's `auth` key, or one of the hub's token keys."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        self._key = key
        self._public = _public_of(key.public_key())
        load_public(self._public)

    @classmethod
    def generate(cls, alg: str = ES256) -> AuthKey:
        """A new key: P-256 for ES256, RSA of 3,072 bits for PS256. Raises: Malformed."""
        if alg == ES256:
            return cls(ec.generate_private_key(ec.SECP256R1()))
        if alg == PS256:
            return cls(rsa.generate_private_key(_RSA_EXPONENT, RSA_BITS_NEW))
        raise Malformed("alg: ES256 or PS256 is needed", field="alg")

    @classmethod
    def from_secret(cls, secret: bytes) -> AuthKey:
        """The key of PKCS #8 DER bytes without a passphrase. Raises: Malformed."""
        try:
            key = load_der_private_key(secret, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Malformed("key: not PKCS #8 DER", field="key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise Malformed("key: neither P-256 nor RSA", field="key")
        return cls(key)

    @property
    def secret(self) -> bytes:
        """PKCS #8 DER, for a key file and nothing else."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> PublicKey:
        """The public half: an uncompressed point of 65 bytes, or SubjectPublicKeyInfo DER."""
        return self._public

    def jwk(self) -> dict[str, JsonValue]:
        """The public JWK with only the members that its kind needs, as a DPoP proof carries it."""
        return jwk_of(self._public)

    def sign(self, message: bytes) -> bytes:
        """The JWS signature over `message`: 64 bytes r ‖ s for ES256, the modulus' length for PS256."""
        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(message, _ECDSA_SHA256))
            return r.to_bytes(_COORDINATE_BYTES) + s.to_bytes(_COORDINATE_BYTES)
        return _registry().get_alg(PS256).sign(message, RSAKey(key, key))


def verify_jose(public: PublicKey, message: bytes, signature: bytes) -> None:
    """Prove that the holder of an ES256 or PS256 key signed `message` (RFC 7518 sections 3.4, 3.5).

    Raises: Malformed (the key is unusable), SigInvalid.
    """
    key = load_public(public)
    if isinstance(key, RSAKey):
        valid = _registry().get_alg(PS256).verify(message, signature, key)
    else:
        valid = _verify_es256(key, message, signature)
    if not valid:
        raise SigInvalid("the JOSE signature does not verify")


def _verify_es256(key: ec.EllipticCurvePublicKey, message: bytes, signature: bytes) -> bool:
    if len(signature) != 2 * _COORDINATE_BYTES:
        return False
    r, s = signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    try:
        key.verify(der, message, _ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=_KEPT)
def load_public(public: PublicKey) -> ec.EllipticCurvePublicKey | RSAKey:
    """The key as its library takes it, after every check that its algorithm needs.

    ES256: a point of P-256 in uncompressed form. PS256: 2,048 to 4,096 bits, exponent 65,537, canonical DER.
    Raises: Malformed.
    """
    if public.alg == ES256:
        return _load_point(public.raw)
    if public.alg == PS256:
        modulus = _load_rsa(public.raw)
        return RSAKey(modulus, modulus)
    raise Malformed("alg: ES256 or PS256 is needed", field="alg")


def jwk_of(public: PublicKey) -> dict[str, JsonValue]:
    """The public JWK of a key, only `kty` and the members that its kind needs. Raises: Malformed."""
    if public.alg == ES256:
        x, y = public.raw[1 : 1 + _COORDINATE_BYTES], public.raw[1 + _COORDINATE_BYTES :]
        return {"kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)}
    if public.alg == PS256:
        modulus = _load_rsa(public.raw).public_numbers().n
        return {"kty": "RSA", "n": b64u(modulus.to_bytes((modulus.bit_length() + 7) // 8)), "e": _RSA_E}
    raise Malformed("alg: ES256 or PS256 is needed", field="alg")


def jwks_member(public: PublicKey) -> dict[str, JsonValue]:
    """The same with `kid`, `alg` and `use`, as a JWKS document lists it. Raises: Malformed."""
    return {**jwk_of(public), "kid": public.kid, "alg": public.alg, "use": "sig"}


def public_from_jwk(jwk: JsonValue) -> PublicKey:
    """Read a public JWK of exactly the members of its kind, besides `alg`, `kid` and `use`.

    Anything private, symmetric, of another curve, weak or not canonical is refused. Raises: Malformed.
    """
    if not isinstance(jwk, dict):
        raise Malformed("jwk: an object is needed", field="jwk")
    kty = jwk.get("kty")
    must = _JWK_MUST.get(kty) if isinstance(kty, str) else None
    if must is None or not must <= set(jwk) <= must | _JWK_MAY:
        raise Malformed("jwk: not a public EC or RSA key with exactly its members", field="jwk")
    public = _ec_from_jwk(jwk) if kty == "EC" else _rsa_from_jwk(jwk)
    if jwk.get("alg", public.alg) != public.alg or jwk.get("use", "sig") != "sig":
        raise Malformed("jwk: made for another algorithm or use", field="jwk")
    return public


@lru_cache(maxsize=_KEPT)
def thumbprint(public: PublicKey) -> str:
    """The RFC 7638 SHA-256 thumbprint, base64url: what `cnf.jkt` holds (RFC 9449 section 6).

    Raises: Malformed.
    """
    return b64u(sha256(encode(jwk_of(public))))


@cache
def _registry() -> jws.JWSRegistry:
    # joserfc's own list of algorithms is wider; nothing else can come out of this one.
    return jws.JWSRegistry(algorithms=[PS256])


def _public_of(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(PS256, _spki(key))
    return PublicKey(ES256, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _spki(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _load_point(raw: bytes) -> ec.EllipticCurvePublicKey:
    if raw[:1] == _UNCOMPRESSED:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
        except ValueError:
            pass
    raise Malformed(_NOT_A_KEY, field="key", rule="p256-point")


def _load_rsa(raw: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed(_NOT_A_KEY, field="key", rule="rsa-key") from None
    # A second spelling of one key would be a second kid for it.
    if not isinstance(key, rsa.RSAPublicKey) or _spki(key) != raw:
        raise Malformed(_NOT_A_KEY, field="key", rule="rsa-key")
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX or key.public_numbers().e != _RSA_EXPONENT:
        raise Malformed(_NOT_A_KEY, field="key", rule="rsa-strength")
    return key


def _ec_from_jwk(jwk: Mapping[str, JsonValue]) -> PublicKey:
    if jwk["crv"] != "P-256":
        raise Malformed("jwk: the curve P-256 is needed", field="jwk")
    x, y = jwk["x"], jwk["y"]
    if not isinstance(x, str) or not isinstance(y, str):
        raise Malformed("jwk: base64url text is needed", field="jwk")
    return _ec_of(x, y)


@lru_cache(maxsize=_KEPT)
def _ec_of(x: str, y: str) -> PublicKey:
    raw = [unb64u(coordinate, field="jwk", length=_COORDINATE_BYTES) for coordinate in (x, y)]
    return _public_of(_load_point(_UNCOMPRESSED + b"".join(raw)))


def _rsa_from_jwk(jwk: Mapping[str, JsonValue]) -> PublicKey:
    modulus = unb64u(jwk["n"], field="jwk", limit=RSA_BITS_MAX // 8)
    # Bounds, leading zero and evenness first: what is built from numbers must not fail later.
    number = int.from_bytes(modulus)
    bits_fit = RSA_BITS_MIN <= number.bit_length() <= RSA_BITS_MAX
    if jwk["e"] != _RSA_E or not bits_fit or modulus[0] == 0 or number % 2 == 0:
        raise Malformed("jwk: an odd modulus of 2,048 to 4,096 bits and e = 65,537 are needed", field="jwk")
    return _public_of(rsa.RSAPublicNumbers(_RSA_EXPONENT, number).public_key())
