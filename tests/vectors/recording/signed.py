"""Signed objects as such: headers, kids, types, deployments, and who signed."""

from __future__ import annotations

import json
from typing import Any

from exchange_keys.jws import Signed, sign
from exchange_keys.public import PublicKey
from exchange_schemas.codec import b64u, encode, unb64u
from tests.vectors.recording.seeds import ORIGIN, Case, flipped, root, seed, signing

TYP = "hx-event"
IDENTITY = b"\x01" + bytes(31)


def public_keys() -> dict[str, PublicKey]:
    """The keys that verify these vectors, by kid; the identity point is one that nobody may believe."""
    keys = (signing("envelope a").public, *root("root").publics, PublicKey("Ed25519", IDENTITY))
    return {key.kid: key for key in keys}


def _changed(signed: Signed, at: int, **changes: str) -> dict[str, Any]:
    value: dict[str, Any] = signed.to_json()
    value["signatures"][at] = {**value["signatures"][at], **changes}
    return value


def signed_file() -> Case:
    mine, both = signing("envelope a"), root("root").signers
    payload = encode({"v": 1, "typ": TYP, "origin": ORIGIN, "event": "suspend", "agency": "agency-a"})
    good = sign(payload, TYP, [mine, *both])
    one = sign(payload, TYP, [mine])
    other = sign(encode({"v": 1, "typ": TYP, "origin": ORIGIN}), TYP, [mine])
    reordered = json.dumps(dict(reversed(json.loads(payload).items())), separators=(",", ":")).encode()
    signature = one.signatures[0].signature

    def header(**changes: object) -> dict[str, Any]:
        members = {"alg": "Ed25519", "kid": mine.public.kid, "typ": TYP, **changes}
        return _changed(one, 0, protected=b64u(encode({k: v for k, v in members.items() if v is not None})))

    def of(**members: object) -> dict[str, Any]:
        changed = encode({"v": 1, "typ": TYP, "origin": ORIGIN, **members})
        return sign(changed, str(members.get("typ", TYP)), [mine]).to_json()

    # A signature that a lax verifier accepts under the identity point, whatever the message.
    forged = _changed(
        one,
        0,
        protected=b64u(encode({"alg": "Ed25519", "kid": PublicKey("Ed25519", IDENTITY).kid, "typ": TYP})),
        signature=b64u(IDENTITY + bytes(32)),
    )
    as_ml_dsa = b64u(encode({"alg": "ML-DSA-65", "kid": mine.public.kid, "typ": TYP}))
    wrong_algorithm = _changed(one, 0, protected=as_ml_dsa, signature=b64u(good.signatures[2].signature))
    many = [
        {
            "protected": b64u(encode({"alg": "Ed25519", "kid": b64u(seed(str(n))), "typ": TYP})),
            "signature": b64u(signature),
        }
        for n in range(35)
    ]
    order = 2**252 + 27742317777372353535851937790883648493
    large_s = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    cases: dict[str, tuple[Any, str | None]] = {
        "signed by three keys": (good.to_json(), None),
        "signed by one key": (one.to_json(), None),
        "reordered but equal payload": (Signed(reordered, good.signatures).to_json(), "SIG_INVALID"),
        "signature of another payload": (Signed(payload, other.signatures).to_json(), "SIG_INVALID"),
        "a flipped Ed25519 signature": (
            _changed(good, 0, signature=b64u(flipped(signature, 0))),
            "SIG_INVALID",
        ),
        "a flipped ML-DSA signature": (
            _changed(good, 2, signature=b64u(flipped(good.signatures[2].signature, 1000))),
            "SIG_INVALID",
        ),
        "S not reduced": (_changed(one, 0, signature=b64u(large_s)), "SIG_INVALID"),
        "the identity point": (forged, "SIG_INVALID"),
        "one good and one unknown signature": (
            sign(payload, TYP, [mine, signing("stranger")]).to_json(),
            "KID_UNKNOWN",
        ),
        "another version": (of(v=2), "VERSION"),
        "a version that is no number": (of(v="1"), "MALFORMED"),
        "a version that is true": (of(v=True), "MALFORMED"),
        "another deployment": (of(origin="x.example"), "ORIGIN"),
        "another type": (of(typ="hx-receipt"), "MALFORMED"),
        "another type in the header alone": (header(typ="hx-receipt"), "MALFORMED"),
        "unknown key": (sign(payload, TYP, [signing("stranger")]).to_json(), "KID_UNKNOWN"),
        "the algorithm of another key": (wrong_algorithm, "KEY_WRONG_USE"),
        "no signature": ({"payload": b64u(payload), "signatures": []}, "MALFORMED"),
        "one key twice": (
            {"payload": b64u(payload), "signatures": one.to_json()["signatures"] * 2},
            "MALFORMED",
        ),  # type: ignore[operator]
        "35 signatures": (
            {"payload": b64u(payload), "signatures": many},
            "MALFORMED",
        ),
        "a member more": (one.to_json() | {"header": {}}, "MALFORMED"),
        "a header member more": (header(jwk="x"), "MALFORMED"),
        "a header member missing": (header(typ=None), "MALFORMED"),
        "alg none": (header(alg="none"), "MALFORMED"),
        "alg EdDSA": (header(alg="EdDSA"), "MALFORMED"),
        "a kid that is none": (header(kid="x"), "MALFORMED"),
        "a header with a member twice": (
            _changed(one, 0, protected=b64u(one.signatures[0].protected[:-1] + b',"typ":"hx-event"}')),
            "MALFORMED",
        ),
        "a header that is too long": (
            _changed(one, 0, protected=b64u(one.signatures[0].protected + b" " * 100)),
            "MALFORMED",
        ),
        "a header with spaces": (
            _changed(one, 0, protected=b64u(one.signatures[0].protected + b" ")),
            "SIG_INVALID",
        ),
        "a signature cut short": (_changed(one, 0, signature=b64u(signature[:-1])), "MALFORMED"),
        "padded base64": (_changed(one, 0, signature=b64u(signature) + "=="), "MALFORMED"),
        "a payload that is no object": (
            {"payload": b64u(b"[]"), "signatures": one.to_json()["signatures"]},
            "MALFORMED",
        ),
        "a payload with a member twice": (
            {"payload": b64u(payload[:-1] + b',"v":1}'), "signatures": one.to_json()["signatures"]},
            "MALFORMED",
        ),
    }
    return {
        "typ": TYP,
        "origin": ORIGIN,
        "keys": [{"alg": key.alg, "key": b64u(key.raw)} for key in public_keys().values()],
        "cases": [{"name": name, "jws": value, "error": error} for name, (value, error) in cases.items()],
    }


def keys_of(file: Case) -> dict[str, PublicKey]:
    """The verifying keys of a recorded file, by kid."""
    keys = [PublicKey(item["alg"], unb64u(item["key"], field="key")) for item in file["keys"]]
    return {key.kid: key for key in keys}
