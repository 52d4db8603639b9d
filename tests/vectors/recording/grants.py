"""Single grants: one that opens, and each way in which core, sealed keys or parts can be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from exchange_keys.envelope import EnvelopeDraft, Recipient, grant_digest, seal_envelope
from exchange_keys.padding import MARK
from exchange_keys.parts import PartContext, encryptor, seal_part
from exchange_keys.sealing import EncKey, seal_keys
from exchange_schemas.codec import b64u, encode, unb64u
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, PartRef, TreeHead
from exchange_schemas.ids import AgencyId, EnvelopeId, PartId, ThreadId
from tests.vectors.recording.seeds import NOW, ORIGIN, Case, digest, enc, flipped, seed, signing

A, B = AgencyId("agency-a"), AgencyId("agency-b")
SIGN_A = signing("envelope a")
ENC_A, ENC_B = enc("enc a"), enc("enc b")
PART_KEY = seed("part key")
EID = EnvelopeId(b64u(seed("eid")[:16]))


def context(field: str, part_id: str) -> PartContext:
    return PartContext(ORIGIN, EID, PartId(part_id), field, 1, A)


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


def good_grant() -> tuple[bytes, bytes, dict[str, bytes]]:
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
    return grant.core, grant.sealed, {str(name): part for name, part in sealed.parts.items()}


def grant_by_a_bad_sender(template: bytes, ciphertext: bytes, **ref: Any) -> dict[str, Any]:
    """A grant of one part that is consistent and signed for, but whose ciphertext does not open."""
    part = PartRef(p=PartId(b64u(bytes(16))), f="sex", len=len(ciphertext), sha256=digest(ciphertext))
    core = replace(GrantCore.from_bytes(template), parts=(replace(part, **ref),)).to_bytes()
    sealed = seal_keys(ENC_B.public.raw, [PART_KEY], core)
    return {"core": b64u(core), "sealed": b64u(sealed), "parts": {digest(ciphertext): b64u(ciphertext)}}


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


def grant_file() -> Case:
    core, sealed, parts = good_grant()
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
            "digest": grant_digest(
                unb64u(case["core"], field="core"), unb64u(case["sealed"], field="sealed")
            ),
            "fields": {field: b64u(value) for field, value in fields.items()} if error is None else None,
            "error": error,
        }
        for name, (case, error) in cases.items()
    ]
    return {"recipient": "enc b", "cases": entries}
