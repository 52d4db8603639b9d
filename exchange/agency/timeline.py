"""What happened in a child's case between this agency and others, in its order: sent and opened messages.

From the local store alone. Steps towards papers are shown with their date and authority; everything else by
its kind and its codes, never by a field of the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.agency import deletion_rows, message_rows, sent_rows
from exchange.agency.model import Message
from exchange.agency.sent_rows import SentRow
from exchange.agency.wording import code_words, field_words
from exchange.member.store import Store
from exchange.words import gettext
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import RecordUnknown
from exchange_schemas.ids import AgencyId, EnvelopeId, ThreadId

OFFER, OFFER_ANSWER = "responsibility_offer", "responsibility_answer"
_STEPS = ("travel_step", "dna_step")


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One message. `steps` are travel_step and dna_step, `said` its other codes and dates."""

    when: datetime
    eid: EnvelopeId
    thread: ThreadId | None
    kind: str
    sender: AgencyId
    recipient: AgencyId
    steps: Mapping[str, JsonValue]
    said: Mapping[str, JsonValue]
    in_reply_to: EnvelopeId | None


def of_record(store: Store, record: str, me: AgencyId) -> list[TimelineItem]:
    """The timeline of one record of this agency, over every thread it has, oldest first."""
    threads = {row.thread for row in sent_rows.found(store, "record", record)}
    return _sorted(item for thread in sorted(threads) for item in of_thread(store, thread, me))


def of_thread(store: Store, thread: ThreadId, me: AgencyId) -> list[TimelineItem]:
    """The timeline of one thread, oldest first. Raises: RecordUnknown when nothing is known of it."""
    rows = sent_rows.found(store, "thread", thread)
    # What was granted again, to a newer key, is one message.
    sent = [_sent(row, me) for row in rows if row.recipient != me and row.again is None]
    opened = [_opened(store, one, me) for one in message_rows.found(store, "thread", thread)]
    if not sent and not opened:
        raise RecordUnknown("there is no such thread here", field="thread")
    return _sorted([*sent, *opened])


def responsible(items: Iterable[TimelineItem]) -> AgencyId | None:
    """Who is responsible in a thread: whoever gave its newest accepted answer to an offer; else nobody."""
    everything = list(items)
    offers = {item.eid: item for item in everything if item.kind == OFFER}
    found: AgencyId | None = None
    for item in everything:
        offer = None if item.in_reply_to is None else offers.get(item.in_reply_to)
        accepted = item.kind == OFFER_ANSWER and item.said.get("transfer_answer") == "accepted"
        if (
            accepted
            and offer is not None
            and (offer.recipient, offer.sender) == (item.sender, item.recipient)
        ):
            found = item.sender
    return found


def _sorted(items: Iterable[TimelineItem]) -> list[TimelineItem]:
    # Times have whole seconds; within one, the order in which they were kept stands.
    return sorted(items, key=lambda item: item.when)


def _sent(row: SentRow, me: AgencyId) -> TimelineItem:
    return TimelineItem(
        when=row.sent_at,
        eid=row.eid,
        thread=row.thread,
        kind=row.kind,
        sender=me,
        recipient=row.recipient,
        steps=row.steps,
        said=row.content,
        in_reply_to=row.in_reply_to,
    )


def _opened(store: Store, one: Message, me: AgencyId) -> TimelineItem:
    # That a message came is known for good; what it said is locked with its consent.
    locked = deletion_rows.locked(store, one)
    return TimelineItem(
        when=one.issued,
        eid=one.eid,
        thread=one.thread,
        kind=one.kind,
        sender=one.sender,
        recipient=me,
        steps={} if locked else {name: one.fields[name] for name in _STEPS if name in one.fields},
        said={} if locked else one.content,
        in_reply_to=one.in_reply_to,
    )


def words(item: TimelineItem) -> str:
    """What one message said, on one line: the step first, then its codes and dates."""
    told = [_step(name, value) for name, value in item.steps.items()]
    labels = load_catalogue().message_fields
    for name, value in item.said.items():
        if isinstance(value, str) and name not in ("statement_digest", "candidate_ref", "correction_of"):
            label = gettext(labels[name].label).lower() if name in labels else name
            told.append(f"{label}: {field_words(name, value)}")
    return gettext("; ").join(told)


def _step(name: str, value: JsonValue) -> str:
    if not isinstance(value, dict):
        return name
    said = {"step": code_words(str(value.get("step")))}
    return " ".join(
        said.get(part, str(value[part])) for part in ("step", "date", "authority") if part in value
    )
