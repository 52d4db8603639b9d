"""What waits for an answer, on both sides: who was asked what, until when, and what came of it.

Nothing is kept besides the messages themselves: a request, its reminders and its answer are found by the
envelopes they name. Kinds that are answered, with the time for it where the kind has one:
  information_request   information_response or declined, by its reply_by
  service_referral      service_answer or declined
  responsibility_offer  responsibility_answer or declined, by its transfer_date
  withdrawal_request    the withdrawal itself or declined, within 72 hours
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from exchange.agency import answers, closures, consent_rows, message_rows, sent_rows
from exchange.agency.closures import Closed
from exchange.agency.consent_rows import OWN, RECEIVED
from exchange.agency.links import Links
from exchange.agency.model import Checked, Message, Sent
from exchange.agency.sent_rows import SentRow
from exchange.agency.unopened import Unopened, unopened_words
from exchange.member.session import Session
from exchange_schemas.codec import JsonValue
from exchange_schemas.consent import Withdrawal
from exchange_schemas.errors import Malformed, NotPermitted, RecordUnknown, error_for
from exchange_schemas.ids import AgencyId, EnvelopeId, GrantId, ThreadId

WITHDRAWAL_REQUEST = "withdrawal_request"
WITHDRAWAL_TIME = timedelta(hours=72)
_NO_CONSENT = ("CONSENT_UNKNOWN", "CONSENT_WITHDRAWN")
ASKED, TO_ANSWER = "asked", "to_answer"
ANSWERED_BY: Mapping[str, tuple[str, ...]] = {
    answers.REQUEST: answers.ANSWERS,
    "service_referral": ("service_answer", "declined"),
    "responsibility_offer": ("responsibility_answer", "declined"),
    WITHDRAWAL_REQUEST: ("declined",),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one agency. `side` is asked (ours) or to_answer (theirs).

    `answer` is the kind that answered, `refused` its refusal codes by field, `silent` the asked fields that
    it neither gave nor refused.
    """

    side: str
    gid: GrantId
    eid: EnvelopeId
    kind: str
    partner: AgencyId
    thread: ThreadId | None
    issued: datetime
    due: datetime | None
    reminders: int = 0
    answered: datetime | None = None
    answer: str | None = None
    asked: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    silent: tuple[str, ...] = ()

    def overdue(self, now: datetime) -> bool:
        """Whether its time is over and nothing has come."""
        return self.answered is None and self.due is not None and self.due < now


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """How long answers take between two agencies: numbers and hours only, no child and no message.

    `median_hours` and `slowest_hours` are over the answered ones; None where none was.
    """

    asks: AgencyId
    answers: AgencyId
    kind: str
    requests: int
    answered: int
    overdue: int
    median_hours: int | None
    slowest_hours: int | None


