"""What an opened message means for this agency: rules that need its own history, and the rows that follow.

`check_arrival` comes after every check of "The recipient" and before anything is kept; what it refuses gets a
signed refusal. `note_arrival` runs in the transaction that keeps the message.
"""

from __future__ import annotations

from dataclasses import replace

from exchange.agency import deletion_rows, sent_rows
from exchange.agency.answers import DECLINABLE, DECLINED
from exchange.agency.deletion_rows import ANSWERED, OWED, RECEIPT, REQUEST, OwedDeletion
from exchange.agency.model import Message
from exchange.member.session import Session
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import SenderMismatch


def check_arrival(session: Session, core: GrantCore, consent: Consent | None) -> None:
    """A deletion receipt and a declined answer a request of ours to that agency. Raises: SenderMismatch."""
    if core.kind == DECLINED:
        _check_declined(session, core)
    if core.kind != RECEIPT:
        return
    asked = None if consent is None else deletion_rows.asked(session.store, consent.family)
    if asked is None or asked.recipient != core.snd:
        raise SenderMismatch(
            "deletion_receipt: this agency was not asked to delete", field="kind", rule="deletion-party"
        )
    if core.in_reply_to not in deletion_rows.requests_of(session.store, asked):
        raise SenderMismatch(
            "deletion_receipt: it answers no request for this deletion",
            field="in_reply_to",
            rule="deletion-request",
        )


def _check_declined(session: Session, core: GrantCore) -> None:
    eid = core.in_reply_to
    rows = [] if eid is None else sent_rows.found(session.store, "eid", eid)
    if not any(row.recipient == core.snd and row.kind in DECLINABLE for row in rows):
        raise SenderMismatch(
            "declined: it answers no request of ours to this agency",
            field="in_reply_to",
            rule="A04-declined",
        )


def note_arrival(session: Session, message: Message, consent: Consent | None) -> None:
    """Keep what follows from a message that was kept."""
    if consent is None:
        return
    if message.kind == REQUEST:
        _note_request(session, message, consent)
    elif message.kind == RECEIPT:
        _note_receipt(session, message, consent)


def _note_request(session: Session, message: Message, consent: Consent) -> None:
    known = deletion_rows.owed(session.store, consent.family)
    if known is not None:
        # Asked again: the same answer is owed to the newer request.
        deletion_rows.put_owed(session.store, replace(known, gid=message.gid))
        return
    owed = OwedDeletion(
        family=consent.family,
        consent=consent.cid,
        issuer=message.sender,
        gid=message.gid,
        reason=str(message.content["reason_code"]),
        state=OWED,
        since=message.issued,
    )
    deletion_rows.put_owed(session.store, owed)


def _note_receipt(session: Session, message: Message, consent: Consent) -> None:
    asked = deletion_rows.asked(session.store, consent.family)
    outcome = message.content["deletion_outcome"]
    if asked is not None and isinstance(outcome, dict):
        answered = replace(asked, state=ANSWERED, outcome=outcome, answered=message.issued)
        deletion_rows.put_asked(session.store, answered)
