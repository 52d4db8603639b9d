"""Cards that were printed: what left this program on paper, kept here and told to the hub's log.

States: due (kept here, the hub has not heard) → told. The hub hears of an agency, field names, a purpose and
a random id; it never hears of a child, a recipient or a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt

DUE, TOLD = "due", "told"
_COLLECTION = "printed"


@dataclass(frozen=True, slots=True)
class Printed:
    """One printed card: to whom and why in the caseworker's words; `digest` is of the page as it was made.

    `entry`: the id of the hub's log entry; None while it is due.
    """

    id: str
    record: str
    when: datetime
    user: str
    to: str
    why: str
    purpose: str
    basis: str
    fields: tuple[str, ...]
    digest: str
    entry: str | None = None

    @property
    def state(self) -> str:
        return DUE if self.entry is None else TOLD


def put(store: Store, row: Printed) -> None:
    """Keep one, in place of its older state."""
    store.put(
        _COLLECTION,
        row.id,
        {
            "record": row.record,
            "when": format_time(row.when),
            "user": row.user,
            "to": row.to,
            "why": row.why,
            "purpose": row.purpose,
            "basis": row.basis,
            "fields": list(row.fields),
            "digest": row.digest,
            "entry": row.entry,
        },
        lookups=[("record", row.record), ("state", row.state)],
    )


def told(store: Store, row: Printed, entry: str) -> Printed:
    """The hub has logged it as `entry`."""
    done = replace(row, entry=entry)
    put(store, done)
    return done


def of_record(store: Store, record: str) -> list[Printed]:
    """What was printed of a record, oldest first."""
    return [_row(ident, value) for ident, value in store.found(_COLLECTION, "record", record)]


def due(store: Store) -> list[Printed]:
    """What the hub has not heard of."""
    return [_row(ident, value) for ident, value in store.found(_COLLECTION, "state", DUE)]


def each(store: Store) -> Iterator[Printed]:
    """All, oldest first."""
    return (_row(ident, value) for ident, value in store.each(_COLLECTION))


def _row(ident: str, value: Mapping[str, JsonValue]) -> Printed:
    fields = value.get("fields")
    if not isinstance(fields, list):
        raise StoreCorrupt("a printed card in the local store cannot be read")
    try:
        entry = value["entry"]
        return Printed(
            id=ident,
            record=str(value["record"]),
            when=parse_time(value["when"], field="when"),
            user=str(value["user"]),
            to=str(value["to"]),
            why=str(value["why"]),
            purpose=str(value["purpose"]),
            basis=str(value["basis"]),
            fields=tuple(str(name) for name in fields),
            digest=str(value["digest"]),
            entry=None if entry is None else str(entry),
        )
    except KeyError as error:
        raise StoreCorrupt("a printed card in the local store cannot be read") from error
