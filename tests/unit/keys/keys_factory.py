"""Agencies with fixed keys and small envelopes, for the tests of exchange_keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, open_grant, seal_envelope
from exchange_keys.public import PublicKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.envelope import NO_PREVIOUS, PartRef, TreeHead
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, Kid, ThreadId

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ORIGIN = "test.example"


def seed(label: str) -> bytes:
    return sha256(label.encode()).digest()


def an_id(label: str) -> str:
    return b64u(seed(label)[:16])


def a_digest(label: str) -> Digest:
    return Digest(b64u(seed(label)))


@dataclass(frozen=True)
class Agency:
    id: AgencyId
    enc: EncKey
    envelope: SigningKey

    def recipient(self, **changes: Any) -> Recipient:
        values: dict[str, Any] = {
            "agency": self.id,
            "kid": self.enc.public.kid,
            "enc_public_raw": self.enc.public.raw,
            "thread": ThreadId(an_id(f"thread {self.id}")),
            "seq": 1,
            "prev": NO_PREVIOUS,
            "fields": ("name_given", "sex", "child_ref"),
            "consent_digest": a_digest(f"consent {self.id}"),
            "subj": a_digest(f"subject {self.id}"),
            "values": {"child_ref": f"ref for {self.id}".encode()},
        }
        return Recipient(**{**values, **changes})

    def itself(self, **changes: Any) -> Recipient:
        fixed = {"fields": (), "consent_digest": None, "subj": None, "values": {}}
        return self.recipient(**{**fixed, **changes})


def agency(name: str) -> Agency:
    return Agency(
        AgencyId(name),
        EncKey.from_seed(seed(f"{name} enc")),
        SigningKey.from_seed(seed(f"{name} envelope")),
    )


A = agency("agency-a")
B = agency("agency-b")
C = agency("agency-c")
D = agency("agency-d")

VALUES = {"name_given": b'{"v":{"text":"one"}}', "sex": b'{"v":"female"}', "languages": b'{"v":["uk"]}'}


def draft(**changes: Any) -> EnvelopeDraft:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "eid": EnvelopeId(an_id("envelope 1")),
        "kind": "found_notice",
        "sender": A.id,
        "purpose": "trace",
        "issued_at": NOW,
        "expires_at": NOW + timedelta(days=30),
        "directory": TreeHead(size=7, root=a_digest("directory")),
        "values": VALUES,
    }
    return EnvelopeDraft(**{**values, **changes})


def parts_of(sealed: SealedEnvelope) -> Callable[[PartRef], bytes]:
    return lambda ref: sealed.parts[ref.sha256]


def seal(*recipients: Recipient, itself: Recipient | None = None, **changes: Any) -> SealedEnvelope:
    given = recipients or (B.recipient(), C.recipient(fields=("sex", "languages"), values={}))
    return seal_envelope(draft(**changes), given, A.itself() if itself is None else itself, A.envelope)


def grant_of(sealed: SealedEnvelope, who: Agency) -> tuple[bytes, bytes]:
    (grant,) = (grant for grant in sealed.grants if grant.rcp == who.id)
    return grant.core, grant.sealed


def opened(sealed: SealedEnvelope, who: Agency) -> dict[str, bytes]:
    return open_grant(*grant_of(sealed, who), who.enc, parts_of(sealed))


def keys_of(*keys: PublicKey) -> Callable[[Kid], PublicKey | None]:
    known: Mapping[Kid, PublicKey] = {key.kid: key for key in keys}
    return known.get


def flip(data: bytes, bit: int) -> bytes:
    """`data` with one bit turned."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
