"""Opened messages in the store: what was verified and opened, with the bytes that prove who sent it.

Only `receiving` writes here, and only after every check has passed; `deletions` deletes. Photos lie apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exchange.agency.model import Message, Picture
from exchange.member import stored_files
from exchange.member.store import Store
from exchange.member.stored_files import StoredFile
from exchange_keys.attachments import Sink
from exchange_schemas.codec import Encodable, JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import AgencyId, ConsentId, EnvelopeId, GrantId, ThreadId

COLLECTION = "message"
PHOTOS = "message_photo"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The signed and sealed bytes as they came, base64url and JWS: proof towards an auditor.

    `entry`: the id of the fetch's entry in the audit log; None in rows of an older version.
    """

    core: str
    sealed: str
    manifest: Mapping[str, JsonValue]
    entry: str | None = None


def put(store: Store, message: Message, evidence: Evidence) -> None:
    """Keep one opened message; its photo was kept before."""
    lookups: list[tuple[str, str]] = [("eid", message.eid), ("kind", message.kind)]
    if message.in_reply_to is not None:
        lookups.append(("reply", message.in_reply_to))
    if message.thread is not None:
        lookups.append(("thread", message.thread))
    if message.consent is not None:
        lookups.append(("consent", message.consent))
    value: dict[str, Encodable] = {
        "eid": message.eid,
        "kind": message.kind,
        "sender": message.sender,
        "thread": message.thread,
        "purpose": message.purpose,
        "issued": format_time(message.issued),
        "expires": format_time(message.expires),
        "seq": message.seq,
        "consent": message.consent,
        "keep_until": None if message.keep_until is None else format_time(message.keep_until),
        "fields": message.fields,
        "content": message.content,
        "alarms": list(message.alarms),
        "in_reply_to": message.in_reply_to,
        "reply_by": None if message.reply_by is None else format_time(message.reply_by),
        "supersedes": message.supersedes,
        "evidence": {
            "core": evidence.core,
            "sealed": evidence.sealed,
            "manifest": evidence.manifest,
            "entry": evidence.entry,
        },
    }
    store.put(COLLECTION, message.gid, value, lookups=lookups)


class Photo(Protocol):
    """A photo that can be opened once more."""

    def open_into(self, sink: Sink) -> None:
        """Write its bytes, in pieces."""


def keep_photo(store: Store, gid: str, photo: Photo) -> Picture:
    """Keep the photo of a message, in pieces. Raises: what `photo` raises; then nothing of it is kept."""
    with store.writing():
        writer = stored_files.Writer(store, PHOTOS, gid)
        photo.open_into(writer)
        kept = writer.finish()
    return Picture(kept.size, kept.sha256)


def photo_of(store: Store, gid: str) -> StoredFile | None:
    """The photo of an opened message, or None."""
    return stored_files.find(store, PHOTOS, gid)


def get(store: Store, gid: str) -> Message | None:
    """One opened message, or None."""
    value = store.get(COLLECTION, gid)
    return None if value is None else _message(store, gid, value)


def evidence(store: Store, gid: str) -> Evidence | None:
    """The bytes that prove an opened message, or None."""
    value = store.get(COLLECTION, gid)
    found = None if value is None else value.get("evidence")
    if not isinstance(found, dict) or not isinstance(found.get("manifest"), dict):
        return None
    manifest, entry = found["manifest"], found.get("entry")
    return Evidence(
        str(found["core"]),
        str(found["sealed"]),
        manifest if isinstance(manifest, dict) else {},
        None if entry is None else str(entry),
    )


def each(store: Store) -> Iterator[Message]:
    """All opened messages, oldest first."""
    return (_message(store, gid, value) for gid, value in store.each(COLLECTION))


def found(store: Store, name: str, text: str) -> list[Message]:
    """Those of an envelope (`eid`), a `thread`, a `consent` or a `kind`, or in `reply` to an envelope."""
    return [_message(store, gid, value) for gid, value in store.found(COLLECTION, name, text)]


def delete(store: Store, gid: str) -> None:
    """Forget one message, its photo and its sealed bytes."""
    with store.writing():
        store.delete(COLLECTION, gid)
        stored_files.delete(store, PHOTOS, gid)


def _message(store: Store, gid: str, value: Mapping[str, JsonValue]) -> Message:
    try:
        photo = photo_of(store, gid)
        return _read(gid, value, None if photo is None else Picture(photo.size, photo.sha256))
    except (KeyError, TypeError) as error:
        raise StoreCorrupt("a message in the local store cannot be read") from error


def _read(gid: str, value: Mapping[str, JsonValue], photo: Picture | None) -> Message:
    seq, fields, content, alarms = value["seq"], value["fields"], value["content"], value["alarms"]
    thread, consent, keep = value["thread"], value["consent"], value["keep_until"]
    if not isinstance(seq, int) or not isinstance(fields, dict) or not isinstance(content, dict):
        raise TypeError
    if not isinstance(alarms, list):
        raise TypeError
    return Message(
        gid=GrantId(gid),
        eid=EnvelopeId(str(value["eid"])),
        kind=str(value["kind"]),
        sender=AgencyId(str(value["sender"])),
        thread=None if thread is None else ThreadId(str(thread)),
        purpose=str(value["purpose"]),
        issued=parse_time(value["issued"], field="issued"),
        expires=parse_time(value["expires"], field="expires"),
        seq=seq,
        consent=None if consent is None else ConsentId(str(consent)),
        keep_until=None if keep is None else parse_time(keep, field="keep_until"),
        fields=fields,
        content=content,
        photo=photo,
        alarms=tuple(str(text) for text in alarms),
        reply_by=_time(value.get("reply_by")),
        in_reply_to=_eid(value.get("in_reply_to")),
        supersedes=_eid(value.get("supersedes")),
    )


def _time(value: JsonValue) -> datetime | None:
    return None if value is None else parse_time(value, field="reply_by")


def _eid(value: JsonValue) -> EnvelopeId | None:
    return None if value is None else EnvelopeId(str(value))
