"""Keeping what an import reads: new records, updates of known ones, refusals; each reported without a value.

The source's own id is kept only inside the encrypted store, so that the same file again changes nothing. A
field that was edited here is never overwritten by a later import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from exchange.agency import record_rows as rows
from exchange.agency.entering import checked, normal
from exchange.agency.imports.model import Imported, Refused
from exchange.agency.imports.source import read_source
from exchange.agency.model import ImportLine, Record, Release
from exchange.agency.record_rows import COLLECTION, SOURCE, Change, Row
from exchange.member.store import Store
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ImportUnreadable, Malformed

# One durable write for this many records: 10,000 records are 100 waits for the disk, not 10,000.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports into `store` in the name of `user`; `now` gives aware UTC."""

    store: Store
    user: str
    now: Callable[[], datetime]

    def run(self, path: Path, locations: Path | None) -> Iterator[ImportLine]:
        """One line for each record of the file; a line is yielded only when its record is durable.

        Raises: ImportUnreadable. What was read before it is kept.
        """
        found = read_source(path, now=self.now(), locations=locations)
        while True:
            batch, broken = _next_batch(found)
            with self.store.writing():
                lines = [self._keep(one) for one in batch]
            yield from lines
            if broken is not None:
                raise broken
            if len(batch) < BATCH:
                return

    def _keep(self, one: Imported | Refused) -> ImportLine:
        if isinstance(one, Refused):
            return ImportLine(one.position, "refused", rule=one.rule, field=one.field, reason=one.reason)
        try:
            fields = checked({name: normal(value) for name, value in one.fields.items()})
        except Malformed as error:
            return ImportLine(
                one.position, "refused", rule=error.rule or "schema", field=error.field, reason=error.message
            )
        key = _key(one.source, one.source_id)
        known = self.store.found(COLLECTION, SOURCE, key)
        if known:
            return self._update(rows.from_json(*known[0]), one, fields)
        now = self._second()
        record = Record(rows.new_ref(), fields, _release(one), one.source, now, now)
        row = Row(
            record, (self._change("imported", fields),), key, tuple(sorted(fields)), (), one.to_transcribe
        )
        rows.write(self.store, replace(row, same_person=_same(one)))
        return _line(one, "imported", record)

    def _update(self, row: Row, one: Imported, fields: dict[str, JsonValue]) -> ImportLine:
        ours = {
            name: value
            for name, value in row.record.fields.items()
            if name in row.edited or name not in row.imported
        }
        merged = {**{name: value for name, value in fields.items() if name not in row.edited}, **ours}
        release = _release(one)
        if merged == row.record.fields and release == row.record.release:
            return _line(one, "unchanged", row.record)
        differing = [
            name for name in {*merged, *row.record.fields} if merged.get(name) != row.record.fields.get(name)
        ]
        record = replace(row.record, fields=merged, release=release, changed=self._second())
        rows.write(
            self.store,
            replace(
                row,
                record=record,
                history=(*row.history, self._change("imported again", differing))[-rows.HISTORY_LENGTH :],
                imported=tuple(sorted(fields)),
                to_transcribe=one.to_transcribe,
                same_person=_same(one),
            ),
        )
        return _line(one, "updated", record)

    def _second(self) -> datetime:
        return self.now().replace(microsecond=0)

    def _change(self, what: str, names: dict[str, JsonValue] | list[str]) -> Change:
        return Change(self._second(), self.user, what, tuple(sorted(names)))


def _next_batch(
    found: Iterator[Imported | Refused],
) -> tuple[list[Imported | Refused], ImportUnreadable | None]:
    """Up to BATCH records, and the error that ended the file early: what stood before it is kept."""
    batch: list[Imported | Refused] = []
    try:
        for one in islice(found, BATCH):
            batch.append(one)
    except ImportUnreadable as error:
        return batch, error
    return batch, None


def _release(one: Imported) -> Release:
    return Release(one.flags.purposes, one.flags.needs_basis, one.flags.withheld)


def _same(one: Imported) -> tuple[str, ...]:
    return tuple(_key(one.source, ident) for ident in one.same_person_hints)


def _key(source: str, ident: str) -> str:
    return f"{source}\n{ident}"


def _line(one: Imported, outcome: str, record: Record) -> ImportLine:
    left_out = tuple((item.field, item.why) for item in one.left_out)
    return ImportLine(one.position, outcome, ref=record.ref, release=record.release, left_out=left_out)
