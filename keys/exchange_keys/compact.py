"""Compact JWS for OAuth: signed with ES256 or PS256, decoded strictly, refused in one opaque way.

Everything about a token's shape is checked before its signature: size, strict base64url and JSON, the
algorithm, the type. No header member is ever followed (jku, x5u, x5c, an unasked jwk): a key comes from
the caller's lookup. What a caller may tell an outsider is only that the token was not accepted; the
`rule` of the error is for logs.
Sources: RFC 7515 section 7.1, RFC 8725 (best practices); oauth.md "Attacks".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from exchange_keys.auth_key import ALGS, AuthKey, public_from_jwk, verify_jose
from exchange_keys.public import ES256, PublicKey
from exchange_schemas.codec import Encodable, JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import Malformed, SigInvalid, Unauthorized
from exchange_schemas.ids import Kid, check_kid

MAX_TOKEN_BYTES = 8 * 1024
# A DPoP proof carries an RSA modulus of 512 bytes in its header.
MAX_HEADER_BYTES = 2 * 1024
MAX_CLAIMS_BYTES = 4 * 1024
MAX_SIGNATURE_BYTES = 512

# The rules of those refusals that come before a signature has proved anything.
NOT_OURS = frozenset(
    {"size", "segments", "encoding", "alg", "crit", "typ", "kid", "kid-unknown", "alg-of-key", "signature"}
)

_HEADER_DEPTH = 3
_CLAIMS_DEPTH = 4
# The base point of P-256: a key that nobody registers, to spend the time of a verification on.
_DECOY_POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_DECOY_SIGNATURE = (1).to_bytes(32) * 2
_JTI = re.compile(r"[!-~]{16,128}")


def refused(rule: str) -> Unauthorized:
    """The one error that a token or proof is refused with; `rule` is for logs and not for outsiders."""
    return Unauthorized("the token or proof was not accepted", rule=rule)


def sign_compact(key: AuthKey, header: Mapping[str, Encodable], claims: Mapping[str, Encodable]) -> str:
    """A compact JWS over `claims`; `header` gives `typ` and what else is needed, `alg` is the key's.

    Raises: Malformed (another `alg` in the header, or values that JSON does not have).
    """
    alg = key.public.alg
    if header.get("alg", alg) != alg:
        raise Malformed("alg: the key is of another algorithm", field="alg")
    protected = b64u(encode({**header, "alg": alg}, limit=MAX_HEADER_BYTES))
    signing_input = f"{protected}.{b64u(encode(claims, limit=MAX_CLAIMS_BYTES))}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode('ascii')))}"


@dataclass(frozen=True, slots=True)
class ParsedCompact:
    """A token of the right shape whose signature is not yet verified: believe nothing in it."""

    header: dict[str, JsonValue]
    claims: dict[str, JsonValue]
    alg: str
    signing_input: str
    signature: bytes

    def kid(self) -> Kid:
        """The header's key id. Raises: Unauthorized."""
        try:
            return check_kid(self.header.get("kid"), field="kid")
        except Malformed:
            raise refused("kid") from None

    def verify(self, public: PublicKey | None) -> None:
        """Prove that `public` signed the token; None (an unknown key) takes as long and is refused.

        Raises: Unauthorized, with a `rule` for logs.
        """
        if public is None:
            # Otherwise the time of a refusal would tell who is a client.
            with suppress(SigInvalid):
                verify_jose(
                    PublicKey(ES256, _DECOY_POINT), self.signing_input.encode("ascii"), _DECOY_SIGNATURE
                )
            raise refused("kid-unknown")
        if public.alg != self.alg:
            raise refused("alg-of-key")
        _verify(public, self.signing_input, self.signature)