class Requests:
    """Use `Client.requests`."""

    def __init__(
        self,
        session: Session,
        send: Callable[..., Sent],
        check: Callable[..., list[Checked]],
    ) -> None:
        """`send` and `check` are the client's own."""
        self._session = session
        self._store = session.store
        self._send = send
        self._check = check

    def each(self, *, overdue: bool = False, open_only: bool = False) -> Iterator[Request]:
        """Requests of both sides, this agency's own first, oldest first within a kind."""
        now = self._session.now()
        for one in [*self._ours(), *self._theirs()]:
            if overdue and not one.overdue(now):
                continue
            if open_only and one.answered is not None:
                continue
            yield one

    def remind(self, gid: str, *, reply_by: datetime) -> Sent:
        """Ask again for an information request that has no answer: the same question, superseding the first.

        Raises: RecordUnknown, NotPermitted (answered already), Malformed (reply_by).
        """
        one = next((item for item in self._ours() if item.gid == gid), None)
        row = sent_rows.get(self._store, gid)
        if one is None or row is None or one.kind != answers.REQUEST:
            raise RecordUnknown("there is no such request of this agency", field="gid")
        if one.answered is not None:
            raise NotPermitted("it was answered already", rule="request-answered")
        if reply_by <= self._session.now():
            raise Malformed("reply_by: a time to come is needed", field="reply_by")
        return self._send(
            answers.REQUEST,
            to=[row.recipient],
            content=row.content,
            thread=row.thread,
            purpose=row.purpose,
            reply_by=reply_by,
            supersedes=row.eid,
        )

    def answer(
        self,
        gid: str,
        *,
        record: str | None = None,
        refuse: Mapping[str, str] | None = None,
        purpose: str | None = None,
        consents: Sequence[str] = (),
    ) -> Sent:
        """Answer an information request field by field: what a consent allows is given, the rest refused.

        `record` is the thread's own unless named. `refuse` sets codes by hand (and keeps a field back); else
        one that no consent allows is `no_authority`, whether the record has it or not, and one that the
        record lacks is `not_held`. Where nothing is given the answer is `declined`.
        Raises: RecordUnknown, Malformed; what `Client.send` raises.
        """
        message = self._request(gid)
        if record is None and message.thread is not None:
            record = Links(self._store, self._session.random).record_of(message.thread)
        asked, codes = answers.asked_fields(message.content), {} if refuse is None else dict(refuse)
        allowed: Collection[str] = ()
        absent: Collection[str | None] = ()
        if record is not None:
            allowed, absent = self._may_give(message, record, purpose=purpose, consents=consents)
        given = [name for name in asked if name in allowed and name not in codes]
        for name in asked:
            if name not in given:
                codes.setdefault(name, "not_held" if name in absent else "no_authority")
        refusals: list[JsonValue] = [{"field": name, "code": codes[name]} for name in sorted(codes)]
        content: dict[str, JsonValue] = {"refusals": refusals} if refusals else {}
        if not given:
            return self._send("declined", to=[message.sender], in_reply_to=gid, content=content)
        return self._send(
            "information_response",
            to=[message.sender],
            record=record,
            fields=given,
            purpose=purpose,
            consents=consents,
            in_reply_to=gid,
            content=content,
        )

    def _may_give(
        self, message: Message, record: str, *, purpose: str | None, consents: Sequence[str]
    ) -> tuple[Collection[str], Collection[str | None]]:
        """Of the fields that are asked for: what a consent allows now, and what the record lacks."""
        (found,) = self._check(
            "information_response",
            to=[message.sender],
            record=record,
            fields=answers.asked_fields(message.content),
            purpose=purpose,
            consents=consents,
            thread=message.thread,
        )
        _must_be_decided(found)
        return found.given, {one.field for one in found.withheld if one.rule == "no-value"}

    def times(self) -> list[AnswerTimes]:
        """How long answers take, for each pair of agencies and kind that this agency took part in."""
        me, now = self._session.profile.agency, self._session.now()
        groups: dict[tuple[AgencyId, AgencyId, str], list[Request]] = {}
        for one in self.each():
            pair = (me, one.partner) if one.side == ASKED else (one.partner, me)
            groups.setdefault((*pair, one.kind), []).append(one)
        return [_times(key, found, now) for key, found in sorted(groups.items())]

    def closed(self) -> list[Closed]:
        """Closed cases with their follow-up and the day by which their data must be gone."""
        return list(closures.each(self._store, self._session.profile.agency))

    def followed_up(self, thread: str) -> Closed:
        """The follow-up of a closed case was made today. Raises: RecordUnknown."""
        today = self._session.now().date()
        return closures.note_followed_up(self._store, self._session.profile.agency, thread, today)

    def due(self, unopened: Unopened) -> list[str]:
        """Sentences on what is overdue and what another agency waits for. Raises: HubUnreachable."""
        now = self._session.now()
        said = []
        for one in self.each(open_only=True):
            if one.side == TO_ANSWER:
                until = "" if one.due is None else f" until {one.due:%Y-%m-%d %H:%M}"
                late = " (overdue)" if one.overdue(now) else ""
                said.append(f"{one.partner} waits for an answer to {one.kind} {one.gid}{until}{late}")
            elif one.overdue(now):
                said.append(_overdue(one, unopened))
        for case in self.closed():
            said += case.reminders(now.date())
        return said

    def _request(self, gid: str) -> Message:
        message = message_rows.get(self._store, gid)
        if message is None or message.kind != answers.REQUEST:
            raise RecordUnknown(
                "no information request of this id was opened here", field="gid", hint="open it first"
            )
        return message

    # -- ours --------------------------------------------------------------------------------------------

    def _ours(self) -> Iterator[Request]:
        me = self._session.profile.agency
        for kind in ANSWERED_BY:
            for row in sent_rows.found(self._store, "kind", kind):
                if row.recipient != me and row.supersedes is None and row.again is None:
                    yield self._ours_one(row)

    def _ours_one(self, row: SentRow) -> Request:
        reminders = [
            one
            for one in sent_rows.found(self._store, "supersedes", row.eid)
            if one.recipient == row.recipient
        ]
        replies = [
            message
            for eid in (row.eid, *(one.eid for one in reminders))
            for message in message_rows.found(self._store, "reply", eid)
            if message.sender == row.recipient and message.kind in ANSWERED_BY[row.kind]
        ]
        newest = [row, *reminders][-1]
        one = Request(
            side=ASKED,
            gid=row.gid,
            eid=row.eid,
            kind=row.kind,
            partner=row.recipient,
            thread=row.thread,
            issued=row.sent_at,
            due=_due(row.kind, newest.reply_by, row.content, row.sent_at),
            reminders=len(reminders),
            asked=answers.asked_fields(row.content),
        )
        if row.kind == WITHDRAWAL_REQUEST and row.cid is not None:
            return _withdrawn(one, consent_rows.get(self._store, RECEIVED, row.cid), replies)
        return one if not replies else _answered(one, replies[0])

    # -- theirs ------------------------------------------------------------------------------------------

    def _theirs(self) -> Iterator[Request]:
        for kind in ANSWERED_BY:
            found = message_rows.found(self._store, "kind", kind)
            again = {(one.sender, one.supersedes): one for one in found if one.supersedes is not None}
            for message in found:
                if message.supersedes is None:
                    yield self._theirs_one(message, again.get((message.sender, message.eid)))

    def _theirs_one(self, message: Message, reminder: Message | None) -> Request:
        eids = [message.eid] if reminder is None else [message.eid, reminder.eid]
        replies = [
            row
            for eid in eids
            for row in sent_rows.found(self._store, "reply", eid)
            if row.recipient == message.sender and row.kind in ANSWERED_BY[message.kind]
        ]
        newest = message if reminder is None else reminder
        one = Request(
            side=TO_ANSWER,
            gid=newest.gid,
            eid=message.eid,
            kind=message.kind,
            partner=message.sender,
            thread=message.thread,
            issued=message.issued,
            due=_due(message.kind, newest.reply_by, message.content, message.issued),
            reminders=len(eids) - 1,
            asked=answers.asked_fields(message.content),
        )
        if replies:
            return _answered_by_us(one, replies[0])
        if message.kind == WITHDRAWAL_REQUEST and message.consent is not None:
            return _withdrawn(one, consent_rows.get(self._store, OWN, message.consent), [])
        return one


