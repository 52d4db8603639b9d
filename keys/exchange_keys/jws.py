"""Signed objects: JWS General JSON with one payload and one or more signatures.

What was signed is what is kept: the payload and the protected headers are opaque bytes here and are
never serialised again. A signature counts only under a header of exactly {alg, kid, typ}, and every
signature that is present must verify; an object with one bad signature proves nothing.
Sources: RFC 7515 sections 5.1 and 7.2.1; RFC 9864 ("Ed25519"); protocol.md "Encoding".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exchange_keys import mldsa, signing
from exchange_keys.public import ED25519, ML_DSA_65, PublicKey
from exchange_keys.root import Signer
from exchange_schemas.codec import JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import (
    KeyWrongUse,
    KidUnknown,
    Malformed,
    OriginMismatch,
)
from exchange_schemas.ids import Kid, check_kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.payload import check_frame

_SIGNATURE_BYTES = {ED25519: signing.SIGNATURE_BYTES, ML_DSA_65: mldsa.SIGNATURE_BYTES}
_PROTECTED_BYTES = 160
_TYP = re.compile(r"hx-[a-z]{2,30}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: its protected header as bytes, what the header says, and the raw signature."""

    protected: bytes
    signature: bytes
    alg: str
    kid: Kid
    typ: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload and its signatures, read but not yet verified."""

    payload: bytes
    signatures: tuple[Signature, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """The JSON object `{payload, signatures: [{protected, signature}]}`, all base64url."""
        return {
            "payload": b64u(self.payload),
            "signatures": [
                {"protected": b64u(item.protected), "signature": b64u(item.signature)}
                for item in self.signatures
            ],
        }

    def to_bytes(self) -> bytes:
        """The same object as strict JSON bytes."""
        return encode(self.to_json())

    @classmethod
    def from_json(cls, value: JsonValue, limit: int) -> Signed:
        """Read an already decoded JSON object; `limit` is the payload's greatest length in bytes.

        Raises: Malformed.
        """
        members = _exact_object(value, {"payload", "signatures"}, "JWS")
        payload = unb64u(members["payload"], field="payload", limit=limit)
        listed = members["signatures"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= LIMITS.signatures_per_object:
            raise Malformed("signatures: one or more, and not too many, are needed", field="signatures")
        signatures = tuple(_read_signature(item) for item in listed)
        # A key that signs twice must not count twice where k of n are needed.
        if len({item.kid for item in signatures}) != len(signatures):
            raise Malformed("signatures: one key signed twice", field="signatures")
        return cls(payload, signatures)

    @classmethod
    def from_bytes(cls, data: bytes, limit: int) -> Signed:
        """Read strict JSON bytes; `limit` is the payload's greatest length in bytes. Raises: Malformed."""
        return cls.from_json(decode(data, limit=LIMITS.signed_object_bytes, depth=4), limit)


def sign(payload: bytes, typ: str, keys: Sequence[Signer]) -> Signed:
    """Sign `payload` (strict JSON that itself says `typ`) with every key, in the order given.

    Raises: Malformed (no key, a key twice, a key that cannot sign objects, or another typ inside).
    """
    if not keys or len({key.public.kid for key in keys}) != len(keys):
        raise Malformed("signatures: one or more different keys are needed", field="signatures")
    if _payload(payload).get("typ") != typ or _TYP.fullmatch(typ) is None:
        raise Malformed("typ: the payload is of another type", field="typ")
    return Signed(payload, tuple(_sign_one(payload, typ, key) for key in keys))


def verify(
    signed: Signed, typ: str, *, origin: str, key_for: Callable[[Kid], PublicKey | None]
) -> tuple[Kid, ...]:
    """Verify every signature and the payload's own type, version and origin; the kids, in order.

    `key_for` gives the key of a kid or None; whether that key may sign this (use, state, agency) is the
    caller's question. Steps: (1) header types (2) payload typ, version, origin (3) each key known and
    of the header's algorithm (4) each signature.

    Raises: Malformed, VersionUnsupported, OriginMismatch, KidUnknown, KeyWrongUse, SigInvalid.
    """
    # (1) A signature made for another type of object is not a signature of this one.
    if any(item.typ != typ for item in signed.signatures) or not signed.signatures:
        raise Malformed("typ: the signature is for another type of object", field="typ")
    # (2) What the payload says of itself.
    _check_payload(signed.payload, typ, origin)
    for item in signed.signatures:
        # (3) A lookup that answers with another key is no answer.
        public = key_for(item.kid)
        if public is None or public.kid != item.kid:
            raise KidUnknown("kid: no such key is known", field="kid")
        if public.alg != item.alg:
            raise KeyWrongUse("alg: the key is of another algorithm than the header says", field="alg")
        # (4) The signature itself.
        _verify_one(signed.payload, item, public)
    return tuple(item.kid for item in signed.signatures)


def _exact_object(value: JsonValue, names: set[str], what: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict) or set(value) != names:
        raise Malformed(f"{what}: exactly the members {', '.join(sorted(names))} are needed")
    return value


def _read_signature(value: JsonValue) -> Signature:
    members = _exact_object(value, {"protected", "signature"}, "signature")
    protected = unb64u(members["protected"], field="protected", limit=_PROTECTED_BYTES)
    alg, kid, typ = _read_header(protected)
    signature = unb64u(members["signature"], field="signature", length=_SIGNATURE_BYTES[alg])
    return Signature(protected, signature, alg, kid, typ)


@lru_cache(maxsize=4096)
def _read_header(protected: bytes) -> tuple[str, Kid, str]:
    """alg, kid and typ. One key's header for one type is always the same, and a log is full of them."""
    header = _exact_object(
        decode(protected, limit=_PROTECTED_BYTES, depth=1), {"alg", "kid", "typ"}, "protected header"
    )
    alg, typ = header["alg"], header["typ"]
    if not isinstance(alg, str) or alg not in _SIGNATURE_BYTES:
        raise Malformed("alg: not a signature algorithm of this exchange", field="alg")
    if not isinstance(typ, str) or _TYP.fullmatch(typ) is None:
        raise Malformed("typ: not a type of signed object", field="typ")
    return alg, check_kid(header["kid"], field="kid"), typ


def _signing_input(protected: bytes, payload: bytes) -> bytes:
    # RFC 7515 section 5.1 step 8.
    return f"{b64u(protected)}.{b64u(payload)}".encode("ascii")


def _sign_one(payload: bytes, typ: str, key: Signer) -> Signature:
    public = key.public
    if public.alg not in _SIGNATURE_BYTES:
        raise Malformed("alg: this key does not sign objects", field="alg")
    kid = public.kid
    protected = encode({"alg": public.alg, "kid": kid, "typ": typ})
    return Signature(protected, key.sign(_signing_input(protected, payload)), public.alg, kid, typ)


def _verify_one(payload: bytes, item: Signature, public: PublicKey) -> None:
    message = _signing_input(item.protected, payload)
    if item.alg == ED25519:
        signing.verify_ed25519(public.raw, message, item.signature)
    else:
        mldsa.verify_ml_dsa_65(public.raw, message, item.signature)


def _payload(payload: bytes) -> dict[str, JsonValue]:
    return decode(payload, limit=LIMITS.enrolment_bytes)


def _check_payload(payload: bytes, typ: str, origin: str) -> None:
    members = _payload(payload)
    check_frame(members, typ)
    if members.get("origin") != origin:
        raise OriginMismatch("origin: made for another deployment", field="origin")
