"""Records the project's own vectors: `python -m tests.vectors.record_homeward_vectors` writes the file anew.

HPKE, Cobblestone and ML-DSA draw their own randomness, so these are recorded outputs: opening them is exact,
sealing is tested by round trip. Every secret is SHA-256 of a label that stands in the file; no key does.
Record again only with a new version of the protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from exchange_keys.envelope import EnvelopeDraft, Recipient, grant_digest, seal_envelope
from exchange_keys.jws import Signed, sign
from exchange_keys.padding import MARK, pad_to, padme
from exchange_keys.parts import PartContext, encryptor, seal_part
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey, seal_keys
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, encode
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, PartRef, TreeHead
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, PartId, ThreadId

FILE = Path(__file__).parent / "homeward-v1.json"
ORIGIN = "vectors.example"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
A, B = AgencyId("agency-a"), AgencyId("agency-b")


def seed(label: str) -> bytes:
    """The secret that a label stands for."""
    return sha256(f"homeward vector {label}".encode()).digest()


SIGN_A = SigningKey.from_seed(seed("envelope a"))
ENC_A, ENC_B = EncKey.from_seed(seed("enc a")), EncKey.from_seed(seed("enc b"))
ROOT = RootKey.from_seeds(ed25519=seed("root ed25519"), mldsa65=seed("root mldsa65"))
PART_KEY = seed("part key")
EID = EnvelopeId(b64u(seed("eid")[:16]))


def digest(data: bytes) -> Digest:
    return Digest(b64u(sha256(data).digest()))


def context(field: str, part_id: str) -> PartContext:
    return PartContext(ORIGIN, EID, PartId(part_id), field, 1, A)


# -- keys, contexts, padding --------------------------------------------------------------


def key_entries() -> list[dict[str, Any]]:
    keys = {
        "envelope a": SIGN_A.public,
        "enc b": ENC_B.public,
        "root ed25519": ROOT.publics[0],
        "root mldsa65": ROOT.publics[1],
    }
    return [
        {"seed": label, "alg": key.alg, "raw_sha256": digest(key.raw), "kid": key.kid}
        for label, key in keys.items()
    ]


def context_entries() -> list[dict[str, Any]]:
    contexts = [context("name_given", b64u(bytes(16))), context("photo", b64u(b"p" * 16))]
    return [
        {
            "origin": ctx.origin,
            "eid": ctx.eid,
            "part_id": ctx.part_id,
            "field": ctx.field,
            "schema": ctx.schema,
            "sender": ctx.sender,
            "ctx": b64u(ctx.digest()),
        }
        for ctx in contexts
    ]


def padding_entries() -> list[dict[str, Any]]:
    return [
        {"size": len(value), "bucket": bucket, "padded_sha256": digest(pad_to(value, bucket))}
        for value in (b"", b"value", b"\x80\0\0", b"x" * 255)
        for bucket in (256, 8192, None)
    ]


# -- signed objects --------------------------------------------------------------


def signed_entries() -> list[dict[str, Any]]:
    payload = encode({"v": 1, "typ": "hx-event", "origin": ORIGIN, "event": "suspend", "agency": A})
    good = sign(payload, "hx-event", [SIGN_A, *ROOT.signers])
    other = sign(encode({"v": 1, "typ": "hx-event", "origin": ORIGIN}), "hx-event", [SIGN_A])
    reordered = json.dumps(dict(reversed(json.loads(payload).items())), separators=(",", ":")).encode()
    wrong_version = encode({"v": 2, "typ": "hx-event", "origin": ORIGIN})
    cases: dict[str, tuple[Any, str | None]] = {
        "signed by three keys": (good.to_json(), None),
        "reordered but equal payload": (Signed(reordered, good.signatures).to_json(), "SIG_INVALID"),
        "signature of another payload": (Signed(payload, other.signatures).to_json(), "SIG_INVALID"),
        "another version": (sign(wrong_version, "hx-event", [SIGN_A]).to_json(), "VERSION"),
        "another deployment": (
            sign(encode({"v": 1, "typ": "hx-event", "origin": "x.example"}), "hx-event", [SIGN_A]).to_json(),
            "ORIGIN",
        ),
        "another type": (
            sign(encode({"v": 1, "typ": "hx-receipt", "origin": ORIGIN}), "hx-receipt", [SIGN_A]).to_json(),
            "MALFORMED",
        ),
        "unknown key": (
            sign(payload, "hx-event", [SigningKey.from_seed(seed("stranger"))]).to_json(),
            "KID_UNKNOWN",
        ),
        "no signature": ({"payload": b64u(payload), "signatures": []}, "MALFORMED"),
        "one key twice": (
            {"payload": b64u(payload), "signatures": [good.to_json()["signatures"][0]] * 2},  # type: ignore[index, call-overload]
            "MALFORMED",
        ),
    }
    return [{"name": name, "jws": value, "error": error} for name, (value, error) in cases.items()]


# -- grants --------------------------------------------------------------


def recipient(key: EncKey, agency: AgencyId, **changes: Any) -> Recipient:
    values: dict[str, Any] = {
        "agency": agency,
        "kid": key.public.kid,
        "enc_public_raw": key.public.raw,
        "thread": ThreadId(b64u(seed("thread")[:16])),
        "seq": 1,
        "prev": NO_PREVIOUS,
        **changes,
    }
    return Recipient(**values)


VALUES = {"name_given": b'{"v":{"text":"Example"}}', "sex": b'{"v":"unknown"}'}


def good_grant() -> tuple[bytes, bytes, dict[str, bytes], Signed]:
    draft = EnvelopeDraft(
        origin=ORIGIN,
        eid=EID,
        kind="found_notice",
        sender=A,
        purpose="trace",
        issued_at=NOW,
        expires_at=NOW + timedelta(days=30),
        directory=TreeHead(size=3, root=digest(b"root")),
        values=VALUES,
    )
    to_b = recipient(
        ENC_B,
        B,
        fields=("name_given", "sex", "child_ref"),
        values={"child_ref": b'{"v":"ref"}'},
        consent_digest=digest(b"consent"),
        subj=digest(b"subject"),
    )
    sealed = seal_envelope(draft, [to_b], recipient(ENC_A, A), SIGN_A)
    grant = sealed.grants[0]
    return grant.core, grant.sealed, {str(name): part for name, part in sealed.parts.items()}, sealed.manifest


def grant_by_a_bad_sender(template: bytes, ciphertext: bytes, **ref: Any) -> dict[str, Any]:
    """A grant of one part that is consistent and signed for, but whose ciphertext does not open."""
    part = PartRef(p=PartId(b64u(bytes(16))), f="sex", len=len(ciphertext), sha256=digest(ciphertext))
    core = replace(GrantCore.from_bytes(template), parts=(replace(part, **ref),)).to_bytes()
    sealed = seal_keys(ENC_B.public.raw, [PART_KEY], core)
    return {"core": b64u(core), "sealed": b64u(sealed), "parts": {digest(ciphertext): b64u(ciphertext)}}


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def sealed_raw(padded: bytes, ctx: PartContext) -> bytes:
    """A part with a padding that ours would not make."""
    sealing = encryptor(PART_KEY, ctx)
    return sealing.update(padded) + sealing.finalize()


def bad_senders(core: bytes) -> dict[str, tuple[dict[str, Any], str]]:
    ctx = context("sex", b64u(bytes(16)))
    part = seal_part(PART_KEY, b'{"v":"unknown"}', 256, ctx)
    elsewhere = seal_part(PART_KEY, b'{"v":"unknown"}', 256, context("name_given", b64u(bytes(16))))
    other_key = seal_part(seed("another part key"), b'{"v":"unknown"}', 256, ctx)
    cases = {
        "flipped salt": (flipped(part, 0), "DECRYPT_FAILED"),
        "flipped commitment": (flipped(part, 24), "DECRYPT_FAILED"),
        "flipped ciphertext": (flipped(part, 56), "DECRYPT_FAILED"),
        "flipped tag": (flipped(part, len(part) - 1), "DECRYPT_FAILED"),
        "part of another field": (elsewhere, "DECRYPT_FAILED"),
        "part under another key": (other_key, "DECRYPT_FAILED"),
        "padding without its mark": (sealed_raw(bytes(256), ctx), "DECRYPT_FAILED"),
        "padding of another byte": (sealed_raw((MARK + b"\x01").rjust(256, b"x"), ctx), "DECRYPT_FAILED"),
        "part in another bucket": (seal_part(PART_KEY, b"x", 512, ctx), "MALFORMED"),
        "part cut short": (part[:-1], "MALFORMED"),
    }
    return {name: (grant_by_a_bad_sender(core, data), error) for name, (data, error) in cases.items()}


def grant_entries() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    core, sealed, parts, manifest = good_grant()
    carried = {name: b64u(part) for name, part in parts.items()}
    first = next(iter(parts))
    members = json.loads(core)

    def grant(
        core_: bytes = core, sealed_: bytes = sealed, parts_: Mapping[str, str] = carried
    ) -> dict[str, Any]:
        return {"core": b64u(core_), "sealed": b64u(sealed_), "parts": dict(parts_)}

    def altered(**changes: Any) -> bytes:
        return encode({**members, **changes})

    cases: dict[str, tuple[dict[str, Any], str | None]] = {
        "opens": (grant(), None),
        "another purpose in the core": (grant(altered(pur="care")), "DECRYPT_FAILED"),
        "another consent in the core": (grant(altered(cns=digest(b"x"))), "DECRYPT_FAILED"),
        "reordered but equal core": (
            grant(json.dumps(dict(reversed(members.items())), separators=(",", ":")).encode()),
            "DECRYPT_FAILED",
        ),
        "another recipient's key": (grant(altered(rcp_kid=ENC_A.public.kid)), "KID_UNKNOWN"),
        "an unknown member": (grant(altered(note="x")), "MALFORMED"),
        "a member twice": (grant(core[:-1] + b',"v":1}'), "MALFORMED"),
        "another version": (grant(altered(v=2)), "VERSION"),
        "another catalogue": (grant(altered(sch=2)), "VERSION"),
        "flipped KEM ciphertext": (grant(sealed_=flipped(sealed, 0)), "DECRYPT_FAILED"),
        "flipped X25519 half": (grant(sealed_=flipped(sealed, 1090)), "DECRYPT_FAILED"),
        "low-order X25519 half": (
            grant(sealed_=sealed[:1088] + bytes(32) + sealed[1120:]),
            "DECRYPT_FAILED",
        ),
        "flipped sealed keys": (grant(sealed_=flipped(sealed, 1121)), "DECRYPT_FAILED"),
        "flipped tag of sealed keys": (grant(sealed_=flipped(sealed, len(sealed) - 1)), "DECRYPT_FAILED"),
        "sealed keys cut short": (grant(sealed_=sealed[:-1]), "MALFORMED"),
        "a part that is not the one named": (
            grant(parts_={**carried, first: b64u(flipped(parts[first], 100))}),
            "PART_DIGEST",
        ),
        "two parts exchanged": (
            grant(parts_=dict(zip(carried, reversed(carried.values()), strict=True))),
            "PART_DIGEST",
        ),
        "a part left out": (
            grant(parts_={name: part for name, part in carried.items() if name != first}),
            "PART_MISSING",
        ),
        **bad_senders(core),
    }
    fields = {"name_given": VALUES["name_given"], "sex": VALUES["sex"], "child_ref": b'{"v":"ref"}'}
    entries = [
        {
            "name": name,
            **case,
            "digest": grant_digest(_raw(case["core"]), _raw(case["sealed"])),
            "fields": {field: b64u(value) for field, value in fields.items()} if error is None else None,
            "error": error,
        }
        for name, (case, error) in cases.items()
    ]
    return entries, manifest.to_json()


def _raw(text: str) -> bytes:
    from exchange_schemas.codec import unb64u

    return unb64u(text, field="vector")


def record() -> dict[str, Any]:
    """All vectors as one JSON value."""
    grants, manifest = grant_entries()
    return {
        "about": "Homeward wire protocol v1. A secret is SHA-256 of 'homeward vector ' and its label.",
        "origin": ORIGIN,
        "keys": key_entries(),
        "root_digest": ROOT.public.digest,
        "contexts": context_entries(),
        "padme": [[size, padme(size)] for size in (0, 1, 2, 9, 100, 1000, 65_537, 1_000_000, 26_214_401)],
        "padding": padding_entries(),
        "signed": signed_entries(),
        "recipient": "enc b",
        "manifest": manifest,
        "grants": grants,
    }


def public_keys() -> dict[str, PublicKey]:
    """The keys that verify the signed vectors, by kid."""
    return {key.kid: key for key in (SIGN_A.public, *ROOT.publics)}


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), indent=1, ensure_ascii=True) + "\n")
