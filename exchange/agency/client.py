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
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from exchange.agency.consents import Consents
from exchange.agency.planning import Planner, Wish
from exchange.agency.reading import Reader
from exchange.agency.spool import Spool
from exchange.member.session import Session, open_session
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ExchangeError, HubUnreachable
from exchange_schemas.ids import EnvelopeId, check_agency

# What not every use of the SDK needs is imported where it is used: a small machine sends photos as well.
if TYPE_CHECKING:
    from exchange.agency.auditing import AuditReport
    from exchange.agency.bundles.courier import Courier
    from exchange.agency.bundles.office import Office
    from exchange.agency.deletions import Deletions
    from exchange.agency.history import History
    from exchange.agency.key_rotation import Keys
    from exchange.agency.model import (
        Checked,
        InboxItem,
        Message,
        Sent,
        Spooled,
        SyncReport,
        Withdrawn,
    )
    from exchange.agency.notices import Notices
    from exchange.agency.printing import Prints
    from exchange.agency.receiving import Receiver
    from exchange.agency.regranting import Regranter
    from exchange.agency.requests import Requests
    from exchange.agency.retention import Retention
    from exchange.agency.sending import Sender
    from exchange.agency.syncing import Syncer
    from exchange.log.policy import Policy


class Client(Reader):
    """An unlocked agency: use as a context manager, from one thread.

    `records` and `consents` are the local records and this agency's consents.
    """

    def __init__(self, session: Session) -> None:
        """Use `Client.open`."""
        super().__init__(session)
        self.consents = Consents(session, self.records)
        self.on_bytes: Callable[[str, int, int], None] = lambda what, done, total: None
        """Hears of up- and downloads: what, bytes done, bytes in all."""
        self._spool = Spool(session.store, session.home.spool)

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
        from exchange.agency import auditing

        return auditing.audit(self.session, policy)

    def accept_recovery(
        self,
        evidence: Path,
        *,
        policy: Policy | None = None,
        agreed: Callable[[ExchangeError], None] = lambda _found: None,
    ) -> AuditReport:
        """Go on with the log of a hub that lost entries, after the commission agreed to its recovery.

        What was seen before goes to the new file `evidence`. `agreed` is told what contradicts it before
        anything changes, and may raise. Raises: as `audit`; ConfigInvalid when the log
        contradicts nothing or the file exists; StorageFull.
        """
        from exchange.agency import auditing

        return auditing.accept_recovery(self.session, policy, evidence, agreed)

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
        from exchange.agency.checking import Checker

        checker = Checker(self.session, Planner(self.session, self.records, self.consents))
        return checker.check_at_hub(wish) if at_hub else checker.check(wish)

    def attest(self, agency: str, *, evidence: str | None) -> None:
        """Attest an agency (or this one) as an authority that arranges release; None takes it back.

        Raises: NotPermitted, RecipientDenied, Malformed.
        """
        from exchange.agency import attesting

        who = check_agency(agency, field="agency")
        if evidence is None:
            attesting.lift(self.session, who)
        else:
            attesting.attest(self.session, who, evidence=evidence)

    def withdraw(self, *cids: str, reason: str = "consent_withdrawn") -> list[Withdrawn]:
        """Withdraw consents and their families, then ask every recipient that had opened something to delete.

        A request that cannot leave now, or is refused, is sent by the next `sync`, which names it until then.
        Raises: see `Consents.withdraw_all`; HubUnreachable.
        """
        done = self.consents.withdraw_all(cids, reason=reason)
        try:
            self.deletions.ask_due()
        except HubUnreachable:
            raise
        except ExchangeError:
            # The withdrawal stands: the refusal of a request must not look like one of it.
            return done
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

    @cached_property
    def deletions(self) -> Deletions:
        """What is asked for, on both sides, once a consent is withdrawn."""
        from exchange.agency.deletions import Deletions

        return Deletions(self.session, self._spool, self.send)

    @cached_property
    def requests(self) -> Requests:
        """What waits for an answer, on both sides."""
        from exchange.agency.requests import Requests

        return Requests(self.session, self.send, self.check)

    @cached_property
    def prints(self) -> Prints:
        """What left on paper."""
        from exchange.agency.printing import Prints

        return Prints(self.session, self.records)

    @cached_property
    def history(self) -> History:
        """What was lost and is given again."""
        from exchange.agency.history import History

        return History(self.session, self._receiver, self._regranter, self.send)

    @property
    def notices(self) -> Notices:
        """What the hub announces to this agency: to a commission, each sharing on vital interest."""
        from exchange.agency.notices import Notices

        return Notices(self.session)

    @property
    def retention(self) -> Retention:
        """What may not be kept any longer: count it, delete it, see what earlier runs deleted."""
        from exchange.agency.retention import Retention

        return Retention(self.session)

    @property
    def keys(self) -> Keys:
        """This agency's own keys: list them, change one."""
        from exchange.agency.key_rotation import Keys

        return Keys(self.session, self._receiver(), self._regranter)

    @property
    def office(self) -> Office:
        """Courier bundles of an office without network."""
        from exchange.agency.bundles.office import Office

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
        from exchange.agency.bundles.courier import Courier

        return Courier(self.session, self.on_bytes)

    def _syncer(self) -> Syncer:
        from exchange.agency.syncing import Syncer

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
        from exchange.agency.regranting import Regranter

        return Regranter(self.session, self.records)

    def _sender(self) -> Sender:
        from exchange.agency.sending import Sender

        return Sender(self.session, self._spool, self.consents, self.on_bytes)

    def _receiver(self) -> Receiver:
        from exchange.agency.receiving import Receiver

        return Receiver(self.session, self.on_bytes)
