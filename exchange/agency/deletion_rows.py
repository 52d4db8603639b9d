"""Deletions in the store: those this agency asked of others, and those others asked of it; one for a family.

States of one that was asked of another: due (the withdrawal counts, the request has not left) → asked →
answered. Of one that is owed to another: owed → held (kept by law until a day) → done; or owed → done. A
message that was deleted leaves its ids in `deleted`, so that it is never fetched or kept again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from exchange.agency import consent_rows, sent_rows
from exchange.agency.consent_rows import RECEIVED
from exchange.agency.model import Message
from exchange.agency.sent_rows import SentRow
from exchange.member.store import Store
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import Encodable, JsonValue, format_time, parse_time
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import AgencyId, ConsentId, EnvelopeId, FamilyId, GrantId

DUE, ASKED, ANSWERED = "due", "asked", "answered"
OWED, HELD, DONE = "owed", "held", "done"
REQUEST, RECEIPT = "deletion_request", "deletion_receipt"
_ASKED = "deletion_asked"
_OWED = "deletion_owed"
_DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class AskedDeletion:
    """A deletion that this agency asks of a recipient.

    `outcome` is the recipient's deletion_outcome; None while it has not answered.
    """

    family: FamilyId
    consent: ConsentId
    recipient: AgencyId
    reason: str
    state: str
    since: datetime
    outcome: Mapping[str, JsonValue] | None = None
    answered: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwedDeletion:
    """A deletion that another agency asked of this one; `gid` is its newest request."""

    family: FamilyId
    consent: ConsentId
    issuer: AgencyId
    gid: GrantId
    reason: str
    state: str
    since: datetime
    outcome: Mapping[str, JsonValue] | None = None
    keep_until: date | None = None


def put_asked(store: Store, row: AskedDeletion) -> None:
    """Keep one, in place of its older state."""
    value: dict[str, Encodable] = {
        "consent": row.consent,
        "recipient": row.recipient,
        "reason": row.reason,
        "state": row.state,
        "since": format_time(row.since),
        "outcome": row.outcome,
        "answered": None if row.answered is None else format_time(row.answered),
    }
    store.put(_ASKED, row.family, value)


def asked(store: Store, family: str) -> AskedDeletion | None:
    """The deletion asked for a family, or None."""
    value = store.get(_ASKED, family)
    return None if value is None else _asked(family, value)


def each_asked(store: Store) -> Iterator[AskedDeletion]:
    """All, oldest first."""
    return (_asked(family, value) for family, value in store.each(_ASKED))


def sent_requests(store: Store, row: AskedDeletion) -> list[SentRow]:
    """The request as often as it was sent."""
    return [one for one in sent_rows.found(store, "consent", row.consent) if one.kind == REQUEST]


def requests_of(store: Store, row: AskedDeletion) -> frozenset[EnvelopeId]:
    """The envelopes that carried the request."""
    return frozenset(one.eid for one in sent_requests(store, row))


def drop_asked(store: Store, family: str) -> None:
    """Nothing had been delivered: there is nothing to ask."""
    store.delete(_ASKED, family)


def put_owed(store: Store, row: OwedDeletion) -> None:
    """Keep one, in place of its older state."""
    value: dict[str, Encodable] = {
        "consent": row.consent,
        "issuer": row.issuer,
        "gid": row.gid,
        "reason": row.reason,
        "state": row.state,
        "since": format_time(row.since),
        "outcome": row.outcome,
        "keep_until": None if row.keep_until is None else row.keep_until.isoformat(),
    }
    store.put(_OWED, row.family, value)


def owed(store: Store, family: str) -> OwedDeletion | None:
    """The deletion owed for a family, or None."""
    value = store.get(_OWED, family)
    return None if value is None else _owed(family, value)


def each_owed(store: Store) -> Iterator[OwedDeletion]:
    """All, oldest first."""
    return (_owed(family, value) for family, value in store.each(_OWED))


def note_deleted(store: Store, message: Message, when: datetime) -> None:
    """Remember the ids of a message that is deleted; nothing else of it."""
    ids = {"eid": message.eid, "sender": message.sender, "kind": message.kind}
    store.put(_DELETED, message.gid, {**ids, "when": format_time(when)})


def note_unopened(store: Store, core: GrantCore, when: datetime) -> None:
    """The same of one that was brought here, and deleted before anybody had opened it."""
    ids = {"eid": core.eid, "sender": core.snd, "kind": core.kind}
    store.put(_DELETED, core.gid, {**ids, "when": format_time(when)})


def was_deleted(store: Store, gid: str) -> bool:
    """Whether a message was here and is deleted for good."""
    return store.get(_DELETED, gid) is not None


def _asked(family: str, value: Mapping[str, JsonValue]) -> AskedDeletion:
    try:
        answered = value["answered"]
        return AskedDeletion(
            family=FamilyId(family),
            consent=ConsentId(str(value["consent"])),
            recipient=AgencyId(str(value["recipient"])),
            reason=str(value["reason"]),
            state=str(value["state"]),
            since=parse_time(value["since"], field="since"),
            outcome=_outcome(value["outcome"]),
            answered=None if answered is None else parse_time(answered, field="answered"),
        )
    except KeyError as error:
        raise StoreCorrupt("a deletion in the local store cannot be read") from error


def _owed(family: str, value: Mapping[str, JsonValue]) -> OwedDeletion:
    try:
        until = value["keep_until"]
        return OwedDeletion(
            family=FamilyId(family),
            consent=ConsentId(str(value["consent"])),
            issuer=AgencyId(str(value["issuer"])),
            gid=GrantId(str(value["gid"])),
            reason=str(value["reason"]),
            state=str(value["state"]),
            since=parse_time(value["since"], field="since"),
            outcome=_outcome(value["outcome"]),
            keep_until=None if until is None else date.fromisoformat(str(until)),
        )
    except (KeyError, ValueError) as error:
        raise StoreCorrupt("a deletion in the local store cannot be read") from error


def _outcome(value: JsonValue) -> Mapping[str, JsonValue] | None:
    return value if isinstance(value, dict) else None


def locked(store: Store, message: Message) -> bool:
    """Whether a kept message may not be looked at any more: its consent was withdrawn."""
    if message.consent is None or not holds_record(message):
        return False
    row = consent_rows.get(store, RECEIVED, message.consent)
    if row is None:
        return False
    return row.status == consent_rows.WITHDRAWN or owed(store, row.consent.family) is not None


def holds_record(message: Message) -> bool:
    """Whether a message carries fields of a record, which rest on a consent."""
    return load_catalogue().kind(message.kind).authority == "consent"
