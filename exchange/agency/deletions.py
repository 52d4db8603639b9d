"""Deletions on both sides of a withdrawal: asking every recipient, and answering with a signed receipt.

The issuer asks whoever had opened something, and sees who has not answered. The recipient's program really
deletes: fields, photo, sealed bytes and their keys; only ids stay, so that nothing comes back. What a law
makes it keep is told with the law and the day, stays locked, and is deleted on that day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from exchange.agency import brought, consent_rows, deletion_rows, message_rows, sent_rows
from exchange.agency.consent_rows import OWN, RECEIVED
from exchange.agency.deletion_rows import (
    ANSWERED,
    ASKED,
    DONE,
    DUE,
    HELD,
    OWED,
    RECEIPT,
    REQUEST,
    AskedDeletion,
    OwedDeletion,
)
from exchange.agency.model import Message, Sent
from exchange.agency.spool import Spool
from exchange.agency.unopened import Unopened, unopened_words
from exchange.member.session import Session
from exchange.words import gettext, pgettext
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ExchangeError, HubUnreachable, Malformed, NotPermitted, RecordUnknown

Send = Callable[..., Sent]


@dataclass(frozen=True, slots=True)
class Hold:
    """What a law makes this agency keep: `law` names it, `until` is the last day."""

    law: str
    until: date


class Deletions:
    """Asking for deletions and answering requests for them."""

    def __init__(self, session: Session, spool: Spool, send: Send) -> None:
        """Use `Client.deletions`; `send` is the client's own."""
        self._session = session
        self._store = session.store
        self._spool = spool
        self._send = send

    # -- asked of others ---------------------------------------------------------------------------------

    def asked(self, *, unanswered: bool = False) -> Iterator[AskedDeletion]:
        """Deletions that this agency asks of recipients, oldest first; or those without an answer."""
        every = deletion_rows.each_asked(self._store)
        return (row for row in every if not unanswered or row.state != ANSWERED)

    def ask(self, cid: str) -> Sent:
        """Ask the recipient of a withdrawn consent to delete, again if need be.

        Raises: NotPermitted (the consent is not this agency's, or in force), HubUnreachable.
        """
        row = consent_rows.get(self._store, OWN, cid)
        if row is None or row.status != consent_rows.WITHDRAWN:
            raise NotPermitted(
                "a deletion is asked for under a withdrawn consent of this agency",
                rule="deletion-withdrawn",
                hint="withdraw first: `exchange-agency consent withdraw`",
            )
        asked = deletion_rows.asked(self._store, row.consent.family)
        if asked is None:
            raise NotPermitted("nothing was delivered under this consent", rule="deletion-delivered")
        return self._ask(asked)

    def ask_due(self) -> list[AskedDeletion]:
        """Send every request that has not left yet; one that is refused keeps no other back.

        Raises: HubUnreachable; when all were tried, the first refusal of `Client.send`.
        """
        due = [row for row in self.asked() if row.state == DUE]
        spooled = {
            one.cid for job in self._spool.each() if job.plan.kind == REQUEST for one in job.plan.grants
        }
        asking: list[Callable[[], object]] = []
        for row in due:
            if row.consent in spooled or deletion_rows.requests_of(self._store, row):
                deletion_rows.put_asked(self._store, replace(row, state=ASKED))
            else:
                asking.append(partial(self._ask, row))
        self._do_each(asking)
        return due

    def _ask(self, row: AskedDeletion) -> Sent:
        consent = consent_rows.get(self._store, OWN, row.consent)
        sent = self._send(
            REQUEST,
            to=[row.recipient],
            consents=[row.consent],
            purpose=None if consent is None else consent.consent.pur[0],
            content={"reason_code": row.reason},
        )
        if row.state == DUE:
            deletion_rows.put_asked(self._store, replace(row, state=ASKED))
        return sent

    # -- asked of us -------------------------------------------------------------------------------------

    def owed(self, *, open_only: bool = False) -> Iterator[OwedDeletion]:
        """Deletions that others asked of this agency, oldest first; or those without an answer."""
        every = deletion_rows.each_owed(self._store)
        return (row for row in every if not open_only or row.state == OWED)

    def answer(self, gid: str, *, keep: Hold | None = None, partly: bool = False) -> OwedDeletion:
        """Delete what rests on the consent of the request `gid`, and send the signed receipt.

        `keep`: nothing is deleted before the day; it stays locked. `partly`: copies lie outside this program
        that cannot be deleted. The outcome is already_gone where nothing was here any more. The same request
        answered again sends the same outcome.
        Raises: RecordUnknown, Malformed, NotPermitted (answered otherwise before), HubUnreachable.
        """
        row = self._owed_by(gid)
        if keep is not None and keep.until <= self._session.now().date():
            raise Malformed("until: a day to come is needed", field="until")
        if row.state == OWED:
            row = self._hold(row, keep) if keep is not None else self._delete(row, partly=partly)
        elif keep is not None or partly:
            raise NotPermitted("this request was answered otherwise already", rule="deletion-answered")
        self._give_receipt(row)
        return row

    def end_holds(self) -> list[OwedDeletion]:
        """Delete what a law made this agency keep until a day that has passed, and say so."""
        today = self._session.now().date()
        held = [row for row in deletion_rows.each_owed(self._store) if row.state == HELD]
        ended = [row for row in held if row.keep_until is not None and row.keep_until < today]
        done = [self._delete(row, partly=False) for row in ended]
        self._do_each([partial(self._give_receipt, row) for row in done])
        return done

    def give_due(self) -> None:
        """Send every receipt that an answer is owed and that has not left. Raises: as `ask_due`."""
        every = list(deletion_rows.each_owed(self._store))
        self._do_each([partial(self._give_receipt, row) for row in every])

    def _owed_by(self, gid: str) -> OwedDeletion:
        for row in deletion_rows.each_owed(self._store):
            if row.gid == gid:
                return row
        raise RecordUnknown(
            "no open request for a deletion has this id",
            field="gid",
            hint="see `exchange-agency deletion list`; open the request first",
        )

    def _hold(self, row: OwedDeletion, keep: Hold) -> OwedDeletion:
        outcome: dict[str, JsonValue] = {
            "outcome": "kept_by_law",
            "law": keep.law,
            "until": keep.until.isoformat(),
        }
        held = replace(row, state=HELD, outcome=outcome, keep_until=keep.until)
        deletion_rows.put_owed(self._store, held)
        return held

    def _delete(self, row: OwedDeletion, *, partly: bool) -> OwedDeletion:
        now = self._session.now().replace(microsecond=0)
        unopened = brought.forget_family(self._session, row.family)
        with self._store.writing():
            copies = self._copies(row)
            for core in unopened:
                deletion_rows.note_unopened(self._store, core, now)
            for message in copies:
                deletion_rows.note_deleted(self._store, message, now)
                message_rows.delete(self._store, message.gid)
            said = "partly" if partly else "deleted" if copies or unopened else "already_gone"
            done = replace(row, state=DONE, outcome={"outcome": said}, keep_until=None)
            deletion_rows.put_owed(self._store, done)
        self._store.scrub()
        return done

    def _copies(self, row: OwedDeletion) -> list[Message]:
        family = consent_rows.found(self._store, RECEIVED, "family", row.family)
        found = [
            message
            for one in family
            for message in message_rows.found(self._store, "consent", one.consent.cid)
        ]
        return [message for message in found if deletion_rows.holds_record(message)]

    def _give_receipt(self, row: OwedDeletion) -> None:
        """Send the receipt unless this outcome was sent before, or waits in the spool."""
        request = message_rows.get(self._store, row.gid)
        if request is None or row.outcome is None:
            return
        said = [
            one.content.get("deletion_outcome")
            for one in sent_rows.found(self._store, "consent", row.consent)
            if one.kind == RECEIPT
        ]
        waiting = [
            job.plan.values.get("deletion_outcome")
            for job in self._spool.each()
            if job.plan.kind == RECEIPT and any(one.cid == row.consent for one in job.plan.grants)
        ]
        if dict(row.outcome) in [*said, *waiting]:
            return
        self._send(
            RECEIPT,
            to=[row.issuer],
            consents=[row.consent],
            purpose=request.purpose,
            in_reply_to=row.gid,
            content={"deletion_outcome": dict(row.outcome)},
        )

    def _do_each(self, sends: Iterable[Callable[[], object]]) -> None:
        """Send each. Raises: HubUnreachable, but in an office without network, where it seals what waits;
        else the first refusal, after the last."""
        refused: ExchangeError | None = None
        for send in sends:
            try:
                send()
            except ExchangeError as error:
                if isinstance(error, HubUnreachable) and self._session.carried is None:
                    raise
                refused = refused or error
        if refused is not None:
            raise refused

    # -- both --------------------------------------------------------------------------------------------

    def catch_up(self, unopened: Unopened) -> list[str]:
        """What `sync` does: send what has not left, end holds; sentences on what waits for somebody.

        Raises: HubUnreachable.
        """
        said: list[str] = []
        for work in (self.ask_due, self.end_holds, self.give_due):
            try:
                work()
            except ExchangeError as error:
                after = "the next sync tries again" if error.hint is None else error.hint
                said.append(f"a deletion message could not be sent ({error.code}); {after}")
        said += [self._unanswered(row, unopened) for row in self.asked(unanswered=True)]
        for one in self.owed(open_only=True):
            said.append(
                f"{one.issuer} asks for a deletion since {one.since:%Y-%m-%d}: "
                f"`exchange-agency deletion answer {one.gid}`"
            )
        return said

    def _unanswered(self, row: AskedDeletion, unopened: Unopened) -> str:
        about = f"the request of {row.since:%Y-%m-%d} to delete (consent {row.consent})"
        threads = {one.thread for one in deletion_rows.sent_requests(self._store, row)}
        if not threads:
            after = "the next sync tries again" if row.state == DUE else "`exchange-agency send --resume`"
            return f"{about} has not left for {row.recipient} yet: {after}"
        answer = unopened.answer(row.recipient, (RECEIPT,), threads)
        if answer is None:
            return f"{row.recipient} has not answered {about}"
        return f"{unopened_words(answer)}; it may answer {about}"


def outcome_words(outcome: Mapping[str, JsonValue] | None) -> str:
    """A deletion outcome on one line."""
    if outcome is None:
        return ""
    if outcome.get("outcome") == "kept_by_law":
        return gettext("kept by law ({law}) until {day}", law=outcome.get("law"), day=outcome.get("until"))
    return pgettext("code", str(outcome.get("outcome")).replace("_", " "))
