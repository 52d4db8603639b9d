"""A sender for the vectors: consents and envelopes of the NGO to the embassy, honest or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from exchange_keys.envelope import (
    EnvelopeDraft,
    Recipient,
    SealedEnvelope,
    regrant,
    seal_envelope,
    unlock_grant,
)
from exchange_keys.jws import sign
from exchange_keys.signing import SigningKey
from exchange_schemas import record
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.envelope import NO_PREVIOUS, TreeHead
from exchange_schemas.ids import ConsentId, Digest, EnvelopeId, FamilyId, ThreadId
from tests.vectors.recording.seeds import NOW, ORIGIN, an_id, digest, enc
from tests.vectors.recording.world import COMMISSION, EMBASSY, NGO, approver, envelope_key

Answer = dict[str, Any]
VALUES: dict[str, Any] = {
    "child_ref": an_id("child"),
    "last_seen": {"date": "2026-05", "text": "Bus station", "source": "seen_by_staff", "confidence": "low"},
    "sex": "female",
}
EMBASSY_ENC = enc("embassy enc")


@dataclass(frozen=True, slots=True)
class Sent:
    """An envelope and the consent that it rests on, ready to be given to the embassy."""

    envelope: SealedEnvelope
    consent: Any
    directory: TreeHead

    def answer(self, grant: int = 0) -> Answer:
        given = self.envelope.grants[grant]
        core = json_of(given.core)
        sealed = {name: path.read_bytes() for name, path in self.envelope.attachments.items()}
        sealed |= self.envelope.parts
        return {
            "core": b64u(given.core),
            "sealed": b64u(given.sealed),
            "manifest": self.envelope.manifest.to_json(),
            "parts": [
                {
                    "p": ref["p"],
                    "sha256": ref["sha256"],
                    "ct": b64u(sealed[Digest(ref["sha256"])]),
                }
                for ref in core["parts"]
            ],
            "consent": self.consent,
            "directory": {"size": self.directory.size, "checkpoint": ""},
        }


def json_of(data: bytes) -> Any:
    return json.loads(data)


def a_consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "cid": ConsentId(an_id("cid")),
        "family": FamilyId(an_id("family")),
        "iss": NGO,
        "rcp": EMBASSY,
        "pur": ("trace", "verify"),
        "fields": ("child_ref", "current_facility", "last_seen", "sex"),
        "authorities": (
            Authority(about="child", basis="best_interests_decision", evidence_digest=digest(b"evidence")),
        ),
        "screening": Screening(state="cleared", evidence_digest=digest(b"screening")),
        "nbf": NOW - timedelta(days=1),
        "exp": NOW + timedelta(days=60),
        "retention_days": 90,
        "subj": digest(b"subject"),
        "iat": NOW - timedelta(days=1),
        "record": ConsentRecord(schema_version="1"),
    }
    return Consent(**(values | changes))


class Sender:
    """Seals to the embassy as the NGO does, or as a dishonest NGO would."""

    def __init__(self, roots: list[str]) -> None:
        self.directory = TreeHead(size=len(roots), root=Digest(roots[-1]))

    def regranted(self) -> Sent:
        """The embassy gets its grant later than the commission, in a supplementary manifest."""
        return self.later(self.send(to={"agency": COMMISSION}).envelope)

    def later(self, first: SealedEnvelope, **changes: Any) -> Sent:
        """A supplementary manifest that grants to the embassy what `first` holds for its sender."""
        mine = unlock_grant(first.grants[-1].core, first.grants[-1].sealed, enc("ngo enc"))
        rests = a_consent()
        draft = EnvelopeDraft(**self._draft({}) | {"eid": EnvelopeId(json_of(first.grants[-1].core)["eid"])})
        values: dict[str, Any] = {
            "agency": EMBASSY,
            "kid": EMBASSY_ENC.public.kid,
            "enc_public_raw": EMBASSY_ENC.public.raw,
            "thread": ThreadId(an_id("thread")),
            "seq": 1,
            "prev": NO_PREVIOUS,
            "fields": ("child_ref", "last_seen", "sex"),
            "values": {"child_ref": record.encode_field("child_ref", VALUES["child_ref"])},
            "consent_digest": Digest(b64u(sha256(rests.to_bytes()))),
            "subj": rests.subj,
        }
        later = Recipient(**(values | changes))
        sealed = regrant(draft, mine, [later], envelope_key(NGO))
        parts = {**first.parts, **sealed.parts}
        given = sign(rests.to_bytes(), "hx-consent", [approver(NGO, "amal")])
        return Sent(replace(sealed, parts=parts), given.to_json(), self.directory)

    def _draft(self, values: Mapping[str, bytes]) -> dict[str, Any]:
        return {
            "origin": ORIGIN,
            "eid": EnvelopeId(an_id("eid")),
            "kind": "sighting",
            "sender": NGO,
            "purpose": "trace",
            "issued_at": NOW,
            "expires_at": NOW + timedelta(days=30),
            "directory": self.directory,
            "values": values,
        }

    def send(
        self,
        *,
        consent: Consent | None = None,
        approvers: tuple[SigningKey, ...] = (approver(NGO, "amal"),),
        fields: tuple[str, ...] = ("child_ref", "last_seen", "sex"),
        kind: str = "sighting",
        values: Mapping[str, bytes] | None = None,
        draft: Mapping[str, Any] | None = None,
        to: Mapping[str, Any] | None = None,
        own: Mapping[str, bytes] | None = None,
        mine: Mapping[str, Any] | None = None,
        spool: Path | None = None,
    ) -> Sent:
        rests = a_consent() if consent is None else consent
        plain = {name: record.encode_field(name, value) for name, value in VALUES.items()}
        plain |= values or {}
        recipient = {
            "agency": EMBASSY,
            "kid": EMBASSY_ENC.public.kid,
            "enc_public_raw": EMBASSY_ENC.public.raw,
            "thread": ThreadId(an_id("thread")),
            "seq": 1,
            "prev": NO_PREVIOUS,
            "fields": fields,
            "values": {"child_ref": plain["child_ref"]} if own is None else own,
            "consent_digest": Digest(b64u(sha256(rests.to_bytes()))),
            "subj": rests.subj,
            **(to or {}),
        }
        myself = Recipient(
            agency=NGO,
            kid=enc("ngo enc").public.kid,
            enc_public_raw=enc("ngo enc").public.raw,
            thread=ThreadId(an_id("thread")),
            seq=1,
            prev=NO_PREVIOUS,
        )
        myself = replace(myself, **(mine or {}))
        members: dict[str, Any] = {
            **self._draft(plain),
            "kind": kind,
            **(draft or {}),
        }
        if members["sender"] != NGO:
            myself = replace(myself, agency=members["sender"])
        sealed = seal_envelope(
            EnvelopeDraft(**members), [Recipient(**recipient)], myself, envelope_key(NGO), spool=spool
        )
        given = (
            None if recipient["consent_digest"] is None else sign(rests.to_bytes(), "hx-consent", approvers)
        )
        return Sent(sealed, None if given is None else given.to_json(), self.directory)
