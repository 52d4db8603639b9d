"""The nouns that the SDK hands out: records, consents, messages, what was sent. Frozen values, no behaviour.

Values of a child's record live only in `fields` and `photo`; nothing else here may hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, GrantId, Kid, ThreadId


@dataclass(frozen=True, slots=True)
class Release:
    """What the record's source says about sharing.

    `purposes` may be sent for; with `needs_basis` only after a best-interests decision for sharing;
    `withheld` names the source's rule that forbids any sending.
    """

    purposes: tuple[str, ...]
    needs_basis: bool = False
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One child's record in the local store. `ref` is a random local id and is never sent."""

    ref: str
    fields: Mapping[str, JsonValue]
    release: Release
    source: str
    added: datetime
    changed: datetime


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What became of one record of an imported file; never a value of it.

    `outcome` is `imported`, `updated`, `unchanged` or `refused`. `left_out` are (field, why).
    """

    position: int
    outcome: str
    ref: str | None = None
    rule: str | None = None
    field: str | None = None
    reason: str | None = None
    release: Release | None = None
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentInfo:
    """One consent as this agency knows it. `status` is active, withdrawn, superseded or expired."""

    cid: ConsentId
    family: FamilyId
    issuer: AgencyId
    recipient: AgencyId
    purposes: tuple[str, ...]
    fields: tuple[str, ...]
    not_before: datetime
    expires: datetime
    status: str
    digest: Digest
    record: str | None
    vital_interest: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The hub's answer to a withdrawal: what was stopped and what had left already (numbers of grants)."""

    family: FamilyId
    effective: datetime
    undelivered: int
    delivered: int


@dataclass(frozen=True, slots=True)
class SentGrant:
    """What one recipient was given: field names only."""

    gid: GrantId
    recipient: AgencyId
    seq: int
    digest: Digest
    fields: tuple[str, ...]
    thread: ThreadId | None


@dataclass(frozen=True, slots=True)
class Sent:
    """One envelope that the hub has taken. `receipt` is the id of its entry in the audit log."""

    eid: EnvelopeId
    kind: str
    grants: tuple[SentGrant, ...]
    receipt: str | None


@dataclass(frozen=True, slots=True)
class Withheld:
    """What would not be given: the part (None: the whole), rule and code, why, what would make it lawful."""

    field: str | None
    rule: str
    code: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A dry run for one recipient: which fields of the record it would receive, and why not the rest.

    `refused`: what keeps the message from going as it stands, None when it would go.
    """

    recipient: AgencyId
    kind: str
    consent: ConsentId | None
    purpose: str | None
    thread: ThreadId | None
    given: tuple[str, ...]
    withheld: tuple[Withheld, ...]
    refused: Withheld | None


@dataclass(frozen=True, slots=True)
class Spooled:
    """One envelope that was sealed and is not known to have arrived."""

    job: str
    eid: EnvelopeId
    kind: str
    recipients: tuple[AgencyId, ...]
    sealed_at: datetime
    last_error: str | None


UNOPENED: Final = ("waiting", "fetched")
"""The states of a grant that its recipient has not answered yet."""


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One grant waiting at the hub. `state` is waiting, fetched, receipted or dead; `kid` it is sealed to."""

    gid: GrantId
    eid: EnvelopeId
    kind: str
    sender: AgencyId
    thread: ThreadId | None
    purpose: str
    issued: datetime
    expires: datetime
    seq: int
    digest: Digest
    state: str
    kid: Kid | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG that came with a message: its length in bytes and SHA-256 in hexadecimal.

    `Client.photo` reads it; nothing here has decoded it.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Message:
    """One opened and verified grant: every check of "The recipient" has passed.

    `fields` holds record fields, `content` message fields, `photo` what `Client.photo` reads. `alarms` are
    sentences that a person must read (a gap in this sender's chain). `in_reply_to`, `supersedes`: envelopes.
    """

    gid: GrantId
    eid: EnvelopeId
    kind: str
    sender: AgencyId
    thread: ThreadId | None
    purpose: str
    issued: datetime
    expires: datetime
    seq: int
    consent: ConsentId | None
    keep_until: datetime | None
    fields: Mapping[str, JsonValue]
    content: Mapping[str, JsonValue]
    photo: Picture | None
    alarms: tuple[str, ...] = ()
    reply_by: datetime | None = None
    in_reply_to: EnvelopeId | None = None
    supersedes: EnvelopeId | None = None


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One grant that this agency sent, as the hub shows it; `opened` is the recipient's signed outcome."""

    gid: GrantId
    eid: EnvelopeId
    kind: str
    recipient: AgencyId
    thread: ThreadId | None
    seq: int
    state: str
    outcome: str | None
    outcome_code: str | None
    kid: Kid | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a `sync` found. `alarms` are sentences that a person must read, `due` what waits for somebody."""

    directory_size: int
    new_events: int
    consents: int
    receipts: int
    alarms: tuple[str, ...]
    due: tuple[str, ...] = ()
