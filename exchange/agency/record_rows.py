"""How a record lies in the store: the record, its history, what its source said.

The history names fields, never values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.agency.model import Record, Release
from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import new_id

COLLECTION = "record"
SOURCE = "source"
HISTORY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a record's history: when, which user, what was done, to which fields."""

    when: datetime
    user: str
    what: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A record and what is kept beside it. `edited` fields are left alone by imports.

    `same_person`: source keys of records that the source says are about the same person; a hint, no more.
    """

    record: Record
    history: tuple[Change, ...]
    source_key: str | None = None
    imported: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    to_transcribe: tuple[tuple[str, str], ...] = ()
    same_person: tuple[str, ...] = ()


def new_ref() -> str:
    """A random reference that begins with a letter or digit, so that it never looks like an option."""
    while True:
        ref = new_id(os.urandom)
        if ref[0].isalnum():
            return ref


def save(store: Store, record: Record, history: Sequence[Change]) -> None:
    """Keep a new record that was entered by hand."""
    write(store, Row(record, tuple(history)))


def change(
    store: Store,
    row: Row,
    fields: Mapping[str, JsonValue],
    step: Change,
    *,
    edited: Sequence[str],
    now: datetime,
) -> Record:
    """Keep new fields of a record, with one more step of history; gives the changed record."""
    record = replace(row.record, fields=fields, changed=now)
    write(
        store,
        replace(
            row,
            record=record,
            history=(*row.history, step)[-HISTORY_LENGTH:],
            edited=tuple(sorted({*row.edited, *edited})),
        ),
    )
    return record


def write(store: Store, row: Row) -> None:
    """Write one row whole."""
    record, release = row.record, row.record.release
    lookups = () if row.source_key is None else ((SOURCE, row.source_key),)
    store.put(
        COLLECTION,
        record.ref,
        {
            "fields": record.fields,
            "release": {
                "purposes": list(release.purposes),
                "needs_basis": release.needs_basis,
                "withheld": release.withheld,
            },
            "source": record.source,
            "source_key": row.source_key,
            "added": format_time(record.added),
            "changed": format_time(record.changed),
            "imported": list(row.imported),
            "edited": list(row.edited),
            "same_person": list(row.same_person),
            "transcribe": [list(pair) for pair in row.to_transcribe],
            "history": [
                {
                    "when": format_time(one.when),
                    "user": one.user,
                    "what": one.what,
                    "fields": list(one.fields),
                }
                for one in row.history
            ],
        },
        lookups=lookups,
    )


def from_json(ref: str, value: Mapping[str, JsonValue]) -> Row:
    """Read one row. Raises: StoreCorrupt."""
    try:
        return _row(ref, value)
    except (KeyError, TypeError) as error:
        raise StoreCorrupt("a record in the local store has another form than this version writes") from error


def _row(ref: str, value: Mapping[str, JsonValue]) -> Row:
    fields, release, key = value["fields"], value["release"], value["source_key"]
    if not isinstance(fields, dict) or not isinstance(release, dict):
        raise TypeError
    withheld = release["withheld"]
    record = Record(
        ref=ref,
        fields=fields,
        release=Release(
            _texts(release["purposes"]),
            release["needs_basis"] is True,
            None if withheld is None else str(withheld),
        ),
        source=str(value["source"]),
        added=parse_time(value["added"], field="added"),
        changed=parse_time(value["changed"], field="changed"),
    )
    return Row(
        record=record,
        history=tuple(_change(one) for one in _items(value["history"])),
        source_key=None if key is None else str(key),
        imported=_texts(value["imported"]),
        edited=_texts(value["edited"]),
        same_person=_texts(value["same_person"]),
        to_transcribe=tuple(_pair(_texts(pair)) for pair in _items(value["transcribe"])),
    )


def _change(value: JsonValue) -> Change:
    if not isinstance(value, dict):
        raise TypeError
    when = parse_time(value["when"], field="when")
    return Change(when, str(value["user"]), str(value["what"]), _texts(value["fields"]))


def _pair(texts: tuple[str, ...]) -> tuple[str, str]:
    if len(texts) != 2:
        raise TypeError
    return texts[0], texts[1]


def _items(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(item) for item in _items(value))
