"""What this agency itself knows of match confirmations: those it sent and those it opened.

The hub sees that two confirmations exist and answer each other; only the two sides know what they say. An
`unmatch` of either side takes back every confirmation of the thread before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from exchange.agency import message_rows, sent_rows
from exchange.consent import Confirmation
from exchange.member.store import Store
from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import AgencyId, EnvelopeId, ThreadId

# Each side's clock may be two minutes off the hub's: in doubt it was confirmed before, and is taken back.
_CLOCKS = timedelta(seconds=240)
KIND, UNMATCH = "match_confirmation", "unmatch"


def confirmations(
    store: Store, eids: Iterable[EnvelopeId], *, me: AgencyId, other: AgencyId
) -> dict[EnvelopeId, Confirmation]:
    """The confirmations among these envelopes that went between this agency and the other."""
    known = (one for eid in eids for one in _of(store, "eid", eid, me))
    return {
        one.eid: one
        for when, one in known
        if {one.sender, one.recipient} == {me, other} and _stands(store, one.thread, when)
    }


def relation_verified(store: Store, thread: ThreadId, me: AgencyId) -> bool:
    """Whether both sides of a thread have said that it is the same child and the relation holds."""
    agreed = {
        sender
        for when, sender, content in _contents(store, thread, me)
        if _verifies(content) and _stands(store, thread, when)
    }
    return len(agreed) >= 2


def _stands(store: Store, thread: ThreadId, when: datetime) -> bool:
    """Whether what was confirmed at `when` was not taken back since."""
    sent = [row.sent_at for row in sent_rows.found(store, "thread", thread) if row.kind == UNMATCH]
    opened = [one.issued for one in message_rows.found(store, "thread", thread) if one.kind == UNMATCH]
    return all(when > taken_back + _CLOCKS for taken_back in (*sent, *opened))


def _verifies(content: dict[str, JsonValue]) -> bool:
    return content.get("match_level") == "relation" and content.get("match_decision") == "same_child"


def _contents(
    store: Store, thread: ThreadId, me: AgencyId
) -> list[tuple[datetime, AgencyId, dict[str, JsonValue]]]:
    sent = [
        (row.sent_at, me, dict(row.content))
        for row in sent_rows.found(store, "thread", thread)
        if row.kind == KIND
    ]
    opened = [
        (one.issued, one.sender, dict(one.content))
        for one in message_rows.found(store, "thread", thread)
        if one.kind == KIND
    ]
    return sent + opened


def _of(store: Store, name: str, text: str, me: AgencyId) -> list[tuple[datetime, Confirmation]]:
    sent = [
        (
            row.sent_at,
            Confirmation(
                row.eid, KIND, me, row.recipient, row.thread, row.in_reply_to, decision=_said(row.content)
            ),
        )
        for row in sent_rows.found(store, name, text)
        if row.kind == KIND and row.recipient != me
    ]
    opened = [
        (
            one.issued,
            Confirmation(
                one.eid,
                KIND,
                one.sender,
                me,
                one.thread,
                one.in_reply_to,
                decision=_said(one.content),
            ),
        )
        for one in message_rows.found(store, name, text)
        if one.kind == KIND and one.thread is not None
    ]
    return sent + opened


def _said(content: Mapping[str, JsonValue]) -> str | None:
    decision = content.get("match_decision")
    return decision if isinstance(decision, str) else None
