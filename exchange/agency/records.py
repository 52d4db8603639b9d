"""The children's records of this agency: added, edited, found, decided upon; encrypted on this machine.

A record is a flat object of catalogue fields with its source's sharing flags and a history of field names.
`child_ref` is never stored: it is made for every recipient. Nothing here talks to a network.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from exchange.agency import photo as photos
from exchange.agency import record_rows as rows
from exchange.agency import withholding
from exchange.agency.entering import checked, entered, normal
from exchange.agency.model import ImportLine, Record, Release
from exchange.agency.record_rows import COLLECTION, Change
from exchange.agency.release import DECISION, Sendable, sendable
from exchange.agency.search import matches
from exchange.member import stored_files
from exchange.member.files import read_bounded
from exchange.member.session import Session
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u, lp, sha256
from exchange_schemas.errors import RecordUnknown

PHOTOS = "photo"
ENTERED = "entered"
DECISION_DAYS = 180
DOCUMENT_BYTES = 64 * 1024 * 1024
MIN_PREFIX = 4


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """What a record may be sent for, who changed what, and texts to be transcribed by hand."""

    sendable: Sendable
    history: tuple[Change, ...]
    to_transcribe: tuple[tuple[str, str], ...]
    same_person: tuple[str, ...]
    """References of records that their source says are about the same person: a hint for a caseworker."""


class Records:
    """All methods raise StoreLocked, StorageFull and StoreCorrupt besides what each names."""

    def __init__(self, session: Session) -> None:
        """Use `Client.records`."""
        self._session = session
        self._store = session.store

    def add(self, fields: Mapping[str, JsonValue], *, source: str = ENTERED) -> Record:
        """Keep a new record. Raises: Malformed naming the field and the rule; NotPermitted for child_ref."""
        record = self._new(fields, Release(load_catalogue().purposes), source)
        rows.save(self._store, record, [self._change("added", record.fields)])
        return record

    def edit(self, ref: str, fields: Mapping[str, JsonValue], *, unset: Sequence[str] = ()) -> Record:
        """Set `fields`, take `unset` out. Raises: RecordUnknown, Malformed, NotPermitted."""
        with self._store.writing():
            row = self._row(ref)
            kept = {name: value for name, value in row.record.fields.items() if name not in unset}
            changed = {**kept, **entered(fields)}
            names = sorted({*fields, *(name for name in unset if name in row.record.fields)})
            if "photo" in unset:
                stored_files.delete(self._store, PHOTOS, row.record.ref)
            return rows.change(
                self._store,
                row,
                changed,
                self._change("edited", names),
                edited=names,
                now=self._now(),
            )

    def get(self, ref: str) -> Record:
        """The record of that reference, or of a beginning of at least 4 characters that is unique.

        Raises: RecordUnknown.
        """
        return self._row(ref).record

    def detail(self, ref: str) -> RecordDetail:
        """What `record show` tells besides the fields. Raises: RecordUnknown."""
        row = self._row(ref)
        same = tuple(
            other for key in row.same_person for other, _ in self._store.found(COLLECTION, rows.SOURCE, key)
        )
        return RecordDetail(self.sendable(row.record), row.history, row.to_transcribe, same)

    def sendable(self, record: Record) -> Sendable:
        """What the record may be sent for today, before any consent."""
        today = self._session.now().date()
        return sendable(record.fields, record.release, today, load_catalogue().purposes)

    def withheld_from(self, ref: str) -> tuple[str, ...]:
        """Who must never learn of the record: agencies, `kind:…`, `country:…`. Raises: RecordUnknown."""
        return withholding.of_record(self._store, self.get(ref).ref).entries

    def withhold(self, ref: str, *who: str, lift: bool = False) -> tuple[str, ...]:
        """Put agencies, kinds or countries on the record's withhold list; `lift` takes them off.

        Anybody may add; only an approver lifts. Consents that were given before stay: withdraw them.
        Raises: RecordUnknown, Malformed, NotPermitted.
        """
        record, entries = self.get(ref), [withholding.check_entry(one) for one in who]
        if lift:
            self._session.require_approver()
            return withholding.change(self._store, record.ref, lift=entries).entries
        return withholding.change(self._store, record.ref, add=entries).entries

    def each(self) -> Iterator[Record]:
        """All records, oldest first; memory stays flat."""
        for ref, value in self._store.each(COLLECTION):
            yield rows.from_json(ref, value).record

    def count(self) -> int:
        """How many records there are."""
        return self._store.count(COLLECTION)

    def find(self, words: str) -> Iterator[Record]:
        """Records that hold every word, whatever the case and accents."""
        return (record for record in self.each() if matches(record, words))

    def matches(self, record: Record, words: str) -> bool:
        """Whether a record holds every word."""
        return matches(record, words)

    def decide(
        self,
        ref: str,
        *,
        procedure: str,
        outcome: str,
        body: str,
        on: date | None = None,
        valid_until: date | None = None,
        document: Path | None = None,
    ) -> Record:
        """Write the best-interests decision; valid for 180 days unless said otherwise.

        Of `document` (the minutes) only a salted digest is kept. Raises: RecordUnknown, Malformed.
        """
        day = self._session.now().date() if on is None else on
        until = day + timedelta(days=DECISION_DAYS) if valid_until is None else valid_until
        minutes = (
            body.encode()
            if document is None
            else read_bounded(document, limit=DOCUMENT_BYTES, what="document")
        )
        decision: dict[str, JsonValue] = {
            "procedure": procedure,
            "date": day.isoformat(),
            "body": body,
            "outcome": outcome,
            "valid_until": until.isoformat(),
            "document_digest": b64u(sha256(lp(b"hx1/decision", secrets.token_bytes(32), minutes))),
        }
        with self._store.writing():
            return self._set(self._row(ref), DECISION, decision, "decided")

    def attach_photo(self, ref: str, path: Path, *, taken_on: str | None = None) -> Record:
        """Re-encode the picture (no EXIF, no GPS) and keep it with the record, in place of an older one.

        Raises: RecordUnknown, PhotoRefused, Malformed (taken_on).
        """
        picture = photos.reencode(path)
        descriptor: dict[str, JsonValue] = {
            "media_type": "image/jpeg",
            "width": picture.width,
            "height": picture.height,
            "bytes": len(picture.jpeg),
            "sha256": b64u(picture.sha256),
        }
        if taken_on is not None:
            descriptor["taken_on"] = taken_on
        with self._store.writing():
            row = self._row(ref)
            stored_files.keep(self._store, PHOTOS, row.record.ref, picture.jpeg)
            return self._set(row, "photo", descriptor, "photographed")

    def photo(self, ref: str) -> bytes | None:
        """The record's JPEG bytes, or None. Raises: RecordUnknown."""
        found = stored_files.find(self._store, PHOTOS, self.get(ref).ref)
        return None if found is None else found.read()

    def import_file(self, path: Path, *, locations: Path | None = None) -> Iterator[ImportLine]:
        """Import PFIF XML or a Primero case list; one line for each record of the file, as it is kept.

        The same source record again updates ours, but never what was edited here. Raises: ImportUnreadable;
        lines yielded before that are kept.
        """
        from exchange.agency.imported import Importer  # readers of XML and lists of countries: rarely needed

        return Importer(self._store, self._session.user, self._session.now).run(path, locations)

    def _new(self, fields: Mapping[str, JsonValue], release: Release, source: str) -> Record:
        now = self._now()
        return Record(rows.new_ref(), entered(fields), release, source, now, now)

    def _set(self, row: rows.Row, name: str, value: JsonValue, what: str) -> Record:
        fields = {**row.record.fields, **checked({name: normal(value)})}
        change = self._change(what, [name])
        return rows.change(self._store, row, fields, change, edited=[name], now=self._now())

    def _now(self) -> datetime:
        return self._session.now().replace(microsecond=0)

    def _change(self, what: str, names: Sequence[str] | Mapping[str, object]) -> Change:
        return Change(self._now(), self._session.user, what, tuple(sorted(names)))

    def _row(self, ref: str) -> rows.Row:
        value = self._store.get(COLLECTION, ref)
        if value is not None:
            return rows.from_json(ref, value)
        if len(ref) >= MIN_PREFIX:
            found = [(full, row) for full, row in self._store.each(COLLECTION) if full.startswith(ref)]
            if len(found) == 1:
                return rows.from_json(*found[0])
            if found:
                raise RecordUnknown("several records begin like this", hint="give more of the reference")
        raise RecordUnknown("there is no such record", hint="see `exchange-agency record list`")
