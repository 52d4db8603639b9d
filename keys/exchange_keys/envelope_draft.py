"""What goes into sealing an envelope and what comes out, and who may stand in it.

Plain values; nothing here seals. A draft that names an agency twice, or a key under another kid, is refused
before anything is sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from exchange_keys.attachments import Source
from exchange_keys.grants import SealedGrant
from exchange_keys.jws import Signed
from exchange_keys.public import X_WING, kid_of
from exchange_schemas.envelope import TreeHead
from exchange_schemas.errors import FieldDenied, KidUnknown, Malformed, RecipientDenied
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, Kid, ThreadId
from exchange_schemas.limits import LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeDraft:
    """What all grants of an envelope share.

    `values`: field name → plaintext bytes (`record.encode_field` or `message.encode_field`).
    `attachments`: field name → file or other source. Only what a recipient is granted is sealed. Times are
    aware UTC.
    `directory`: the sender's position in the key directory.
    """

    origin: str
    eid: EnvelopeId
    kind: str
    sender: AgencyId
    purpose: str
    issued_at: datetime
    expires_at: datetime
    directory: TreeHead
    values: Mapping[str, bytes] = field(repr=False)
    attachments: Mapping[str, Path | Source] = field(default_factory=dict)
    reply_by: datetime | None = None
    in_reply_to: EnvelopeId | None = None
    supersedes: EnvelopeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One grant: who gets which fields, on what authority, as which link of the chain to that agency.

    `kid` and `enc_public_raw` (1,216 bytes) are the recipient's active `enc` key. `seq` and `prev` follow
    the last grant from this sender to this recipient. `values` holds the fields that the catalogue marks
    `per_recipient`. `purpose` and `expires_at` replace the draft's where they differ.
    The sender's own recipient needs no `fields`: it gets every shared part and its own `values`.
    """

    agency: AgencyId
    kid: Kid
    enc_public_raw: bytes
    thread: ThreadId
    seq: int
    prev: Digest
    fields: Sequence[str] = ()
    consent_digest: Digest | None = None
    subj: Digest | None = None
    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    purpose: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedEnvelope:
    """What is sent: the manifest, the grants, ciphertexts by digest, sealed attachment files by digest."""

    manifest: Signed
    grants: tuple[SealedGrant, ...]
    parts: Mapping[Digest, bytes]
    attachments: Mapping[Digest, Path]


def check_recipients(recipients: Sequence[Recipient]) -> None:
    """1 to 64 different agencies, each with a key that has its kid and with no field twice.

    Raises: Malformed, RecipientDenied, KidUnknown, FieldDenied.
    """
    if not 1 <= len(recipients) <= LIMITS.recipients_per_envelope:
        raise Malformed("recipients: too many or none", field="recipients")
    if len({recipient.agency for recipient in recipients}) != len(recipients):
        raise RecipientDenied("rcp: an agency stands there twice", field="rcp")
    for recipient in recipients:
        check_recipient(recipient)


def check_recipient(recipient: Recipient) -> None:
    """The key has its kid, and no field stands there twice. Raises: KidUnknown, FieldDenied."""
    if kid_of(X_WING, recipient.enc_public_raw) != recipient.kid:
        raise KidUnknown("rcp_kid: the kid is not that of the key", field="rcp_kid")
    if len(set(recipient.fields)) != len(recipient.fields):
        raise FieldDenied("fields: a field stands there twice", field="fields")
