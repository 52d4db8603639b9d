"""Sending: plan, seal, spool, upload, deposit; and again from the spool after any failure.

The order keeps a promise: what was decided is sealed and durable before the first byte leaves, and the same
bytes may be deposited any number of times. Two hosts of one agency may send at once: the hub takes one, the
other proves the new head to be this agency's own and seals anew behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from exchange.agency import consent_rows, sent_rows
from exchange.agency.chains import NO_HEADS, Head, adopt_head, move_head, verified_head
from exchange.agency.consent_rows import OWN
from exchange.agency.consents import Consents
from exchange.agency.finality import may_pass
from exchange.agency.model import Sent, SentGrant
from exchange.agency.parties import party_of
from exchange.agency.plan import Plan
from exchange.agency.sealing import seal
from exchange.agency.sent_rows import OwnGrant, SentRow
from exchange.agency.spool import Job, Spool
from exchange.agency.uploading import OnBytes, upload
from exchange.agency.withholding import check_withheld
from exchange.member.locks import hold
from exchange.member.session import Session
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import (
    ConsentWithdrawn,
    ExchangeError,
    HubRefused,
    KeyNotActive,
    KeyRevoked,
    KidUnknown,
    LogFork,
    PartMissing,
    SeqConflict,
    StoreCorrupt,
)
from exchange_schemas.ids import AgencyId, GrantId, check_agency

ATTEMPTS = 6
_SEAL_ANEW = (SeqConflict, KeyNotActive, KeyRevoked, KidUnknown)


@dataclass(slots=True)
class Sender:
    """Sends for one session; `on_bytes(what, done, total)` hears of uploads."""

    session: Session
    spool: Spool
    consents: Consents
    on_bytes: OnBytes

    def send(self, plan: Plan) -> Sent:
        """Seal, spool and deposit. Raises: HubUnreachable and the like with the job left in the spool."""
        with self._alone():
            sealed = seal(self.session, plan, ahead=self._ahead(None))
            self.spool.put(sealed.job, sealed.deposit)
            return self._deliver(sealed.job)

    def resume(self, job: str | None) -> list[Sent]:
        """Deliver one job or all, oldest first; one that is refused or damaged keeps none behind it.

        Raises: HubUnreachable and what else would meet every job, at once; else the first, at the end. Only
        that one is taken from the spool, so that the next time tells of the next.
        """
        with self._alone():
            jobs = list(self.spool.each()) if job is None else [self.spool.get(job)]
            sent, failed = list[Sent](), list[ExchangeError]()
            for one in jobs:
                try:
                    sent.append(self._deliver(one, keep=bool(failed)))
                except StoreCorrupt as error:
                    failed.append(error)
                except ExchangeError as error:
                    if may_pass(error):
                        raise
                    failed.append(error)
            self.spool.clear_stray_files()
            if failed:
                raise failed[0]
            return sent

    def _alone(self) -> AbstractContextManager[None]:
        """One sender of this machine at a time: two would seal for the same place in a chain."""
        return hold(self.spool.folder / ".lock", what="sending")

    def _deliver(self, job: Job, *, keep: bool = False) -> Sent:
        """Deposit until the hub has answered for good; a job that may still arrive stays in the spool.

        `keep`: also one that is refused.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._deposit(job)
            except _SEAL_ANEW as error:
                if isinstance(error, SeqConflict):
                    self._follow(error.detail.get("head"))
                else:
                    # A key was changed: the recipient's, or our own by another command.
                    self.session.directory.sync()
                    self.session.refresh_keys()
                job = self._seal_anew(job)
            except PartMissing as error:
                # The hub keeps unused uploads for a day: up they go again. Lost here: seal anew.
                if "status" not in error.detail:
                    job = self._seal_anew(job)
            except ExchangeError as error:
                raise self._failed(job, error, keep=keep) from error.__cause__
        raise self._failed(job, SeqConflict("other hosts of this agency were always faster", field="seq"))

    def _ahead(self, before: str | None) -> Mapping[AgencyId, Head]:
        """Without network one stick carries several envelopes: each is sealed behind those before it."""
        return NO_HEADS if self.session.carried is None else self.spool.heads(before=before)

    def _failed(self, job: Job, error: ExchangeError, *, keep: bool = False) -> ExchangeError:
        if may_pass(error) or isinstance(error, SeqConflict):
            self.spool.note_error(job, error.code)
            if self.session.carried is None and (error.hint is None or not isinstance(error, HubRefused)):
                error.hint = (
                    "the sealed envelope is in the spool; send it with `exchange-agency send --resume`"
                )
        elif keep:
            self.spool.note_error(job, error.code)
        else:
            self.spool.remove(job)
        return error

    def _follow(self, heads: JsonValue) -> None:
        """Go on from the heads that the hub shows, each proved by this agency's own signature."""
        if not isinstance(heads, Mapping) or not heads:
            raise HubRefused("the hub refuses the place in the chain and shows none", field="head")
        session = self.session
        for name, shown in heads.items():
            recipient = check_agency(name, field="head")
            head = verified_head(
                session.directory.state(), session.profile.agency, recipient, shown, session.now()
            )
            adopt_head(session.store, recipient, head)

    def _seal_anew(self, job: Job) -> Job:
        sealed = seal(self.session, job.plan, job=job.job, ahead=self._ahead(job.job))
        self.spool.put(sealed.job, sealed.deposit)
        for name in job.attachments.values():
            (self.spool.folder / name).unlink(missing_ok=True)
        return sealed.job

    def _must_stand(self, job: Job) -> None:
        """What was withdrawn while the envelope waited is never sent; a consent only kept here is registered.

        Raises: ConsentWithdrawn, RecipientDenied (withheld since); what `Consents.register` raises.
        """
        if load_catalogue().kind(job.plan.kind).authority != "consent":
            return
        state = self.session.directory.state()
        for one in job.plan.grants:
            check_withheld(self.session.store, job.plan.record, party_of(state, one.agency))
            row = None if one.cid is None else consent_rows.get(self.session.store, OWN, one.cid)
            if row is not None and row.status == consent_rows.WITHDRAWN:
                raise ConsentWithdrawn(
                    f"the consent to {one.agency} was withdrawn before the envelope left: it was not sent",
                    rule="C05-withdrawn",
                )
            if row is not None and not row.registered:
                self.consents.register(row)

    def _deposit(self, job: Job) -> Sent:
        self._must_stand(job)
        for digest, name in job.attachments.items():
            upload(self.session.hub, digest, self.spool.attachment(name), self.on_bytes)
        _, answer = self.session.hub.post_bytes("/v1/envelopes", self.spool.deposit(job))
        taken = _taken(answer)
        if taken != {one.gid: one.seq for one in job.grants}:
            raise LogFork("the hub answers for other grants than those that were sent", field="grants")
        return self._arrived(job, answer)

    def _arrived(self, job: Job, answer: Mapping[str, JsonValue]) -> Sent:
        session, store = self.session, self.session.store
        planned = {one.agency: one for one in job.plan.grants}
        me = session.profile.agency
        own = next((OwnGrant(GrantId(one.gid), one.digest) for one in job.grants if one.agency == me), None)
        entry = session.receipts.id_of(answer.get("receipt"))
        rows: list[SentRow] = []
        with store.writing():
            for one in job.grants:
                move_head(store, AgencyId(one.agency), Head(one.seq, one.digest))
                plan = planned.get(AgencyId(one.agency))
                if plan is None:
                    continue
                row = SentRow(
                    gid=GrantId(one.gid),
                    eid=job.eid,
                    kind=job.plan.kind,
                    recipient=plan.agency,
                    thread=plan.thread,
                    purpose=plan.purpose,
                    seq=one.seq,
                    digest=one.digest,
                    record=job.plan.record,
                    cid=plan.cid,
                    fields=plan.fields,
                    content=_content(job.plan),
                    in_reply_to=job.plan.in_reply_to,
                    sent_at=session.now(),
                    kid=one.kid,
                    expires=plan.expires,
                    own=own,
                    reply_by=job.plan.reply_by,
                    supersedes=job.plan.supersedes,
                    steps=_steps(job.plan),
                    entry=entry,
                )
                sent_rows.put(store, row)
                rows.append(row)
            self.spool.remove(job)
        grants = tuple(_sent_grant(row) for row in rows)
        return Sent(job.eid, job.plan.kind, grants, entry)


def _taken(answer: Mapping[str, JsonValue]) -> dict[str, int]:
    grants = answer.get("grants")
    found: dict[str, int] = {}
    for one in grants if isinstance(grants, list) else []:
        if isinstance(one, dict) and isinstance(one.get("gid"), str) and isinstance(one.get("seq"), int):
            found[str(one["gid"])] = int(str(one["seq"]))
    return found


def _content(plan: Plan) -> dict[str, JsonValue]:
    known = load_catalogue().message_fields
    return {name: value for name, value in plan.values.items() if name in known}


def _steps(plan: Plan) -> dict[str, JsonValue]:
    """The steps of a document_step; no other field of a record is kept with what was sent."""
    if plan.kind != "document_step":
        return {}
    return {name: plan.values[name] for name in ("travel_step", "dna_step") if name in plan.values}


def _sent_grant(row: SentRow) -> SentGrant:
    return SentGrant(row.gid, row.recipient, row.seq, row.digest, row.fields, row.thread)