def parse_compact(
    token: str,
    *,
    typ: Collection[str | None],
    algs: Collection[str] = ALGS,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> ParsedCompact:
    """Check a token's size, encoding, algorithm and type, but not its signature.

    Raises: Unauthorized, with a `rule` for logs.
    """
    first, payload, last = _segments(token, max_bytes)
    header, alg = _read_header(first, frozenset(typ), frozenset(algs))
    return ParsedCompact(dict(header), _claims(payload), alg, f"{first}.{payload}", _signature(last))


def decode_compact(
    token: str,
    *,
    typ: Collection[str | None],
    key_for: Callable[[Kid], PublicKey | None],
    algs: Collection[str] = ALGS,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Header and claims of a token whose signature verifies under the key of its `kid`.

    `typ` lists the allowed header types, None for "absent"; they are compared without regard to case.
    Claims are strict JSON and otherwise unchecked: see tokens.py for what they must say.
    Raises: Unauthorized, with a `rule` for logs.
    """
    parsed = parse_compact(token, typ=typ, algs=algs, max_bytes=max_bytes)
    parsed.verify(key_for(parsed.kid()))
    return parsed.header, parsed.claims


def decode_embedded(token: str, *, typ: str) -> tuple[dict[str, JsonValue], PublicKey]:
    """Claims and key of a proof that is signed by the public `jwk` in its own header (RFC 9449).

    It proves possession of that key and nothing else. Raises: Unauthorized, with a `rule` for logs.
    """
    header, payload, signature = _segments(token, MAX_TOKEN_BYTES)
    public = _embedded_key(header, typ)
    claims = _claims(payload)
    _verify(public, f"{header}.{payload}", _signature(signature))
    return claims, public


@lru_cache(maxsize=2048)
def _read_header(
    segment: str, typ: frozenset[str | None], algs: frozenset[str]
) -> tuple[Mapping[str, JsonValue], str]:
    """A header, checked, with its algorithm; a signer sends the same one with each of its tokens."""
    header = _header(segment)
    return header, _check_header(header, typ, algs)


@lru_cache(maxsize=2048)
def _embedded_key(segment: str, typ: str) -> PublicKey:
    """The key in a proof's header, checked; a client sends the same header with each of its proofs."""
    header, alg = _read_header(segment, frozenset({typ}), frozenset(ALGS))
    try:
        public = public_from_jwk(header.get("jwk"))
    except Malformed:
        raise refused("jwk") from None
    if public.alg != alg:
        raise refused("alg-of-key")
    return public


def integer(claims: Mapping[str, JsonValue], name: str) -> int:
    """A claim that must be a whole number; true, 1.5, NaN and "1" are none. Raises: Unauthorized."""
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(name)
    return value


def token_id(claims: Mapping[str, JsonValue]) -> str:
    """`jti`: 16 to 128 visible ASCII characters, the same text once and never again. Raises: Unauthorized."""
    value = claims.get("jti")
    if not isinstance(value, str) or _JTI.fullmatch(value) is None:
        raise refused("jti")
    return value


def _segments(token: str, max_bytes: int) -> tuple[str, str, str]:
    if len(token) > max_bytes:
        raise refused("size")
    segments = token.split(".")
    if len(segments) != 3:
        raise refused("segments")
    return segments[0], segments[1], segments[2]


def _header(segment: str) -> dict[str, JsonValue]:
    return _object(segment, "header", MAX_HEADER_BYTES, _HEADER_DEPTH)


def _claims(segment: str) -> dict[str, JsonValue]:
    return _object(segment, "claims", MAX_CLAIMS_BYTES, _CLAIMS_DEPTH)


def _signature(segment: str) -> bytes:
    try:
        return unb64u(segment, field="signature", limit=MAX_SIGNATURE_BYTES)
    except Malformed:
        raise refused("encoding") from None


def _object(segment: str, field: str, limit: int, depth: int) -> dict[str, JsonValue]:
    try:
        return decode(unb64u(segment, field=field, limit=limit), limit=limit, depth=depth)
    except Malformed:
        raise refused("encoding") from None


def _verify(public: PublicKey, signing_input: str, signature: bytes) -> None:
    """Both segments were read as base64url, so they are ASCII."""
    try:
        verify_jose(public, signing_input.encode("ascii"), signature)
    except (SigInvalid, Malformed):
        raise refused("signature") from None


def _check_header(header: Mapping[str, JsonValue], typ: Collection[str | None], algs: Collection[str]) -> str:
    alg, given = header.get("alg"), header.get("typ")
    if not isinstance(alg, str) or alg not in ALGS or alg not in algs:
        raise refused("alg")
    # RFC 7515 4.1.11: `crit` names what a reader must understand, and this one understands none of it.
    if "crit" in header or "b64" in header:
        raise refused("crit")
    if "typ" in header and not isinstance(given, str):
        raise refused("typ")
    if _folded(given) not in {_folded(name) for name in typ}:
        raise refused("typ")
    return alg


def _folded(typ: JsonValue) -> str | None:
    # RFC 7515 4.1.9: a media type name, without regard to case.
    return typ.lower() if isinstance(typ, str) else None
