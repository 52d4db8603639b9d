"""What this agency has sent: one row in the store for each grant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, GrantId, Kid, ThreadId, check_kid

COLLECTION = "sent"


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """The sender's own grant of an envelope: from it, and from nothing else, it can grant again."""

    gid: GrantId
    digest: Digest


@dataclass(frozen=True, slots=True)
class SentRow:
    """One grant that the hub has taken. `content` are its message fields, `fields` the names of all parts.

    `kid` is the key it is sealed to and `expires` its end; with `own`, None in rows of an older version.
    `again` is the grant that was given in its place, to a newer key.
    `steps`: the steps that a document_step told, so that they can be shown in their order.
    `entry`: the id of the deposit's entry in the audit log; None in rows of an older version.
    """

    gid: GrantId
    eid: EnvelopeId
    kind: str
    recipient: AgencyId
    thread: ThreadId
    purpose: str
    seq: int
    digest: Digest
    record: str | None
    cid: str | None
    fields: tuple[str, ...]
    content: Mapping[str, JsonValue]
    in_reply_to: EnvelopeId | None
    sent_at: datetime
    kid: Kid | None = None
    expires: datetime | None = None
    own: OwnGrant | None = None
    again: GrantId | None = None
    reply_by: datetime | None = None
    supersedes: EnvelopeId | None = None
    steps: Mapping[str, JsonValue] = field(default_factory=dict)
    entry: str | None = None


def put(store: Store, row: SentRow) -> None:
    """Keep one grant."""
    lookups: list[tuple[str, str]] = [("eid", row.eid), ("thread", row.thread), ("kind", row.kind)]
    if row.in_reply_to is not None:
        lookups.append(("reply", row.in_reply_to))
    if row.supersedes is not None:
        lookups.append(("supersedes", row.supersedes))
    if row.record is not None:
        lookups.append(("record", row.record))
    if row.kid is not None:
        lookups.append(("kid", row.kid))
    if row.cid is not None:
        lookups.append(("consent", row.cid))
    store.put(
        COLLECTION,
        row.gid,
        {
            "eid": row.eid,
            "kind": row.kind,
            "recipient": row.recipient,
            "thread": row.thread,
            "purpose": row.purpose,
            "seq": row.seq,
            "digest": row.digest,
            "record": row.record,
            "cid": row.cid,
            "fields": list(row.fields),
            "content": row.content,
            "in_reply_to": row.in_reply_to,
            "sent_at": format_time(row.sent_at),
            "kid": row.kid,
            "expires": None if row.expires is None else format_time(row.expires),
            "own": None if row.own is None else {"gid": row.own.gid, "digest": row.own.digest},
            "again": row.again,
            "reply_by": None if row.reply_by is None else format_time(row.reply_by),
            "supersedes": row.supersedes,
            "steps": row.steps,
            "entry": row.entry,
        },
        lookups=lookups,
    )


def get(store: Store, gid: str) -> SentRow | None:
    """One grant, or None."""
    value = store.get(COLLECTION, gid)
    return None if value is None else _row(gid, value)


def each(store: Store) -> Iterator[SentRow]:
    """All, oldest first."""
    return (_row(gid, value) for gid, value in store.each(COLLECTION))


def found(store: Store, name: str, text: str) -> list[SentRow]:
    """Those of an envelope (`eid`), a `thread`, a `record`, a `consent` or a `kind`; sealed to a key (`kid`);
    in `reply` to an envelope, or that an envelope `supersedes`."""
    return [_row(gid, value) for gid, value in store.found(COLLECTION, name, text)]


def _row(gid: str, value: Mapping[str, JsonValue]) -> SentRow:
    try:
        return _read(gid, value)
    except (KeyError, TypeError) as error:
        raise StoreCorrupt("a sent message in the local store cannot be read") from error


def _read(gid: str, value: Mapping[str, JsonValue]) -> SentRow:
    seq, fields, content = value["seq"], value["fields"], value["content"]
    if not isinstance(seq, int) or not isinstance(fields, list) or not isinstance(content, dict):
        raise TypeError
    record, cid, reply = value["record"], value["cid"], value["in_reply_to"]
    kid, expires, own, again = (value.get(name) for name in ("kid", "expires", "own", "again"))
    reply_by, supersedes, steps = value.get("reply_by"), value.get("supersedes"), value.get("steps")
    return SentRow(
        gid=GrantId(gid),
        eid=EnvelopeId(str(value["eid"])),
        kind=str(value["kind"]),
        recipient=AgencyId(str(value["recipient"])),
        thread=ThreadId(str(value["thread"])),
        purpose=str(value["purpose"]),
        seq=seq,
        digest=Digest(str(value["digest"])),
        record=None if record is None else str(record),
        cid=None if cid is None else str(cid),
        fields=tuple(str(name) for name in fields),
        content=content,
        in_reply_to=None if reply is None else EnvelopeId(str(reply)),
        sent_at=parse_time(value["sent_at"], field="sent_at"),
        kid=None if kid is None else check_kid(kid, field="kid"),
        expires=None if expires is None else parse_time(expires, field="expires"),
        own=OwnGrant(GrantId(str(own["gid"])), Digest(str(own["digest"]))) if isinstance(own, dict) else None,
        again=None if again is None else GrantId(str(again)),
        reply_by=None if reply_by is None else parse_time(reply_by, field="reply_by"),
        supersedes=None if supersedes is None else EnvelopeId(str(supersedes)),
        steps=steps if isinstance(steps, dict) else {},
        entry=None if value.get("entry") is None else str(value["entry"]),
    )
