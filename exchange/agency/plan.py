"""What is to be sent, decided and complete, before anything is sealed: a value that can wait in the spool.

It holds a snapshot of the fields, so that sealing again after a conflict sends what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange_schemas.codec import Encodable, JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, ThreadId


@dataclass(frozen=True, slots=True)
class PlannedGrant:
    """One recipient's share. `own` holds the values that only this recipient gets (references)."""

    agency: AgencyId
    cid: str | None
    consent_digest: Digest | None
    subj: Digest | None
    purpose: str
    fields: tuple[str, ...]
    own: Mapping[str, JsonValue]
    thread: ThreadId
    expires: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """One envelope. `values` are the shared record and message fields by name."""

    kind: str
    record: str | None
    values: Mapping[str, JsonValue]
    grants: tuple[PlannedGrant, ...]
    reply_by: datetime | None = None
    in_reply_to: EnvelopeId | None = None
    supersedes: EnvelopeId | None = None

    def to_json(self) -> dict[str, Encodable]:
        """For the spool."""
        return {
            "kind": self.kind,
            "record": self.record,
            "values": self.values,
            "reply_by": None if self.reply_by is None else format_time(self.reply_by),
            "in_reply_to": self.in_reply_to,
            "supersedes": self.supersedes,
            "grants": [
                {
                    "agency": one.agency,
                    "cid": one.cid,
                    "consent_digest": one.consent_digest,
                    "subj": one.subj,
                    "purpose": one.purpose,
                    "fields": list(one.fields),
                    "own": one.own,
                    "thread": one.thread,
                    "expires": format_time(one.expires),
                }
                for one in self.grants
            ],
        }

    @classmethod
    def from_json(cls, value: JsonValue) -> Plan:
        """Read back. Raises: StoreCorrupt."""
        try:
            return _plan(value)
        except (KeyError, TypeError) as error:
            raise StoreCorrupt("the spool holds a job that cannot be read") from error


def _plan(value: JsonValue) -> Plan:
    whole = _object(value)
    grants = whole["grants"]
    if not isinstance(grants, list):
        raise TypeError
    reply_by, in_reply_to, supersedes = whole["reply_by"], whole["in_reply_to"], whole.get("supersedes")
    return Plan(
        kind=str(whole["kind"]),
        record=_optional(whole["record"]),
        values=_object(whole["values"]),
        grants=tuple(_grant(_object(one)) for one in grants),
        reply_by=None if reply_by is None else parse_time(reply_by, field="reply_by"),
        in_reply_to=None if in_reply_to is None else EnvelopeId(str(in_reply_to)),
        supersedes=None if supersedes is None else EnvelopeId(str(supersedes)),
    )


def _grant(value: dict[str, JsonValue]) -> PlannedGrant:
    fields, digest, subj = value["fields"], _optional(value["consent_digest"]), _optional(value["subj"])
    if not isinstance(fields, list):
        raise TypeError
    return PlannedGrant(
        agency=AgencyId(str(value["agency"])),
        cid=_optional(value["cid"]),
        consent_digest=None if digest is None else Digest(digest),
        subj=None if subj is None else Digest(subj),
        purpose=str(value["purpose"]),
        fields=tuple(str(name) for name in fields),
        own=_object(value["own"]),
        thread=ThreadId(str(value["thread"])),
        expires=parse_time(value["expires"], field="expires"),
    )


def _object(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _optional(value: JsonValue) -> str | None:
    return None if value is None else str(value)