def _due(
    kind: str, reply_by: datetime | None, content: Mapping[str, JsonValue], issued: datetime
) -> datetime | None:
    if kind == WITHDRAWAL_REQUEST:
        return issued + WITHDRAWAL_TIME
    transfer = content.get("transfer_date")
    if isinstance(transfer, str):
        return datetime.combine(date.fromisoformat(transfer), time(), tzinfo=UTC)
    return reply_by


def _answered(one: Request, reply: Message) -> Request:
    return _told(one, reply.issued, reply.kind, reply.fields, reply.content)


def _answered_by_us(one: Request, row: SentRow) -> Request:
    return _told(one, row.sent_at, row.kind, row.fields, row.content)


def _told(
    one: Request,
    when: datetime,
    kind: str,
    fields: Mapping[str, JsonValue] | Sequence[str],
    content: Mapping[str, JsonValue],
) -> Request:
    given = tuple(name for name in one.asked if name in fields)
    refused = answers.refusals_of(content)
    silent = tuple(name for name in one.asked if name not in given and name not in refused)
    return replace(one, answered=when, answer=kind, given=given, refused=refused, silent=silent)


def _withdrawn(one: Request, row: consent_rows.Granted | None, replies: Sequence[Message]) -> Request:
    """A request to withdraw is answered by the withdrawal itself, else by `declined`."""
    if row is not None and row.withdrawal is not None:
        withdrawn = Withdrawal.from_bytes(row.withdrawal.payload)
        return replace(one, answered=withdrawn.iat, answer="withdrawn")
    return one if not replies else _answered(one, replies[0])


def _overdue(one: Request, unopened: Unopened) -> str:
    about = f"{one.kind} {one.gid} (overdue)"
    threads = () if one.thread is None else (one.thread,)
    answer = unopened.answer(one.partner, ANSWERED_BY[one.kind], threads)
    if answer is None:
        return f"{one.partner} has not answered {about}"
    return f"{unopened_words(answer)}; it may answer {about}"


def _must_be_decided(found: Checked) -> None:
    """No consent is an answer; a question that was put wrongly is none. Raises: the refusing error."""
    refused = found.refused
    if found.consent is None and refused is not None and refused.code not in _NO_CONSENT:
        error = error_for(refused.code)
        raise error(
            refused.reason, field=refused.field, rule=refused.rule or None, hint=refused.remedy or None
        )


def _times(key: tuple[AgencyId, AgencyId, str], found: Sequence[Request], now: datetime) -> AnswerTimes:
    hours = [
        int((one.answered - one.issued) / timedelta(hours=1)) for one in found if one.answered is not None
    ]
    return AnswerTimes(
        asks=key[0],
        answers=key[1],
        kind=key[2],
        requests=len(found),
        answered=len(hours),
        overdue=sum(one.overdue(now) for one in found),
        median_hours=int(median(hours)) if hours else None,
        slowest_hours=max(hours) if hours else None,
    )
