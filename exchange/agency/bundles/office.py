"""The side without network: export what waits for the hub, import what a courier brought back.

States of an export: made → answered (a bundle that answers it was imported). What the hub has not confirmed
is in every export, so a lost stick loses nothing and an older one brings nothing. An import keeps the answers
first, then lets the program's own code act on them, and only then counts as done: cut short anywhere, the
same file again goes on. It must never believe an answer that the code would not believe online.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from exchange.agency import brought, outbox
from exchange.agency.bundles.content import ANSWER, CALL, WANT, read_frames, write_frame
from exchange.agency.bundles.counting import Counting
from exchange.agency.bundles.file import Making, alone, opened, write_bundle
from exchange.agency.bundles.pending import Pending, fallen, pending, unregistered, withdrawn_unconfirmed
from exchange.agency.consents import Consents
from exchange.agency.deletions import Deletions
from exchange.agency.model import InboxItem
from exchange.agency.printing import Prints
from exchange.agency.receiving import Receiver
from exchange.agency.sending import Sender
from exchange.agency.spool import Spool
from exchange.agency.syncing import Syncer
from exchange.member.carried import GRANTS, CarriedAnswers, call_id
from exchange.member.session import Session
from exchange_schemas.bundle import BACK, OUT, Cover
from exchange_schemas.errors import BundleForeign, ConfigInvalid, ExchangeError, HubUnreachable
from exchange_schemas.ids import AgencyId

DAYS = 14
WATCHED = 500
_MADE = "bundle_made"


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was made: its id, for whom, until when, how many requests it carries."""

    cover: Cover
    requests: int
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought. `again`: this very bundle was imported before, and nothing was done.

    `sent` envelopes arrived; `alarms` are sentences that a person must read; `waiting` can be opened.
    """

    cover: Cover
    again: bool = False
    sent: int = 0
    alarms: tuple[str, ...] = ()
    waiting: tuple[InboxItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Office:
    """Use `Client.office`."""

    session: Session
    spool: Spool
    consents: Consents
    deletions: Deletions
    prints: Prints
    receiver: Receiver
    sender: Sender
    syncer: Syncer

    def export(self, path: Path, *, to: AgencyId, lasts: timedelta = timedelta(days=DAYS)) -> Exported:
        """Write everything that waits for the hub into a bundle for the courier `to`.

        Until it expires, the courier may carry it and bring back what waits for this agency. `to` may be this
        agency: an office of its own that has network. Raises: ConfigInvalid (an office with network),
        Conflict (the file is there), KeyNotActive, RecipientDenied, StorageFull.
        """
        self._answers()
        counting = Counting(self.session.store)

        def note(cover: Cover) -> None:
            with self.session.store.writing():
                counting.made(cover)
                self.session.store.put(_MADE, cover.id, {"to": cover.to, "seq": cover.seq})

        with alone(self.session):
            dropped = self._drop_fallen()
            calls = list(pending(self.session, self.spool, self.receiver))
            making = Making(OUT, to, counting.next_seq(OUT, to), lasts)
            cover = write_bundle(self.session, path, making, lambda file: self._fill(file, calls), note=note)
        return Exported(cover, len(calls), dropped)

    def take(self, path: Path) -> Imported:
        """Import a bundle that answers one of this office's. Raises: the checks of `file`; BundleForeign."""
        answers = self._answers()
        again = False

        def accept(cover: Cover) -> None:
            nonlocal again
            made = None if cover.answers is None else self.session.store.get(_MADE, cover.answers)
            if cover.way != BACK or made is None or made["to"] != cover.iss:
                raise BundleForeign(
                    "the bundle answers none of this office's", field="answers", rule="B3-answers"
                )
            again = Counting(self.session.store).seen(cover)

        with alone(self.session), opened(self.session, path, accept) as (_, cover, content):
            if again:
                return Imported(cover, again=True)
            answers.forget(keep_grants=True)
            for frame in read_frames(content, self.session.home.spool):
                if frame.what == ANSWER:
                    answers.put(frame.text("id"), frame.text("path"), frame.number("status"), frame.body)
            done = self._act(cover)
            Counting(self.session.store).taken(cover)
        return done

    def _answers(self) -> CarriedAnswers:
        if self.session.carried is None:
            raise ConfigInvalid(
                "bundles are made and read back by an office without network",
                hint="set HOMEWARD_OFFLINE=1 for an office that has none",
            )
        return self.session.carried

    def _fill(self, file: BinaryIO, calls: list[Pending]) -> None:
        going = [one.gid for job in self.spool.each() for one in job.grants]
        known = outbox.unreceipted(self.session.store, most=WATCHED)
        unopened = [
            path.removeprefix(GRANTS) for path in self._answers().paths(GRANTS) if "/parts/" not in path
        ]
        write_frame(
            file,
            WANT,
            {
                "after": self.session.directory.position().size,
                "inbox": self.receiver.done_up_to(),
                "have": unopened,
                "watch": [*known, *going],
            },
        )
        for call in calls:
            write_frame(
                file, CALL, {"method": call.method, "path": call.path, "media": call.media}, call.body
            )

    def _drop_fallen(self) -> tuple[str, ...]:
        """Envelopes whose consent was withdrawn while they waited never leave."""
        found = [job for job in self.spool.each() if fallen(self.session, job)]
        for job in found:
            self.spool.remove(job)
        return tuple(job.eid for job in found)

    # -- acting on what was brought ------------------------------------------------------------------------

    def _act(self, cover: Cover) -> Imported:
        """Withdrawals first: what they end must not be opened or sent by the very same bundle."""
        alarms: list[str] = []

        def attempt(work: Callable[[], object], what: str) -> bool:
            try:
                work()
            except HubUnreachable:
                return False
            except ExchangeError as error:
                alarms.append(f"{what}: {error.message} ({error.code})")
                return False
            return True

        if attempt(lambda: alarms.extend(self.session.directory.sync().alarms), "the key directory"):
            self.session.directory.note_brought(cover.iat)
        # Asked once: an old page must never look like news.
        self._answers().forget(under="/v1/directory/")
        attempt(lambda: alarms.extend(self.syncer.take_shown()), "the consents")
        brought.forget_ended(self.session)
        for row in withdrawn_unconfirmed(self.session):
            attempt(lambda row=row: self.consents.assert_withdrawal(row), "a withdrawal")  # type: ignore[misc]
        for row in unregistered(self.session):
            attempt(lambda row=row: self.consents.register(row), "a consent")  # type: ignore[misc]
        sent = 0
        for job in list(self.spool.each()):
            done = attempt(lambda job=job: self.sender.resume(job.job), f"the {job.plan.kind}")  # type: ignore[misc]
            sent += done
        for gid, _ in self.receiver.unsent():
            attempt(lambda gid=gid: self.receiver.send_kept(gid), "a receipt")  # type: ignore[misc]
        alarms += self.prints.catch_up()
        attempt(lambda: list(outbox.outbox(self.session)), "the recipients' receipts")
        for _ in range(sum(1 for _ in self.deletions.asked(unanswered=True))):
            attempt(self.deletions.ask_due, "a request to delete")
        attempt(self.deletions.give_due, "a receipt for a deletion")
        waiting: list[InboxItem] = []
        attempt(lambda: waiting.extend(self.receiver.inbox(waiting_only=True)), "the inbox")
        known = [one for one in waiting if self._answers().get(call_id("GET", GRANTS + one.gid)) is not None]
        return Imported(cover, sent=sent, alarms=tuple(alarms), waiting=tuple(known))
