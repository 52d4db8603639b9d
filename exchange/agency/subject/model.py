"""What a subject report holds: frozen values, no behaviour. The page and the JSON are made from these alone.

Values of the record are in `Held.values` alone, and only when they were asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.agency.printed import Printed
from exchange.agency.record_rows import Change
from exchange.agency.timeline import TimelineItem
from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, GrantId, ThreadId


@dataclass(frozen=True, slots=True)
class Held:
    """The record as this agency holds it: names of its fields, its history; `values` only where asked for."""

    ref: str
    source: str
    added: datetime
    changed: datetime
    fields: tuple[str, ...]
    history: tuple[Change, ...]
    values: Mapping[str, JsonValue] | None


@dataclass(frozen=True, slots=True)
class Given:
    """One grant that left this agency. `fields` are fields of the record, `said` the message's own.

    `outcome` is what the recipient signed (opened or refused, with a code); None: not known here.
    `state` is what the hub last said of it: waiting, fetched, receipted or dead; None: never asked.
    `again`: the grant that replaced it, for a newer key of the same agency. `entry`: the log's entry.
    """

    when: datetime
    gid: GrantId
    eid: EnvelopeId
    to: AgencyId
    kind: str
    purpose: str
    thread: ThreadId
    fields: tuple[str, ...]
    said: tuple[str, ...]
    consent: ConsentId | None
    expires: datetime | None
    state: str | None
    outcome: str | None
    outcome_at: datetime | None
    outcome_code: str | None
    again: GrantId | None
    entry: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """One message about the child that this agency opened, and until when it may keep it."""

    when: datetime
    gid: GrantId
    eid: EnvelopeId
    sender: AgencyId
    kind: str
    purpose: str
    thread: ThreadId | None
    fields: tuple[str, ...]
    consent: ConsentId | None
    keep_until: datetime | None
    entry: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The recipient's signed answer to a request for a deletion; `manifest` is its signed bytes' digest."""

    outcome: Mapping[str, JsonValue]
    when: datetime
    gid: GrantId
    manifest: Digest


@dataclass(frozen=True, slots=True)
class Ended:
    """A withdrawal or revocation. `signers` are key ids.

    `deletion` is none (nothing had been delivered), due, asked or answered; `asked` since when.
    """

    reason: str
    when: datetime
    signers: tuple[str, ...]
    deletion: str
    asked: datetime | None
    answers: tuple[Answered, ...]
    entry: str | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """One consent. `bases` by whose data it is; `signers` are key ids; `own`: granted by this agency."""

    cid: ConsentId
    issuer: AgencyId
    recipient: AgencyId
    own: bool
    status: str
    purposes: tuple[str, ...]
    fields: tuple[str, ...]
    bases: Mapping[str, str]
    screening: str
    not_before: datetime
    expires: datetime
    retention_days: int
    supersedes: ConsentId | None
    digest: Digest
    signers: tuple[str, ...]
    ended: Ended | None
    entry: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry of the hub's audit log: its bytes (base64url) and its C2SP tlog-proof."""

    id: str
    act: str
    outcome: str
    at: datetime
    index: int
    entry: str
    proof: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """One agency in short: what it was ever sent, when, and where that stands now.

    `fields` are those of the messages that it has fetched, or may have; `unfetched` counts the others, by the
    hub's word. `state`: allowed (a consent is in force), ended, or withdrawn; `deletion` as in `Ended`, else
    none.
    """

    agency: AgencyId
    name: str
    kind: str
    messages: int
    unfetched: int
    fields: tuple[str, ...]
    first: datetime
    last: datetime
    state: str
    deletion: str


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """Everything. `held` is None for a report on a thread in which this agency holds no record."""

    origin: str
    agency: AgencyId
    agency_name: str
    made: datetime
    made_by: str
    log_key: str
    subject: str
    held: Held | None
    recipients: tuple[Recipient, ...]
    given: tuple[Given, ...]
    consents: tuple[Agreed, ...]
    printed: tuple[Printed, ...]
    received: tuple[Received, ...]
    timeline: tuple[TimelineItem, ...]
    proofs: tuple[Proof, ...]
