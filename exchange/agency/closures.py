"""Closed cases: follow-ups that are due, and data that must be gone by a day, from the closures themselves.

The newest closure of a thread counts, sent or opened. A follow-up is due until somebody says that it was made
(or a later closure names another day); data are due for destruction while any of them is still here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from exchange.agency import message_rows, record_rows, sent_rows
from exchange.member.store import Store
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import RecordUnknown
from exchange_schemas.ids import AgencyId, ThreadId

CLOSURE = "closure"
_MADE = "followed_up"


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed case with a partner. `record` is this agency's own; `followed_up`: the last one's day."""

    thread: ThreadId
    partner: AgencyId
    record: str | None
    outcome: str
    closed: datetime
    follow_up_due: date | None
    destroy_by: date | None
    followed_up: date | None
    here: bool

    def follow_up_open(self) -> bool:
        """Whether the follow-up that was agreed upon has not been made."""
        due, made = self.follow_up_due, self.followed_up
        return due is not None and (made is None or made < self.closed.date())

    def reminders(self, today: date) -> list[str]:
        """Sentences on what is due today or before."""
        said = []
        if self.follow_up_open() and self.follow_up_due is not None and self.follow_up_due <= today:
            said.append(
                f"the follow-up of the case with {self.partner} was due on {self.follow_up_due}: "
                f"`exchange-agency request followed-up {self.thread}` once it is made"
            )
        if self.here and self.destroy_by is not None and self.destroy_by <= today:
            what = "" if self.record is None else f" (record {self.record})"
            said.append(
                f"data of the closed case with {self.partner}{what} were to be destroyed by {self.destroy_by}"
            )
        return said


def each(store: Store, me: AgencyId) -> Iterator[Closed]:
    """Every closed case, in the order of its closing."""
    newest: dict[ThreadId, Closed] = {}
    for one in sorted(_all(store, me), key=lambda found: found.closed):
        newest[one.thread] = one
    return iter(newest.values())


def note_followed_up(store: Store, me: AgencyId, thread: str, day: date) -> Closed:
    """The follow-up of a closed case was made. Raises: RecordUnknown."""
    found = next((one for one in each(store, me) if one.thread == thread), None)
    if found is None:
        raise RecordUnknown(
            "no case with this thread was closed", field="thread", hint="see `exchange-agency request closed`"
        )
    store.put(_MADE, thread, {"day": day.isoformat()})
    return next(one for one in each(store, me) if one.thread == thread)


def _all(store: Store, me: AgencyId) -> Iterator[Closed]:
    for row in sent_rows.found(store, "kind", CLOSURE):
        if row.recipient != me and row.again is None:
            yield _closed(store, _Closure(row.thread, row.recipient, row.record, row.content, row.sent_at))
    for message in message_rows.found(store, "kind", CLOSURE):
        if message.thread is not None:
            record = _record_of(store, message.thread)
            yield _closed(
                store, _Closure(message.thread, message.sender, record, message.content, message.issued)
            )


@dataclass(frozen=True, slots=True)
class _Closure:
    thread: ThreadId
    partner: AgencyId
    record: str | None
    content: Mapping[str, JsonValue]
    when: datetime


def _closed(store: Store, told: _Closure) -> Closed:
    made = store.get(_MADE, told.thread)
    return Closed(
        thread=told.thread,
        partner=told.partner,
        record=told.record,
        outcome=str(told.content.get("closure_outcome")),
        closed=told.when,
        follow_up_due=_day(told.content.get("follow_up_due")),
        destroy_by=_day(told.content.get("destroy_by")),
        followed_up=None if made is None else _day(made["day"]),
        here=_anything_here(store, told.thread, told.record),
    )


def _record_of(store: Store, thread: ThreadId) -> str | None:
    records = (row.record for row in sent_rows.found(store, "thread", thread))
    return next((record for record in records if record is not None), None)


def _anything_here(store: Store, thread: ThreadId, record: str | None) -> bool:
    if record is not None and store.get(record_rows.COLLECTION, record) is not None:
        return True
    known = load_catalogue().fields
    messages = message_rows.found(store, "thread", thread)
    return any(name in known for message in messages for name in message.fields)


def _day(value: JsonValue) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else None
