"""The SDK: one `Client` over an agency's folder, its keys and its hub.

Example::

    from datetime import timedelta
    from pathlib import Path
    from exchange.agency import Client, Terms

    with Client.open(Path("ngo-home"), user="amal", passphrase=b"...") as client:
        client.sync()
        record = client.records.add({"name_given": {"text": "..."}, "sex": "female", ...})
        client.records.decide(record.ref, procedure="bia", outcome="for_sharing", body="panel")
        consent = client.consents.grant(
            record.ref,
            to="embassy-a",
            terms=Terms(
                purposes=("trace",), kind="found_notice", basis="best_interests_decision",
                evidence="minutes of the panel, file 12", lasts=timedelta(days=60),
                screening="cleared", screening_evidence="screening form, file 12",
            ),
        )
        client.send("found_notice", to=("embassy-a",), record=record.ref)
        for item in client.inbox():
            message = client.open_grant(item.gid)

Errors are of `exchange_schemas.errors`; each has a stable `code`, a sentence and often a `hint`.
It must never send what the local decision refuses, and never hand out what did not verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from exchange.agency import attesting, auditing, directory_view, message_rows, timeline
from exchange.agency.auditing import AuditReport
from exchange.agency.bundles.courier import Courier
from exchange.agency.bundles.office import Office
from exchange.agency.checking import Checker
from exchange.agency.consents import Consents
from exchange.agency.corrections import newest_fields
from exchange.agency.deletions import Deletions
from exchange.agency.directory_view import AgencyInfo, KeyInfo
from exchange.agency.history import History
from exchange.agency.key_rotation import Keys
from exchange.agency.model import (
    Checked,
    InboxItem,
    Message,
    OutboxItem,
    Sent,
    Spooled,
    SyncReport,
    Withdrawn,
)
from exchange.agency.notices import Notices
from exchange.agency.outbox import outbox
from exchange.agency.parties import party_of
from exchange.agency.planning import Planner, Wish
from exchange.agency.printing import Prints
from exchange.agency.receiving import Receiver
from exchange.agency.records import Records
from exchange.agency.regranting import Regranter
from exchange.agency.requests import Requests
from exchange.agency.retention import Retention
from exchange.agency.sending import Sender
from exchange.agency.spool import Spool
from exchange.agency.syncing import Syncer
from exchange.agency.timeline import TimelineItem
from exchange.log.policy import Policy
from exchange.member.receipts import StoredReceipt
from exchange.member.session import Session, open_session
from exchange.member.stored_files import StoredFile
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ConsentWithdrawn, Malformed, RecordUnknown
from exchange_schemas.ids import AgencyId, EnvelopeId, ThreadId, check_agency, check_id


class Client:
    """An unlocked agency: use as a context manager, from one thread.

    `records` and `consents` are the local records and this agency's consents; `deletions` what is asked for,
    on both sides, once a consent is withdrawn; `requests` what waits for an answer, on both sides; `prints`
    what left on paper; `history` what was lost and is given again.
    """

    def __init__(self, session: Session) -> None:
        """Use `Client.open`."""
        self.session = session
        self.records = Records(session)
        self.consents = Consents(session, self.records)
        self.on_bytes: Callable[[str, int, int], None] = lambda what, done, total: None
        """Hears of up- and downloads: what, bytes done, bytes in all."""
        self._spool = Spool(session.store, session.home.spool)
        self.deletions = Deletions(session, self._spool, self.send)
        self.requests = Requests(session, self.send, self.check)
        self.prints = Prints(session, self.records)
        self.history = History(session, self._receiver, self._regranter, self.send)

    @classmethod
    def open(cls, home: Path, user: str, passphrase: bytes) -> Self:
        """Unlock the folder `home` as `user`; talks to nobody yet.

        Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked, StoreCorrupt.
        """
        return cls(open_session(home, user, passphrase))

    def close(self) -> None:
        """Forget the keys and close the store."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync(self) -> SyncReport:
        """Bring the copy of the key directory, the consents and the receipts up to date.

        Raises: HubUnreachable, LogFork, CheckpointInvalid, ProofInvalid, SigInvalid.
        """
        return self._syncer().sync()

    def audit(self, *, policy: Policy | None = None) -> AuditReport:
        """Prove that the hub's log shows every entry about this agency, and that its receipts are witnessed.

        Raises: ProofInvalid, EntryInvalid, CheckpointInvalid, LogFork when something does not verify;
        HubUnreachable.
        """
        return auditing.audit(self.session, policy)

    def agencies(self) -> list[AgencyInfo]:
        """Every agency in the own copy of the key directory. Raises: ConfigInvalid before the first sync."""
        return directory_view.agencies(self.session.directory.state())

    def keys_of(self, agency: str) -> list[KeyInfo]:
        """The keys of one agency. Raises: RecipientDenied when it is not in the directory."""
        return directory_view.keys_of(self.session.directory.state(), agency)

    def agreements(self, *, to: str | None = None) -> tuple[int, list[SharingAgreement]]:
        """The version of the sharing agreements in force (0: none), and each of them, or that with `to`.

        Raises: RecipientDenied when the directory has no such agency.
        """
        state = self.session.directory.state()
        kinds = None
        if to is not None:
            me, other = self.session.profile.agency, check_agency(to, field="to")
            kinds = party_of(state, me).kind, party_of(state, other).kind
        return directory_view.agreements(state, kinds)

    def send(
        self,
        kind: str,
        *,
        to: Sequence[str],
        record: str | None = None,
        fields: Sequence[str] | None = None,
        purpose: str | None = None,
        consents: Sequence[str] = (),
        content: Mapping[str, JsonValue] | None = None,
        in_reply_to: str | None = None,
        thread: str | None = None,
        reply_by: datetime | None = None,
        lasts: timedelta | None = None,
        supersedes: EnvelopeId | None = None,
    ) -> Sent:
        """Decide, seal, spool and deposit one envelope of `kind` to the agencies `to`.

        Each recipient gets the record's fields that its own consent and the kind allow; `fields` asks for
        exactly these. Without `consents` the newest active consent for record and recipient is used.

        Raises: the refusing rule's error (FieldDenied, PurposeDenied, NotPermitted, ...) before anything
        leaves; HubUnreachable when the sealed bytes are spooled and `resume` will send them.
        """
        wish = Wish(
            kind=kind,
            to=to,
            record=record,
            fields=fields,
            purpose=purpose,
            consents=consents,
            content={} if content is None else content,
            in_reply_to=in_reply_to,
            thread=thread,
            reply_by=reply_by,
            lasts=lasts,
            supersedes=supersedes,
        )
        self.session.directory.ensure_fresh(agencies=[check_agency(one, field="to") for one in to])
        plan = Planner(self.session, self.records, self.consents).plan(wish)
        return self._sender().send(plan)

    def check(
        self,
        kind: str,
        *,
        to: Sequence[str],
        record: str,
        fields: Sequence[str] | None = None,
        purpose: str | None = None,
        consents: Sequence[str] = (),
        thread: str | None = None,
        at_hub: bool = False,
    ) -> list[Checked]:
        """The dry run of `send`: what each agency would receive now, and why not the rest; nothing leaves.

        With `at_hub` the hub decides by what it knows, under the consents that were found here.
        Raises: Malformed, RecordUnknown; with `at_hub` HubUnreachable.
        """
        wish = Wish(
            kind=kind,
            to=to,
            record=record,
            fields=fields,
            purpose=purpose,
            consents=consents,
            thread=thread,
        )
        checker = Checker(self.session, Planner(self.session, self.records, self.consents))
        return checker.check_at_hub(wish) if at_hub else checker.check(wish)

    def attest(self, agency: str, *, evidence: str | None) -> None:
        """Attest an agency (or this one) as an authority that arranges release; None takes it back.

        Raises: NotPermitted, RecipientDenied, Malformed.
        """
        who = check_agency(agency, field="agency")
        if evidence is None:
            attesting.lift(self.session, who)
        else:
            attesting.attest(self.session, who, evidence=evidence)

    def withdraw(self, *cids: str, reason: str = "consent_withdrawn") -> list[Withdrawn]:
        """Withdraw consents and their families, then ask every recipient that had opened something to delete.

        A request that cannot leave now is sent by the next `sync`. Raises: see `Consents.withdraw_all`.
        """
        done = self.consents.withdraw_all(cids, reason=reason)
        self.deletions.ask_due()
        return done

    def spooled(self) -> list[Spooled]:
        """Envelopes that were sealed and are not known to have arrived, oldest first."""
        return [job.info() for job in self._spool.each()]

    def resume(self, job: str | None = None) -> list[Sent]:
        """Send what is spooled (one job or all); an envelope that had arrived is not sent twice."""
        return self._sender().resume(job)

    def inbox(self, *, waiting_only: bool = False) -> Iterator[InboxItem]:
        """What the hub holds for this agency, oldest first, a page at a time."""
        return self._receiver().inbox(waiting_only=waiting_only)

    def open_grant(self, gid: str) -> Message:
        """Fetch, verify, open, keep and acknowledge one grant.

        Raises: the error that names what was omitted, swapped or added; ConsentWithdrawn, ConsentExpired,
        ConsentSuperseded or GrantExpired for a dead one.
        """
        return self._receiver().open(gid)

    def messages(self) -> Iterator[Message]:
        """All opened messages that may still be looked at, oldest first (from the local store)."""
        kept = message_rows.each(self.session.store)
        return (one for one in kept if not self.deletions.locked(one))

    def message(self, gid: str) -> Message | None:
        """One opened message from the local store, locked or not, or None."""
        return message_rows.get(self.session.store, gid)

    def photo(self, gid: str) -> StoredFile | None:
        """The photo of an opened message, read from the store in pieces; None when it has none.

        Raises: RecordUnknown, ConsentWithdrawn (as `kept`).
        """
        return message_rows.photo_of(self.session.store, self.kept(gid).gid)

    def kept(self, gid: str) -> Message:
        """As `message`. Raises: RecordUnknown when it was not opened here; ConsentWithdrawn."""
        found = self.message(gid)
        if found is None:
            raise RecordUnknown("this message was not opened here", hint="open it without --kept")
        if self.deletions.locked(found):
            raise ConsentWithdrawn(
                "the consent for this message is withdrawn: it is locked until it is deleted",
                hint="see `exchange-agency deletion list`",
            )
        return found

    def timeline(self, *, record: str | None = None, thread: str | None = None) -> list[TimelineItem]:
        """What was sent and opened about a record, or in a thread, in its order. Raises: RecordUnknown."""
        me, store = self.session.profile.agency, self.session.store
        if thread is not None:
            return timeline.of_thread(store, ThreadId(check_id(thread, field="thread")), me)
        if record is None:
            raise Malformed("name a record or a thread", field="record")
        return timeline.of_record(store, self.records.get(record).ref, me)

    def responsible(self, thread: str) -> AgencyId | None:
        """Which agency is responsible in a thread by its newest accepted offer; None: none was accepted."""
        return timeline.responsible(self.timeline(thread=thread))

    def fields_now(self, gid: str) -> Mapping[str, JsonValue]:
        """The fields of an opened message with its sender's corrections in their place.

        Raises: RecordUnknown, ConsentWithdrawn (as `kept`).
        """
        return newest_fields(self.session.store, self.kept(gid))

    @property
    def notices(self) -> Notices:
        """What the hub announces to this agency: to a commission, each sharing on vital interest."""
        return Notices(self.session)

    @property
    def retention(self) -> Retention:
        """What may not be kept any longer: count it, delete it, see what earlier runs deleted."""
        return Retention(self.session)

    def outbox(self) -> Iterator[OutboxItem]:
        """What this agency sent, with the recipients' signed outcomes."""
        return outbox(self.session)

    def receipts(self) -> Iterator[StoredReceipt]:
        """The verified receipts of the hub's audit log, oldest first."""
        return self.session.receipts.each()

    @property
    def keys(self) -> Keys:
        """This agency's own keys: list them, change one."""
        return Keys(self.session, self._receiver(), self._regranter)

    @property
    def office(self) -> Office:
        """Courier bundles of an office without network."""
        return Office(
            self.session,
            self._spool,
            self.consents,
            self.deletions,
            self.prints,
            self._receiver(),
            self._sender(),
            self._syncer(),
        )

    @property
    def courier(self) -> Courier:
        """Courier bundles that this agency carries for offices without network."""
        return Courier(self.session, self.on_bytes)

    def _syncer(self) -> Syncer:
        return Syncer(
            self.session,
            self.consents,
            self._receiver(),
            self._regranter(),
            self.deletions,
            self.requests,
            self.prints,
            self.history,
        )

    def _regranter(self) -> Regranter:
        return Regranter(self.session, self.records)

    def _sender(self) -> Sender:
        return Sender(self.session, self._spool, self.consents, self.on_bytes)

    def _receiver(self) -> Receiver:
        return Receiver(self.session, self.on_bytes)
