"""`exchange-agency retain`: deletes what this machine may not keep any longer, and remembers that it did.

The rules are those of `retention_rules`. Each thing is deleted in a change of its own, so that a run that is
cut short has deleted whole things and the next one goes on. What stays of a run is a row with counts and the
digests of what was deleted, never a name or a value. Every machine of an agency has a store of its own: run
it on each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from exchange.agency import consent_rows, deletion_rows, message_rows, record_rows, sent_rows
from exchange.agency.closures import CLOSURE
from exchange.agency.consent_rows import OWN, RECEIVED, Granted
from exchange.agency.deletion_rows import DONE, HELD
from exchange.agency.links import forget as forget_links
from exchange.agency.model import Message
from exchange.agency.records import PHOTOS
from exchange.agency.retention_rules import (
    PROOF_DAYS,
    Closing,
    evidence_rule,
    message_rule,
    record_rule,
)
from exchange.agency.withholding import forget as forget_withheld
from exchange.member import stored_files
from exchange.member.session import Session
from exchange_schemas.codec import Encodable, JsonValue, b64u, format_time, sha256
from exchange_schemas.consent import Withdrawal
from exchange_schemas.ids import new_id

_RUNS, _SEEN = "retention", "retention_seen"


@dataclass(slots=True)
class Kept:
    """What a run deleted, or would, by rule; `due` in words, at most a few."""

    counts: Counter[str] = field(default_factory=Counter)
    digests: list[str] = field(default_factory=list)

    def add(self, rule: str, ident: str) -> None:
        """One thing more, known by the digest of its id alone."""
        self.counts[rule] += 1
        self.digests.append(b64u(sha256(ident.encode())))


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeping times of one session's store."""

    session: Session

    def run(self, *, dry_run: bool = False, proof_days: int = PROOF_DAYS) -> Kept:
        """Delete everything that is due, or only count it. Raises: NotPermitted without an approver."""
        if not dry_run:
            self.session.require_approver()
        done = Kept()
        for due in (self._messages(), self._records(), self._evidence(proof_days)):
            for rule, ident, delete in due:
                if not dry_run:
                    with self.session.store.writing():
                        delete()
                done.add(rule, ident)
        if done.digests and not dry_run:
            self._remember(done)
            self.session.store.delete(_SEEN, "last")
            self.session.store.scrub()
        return done

    def reminder(self) -> list[str]:
        """A sentence when something is past its time, for whoever synchronises."""
        today, kept = self.session.now().date().isoformat(), self.session.store.get(_SEEN, "last")
        if kept is not None and kept["day"] == today:
            # Looking opens every message: once a day is enough.
            count = int(f"{kept['count']}")
        else:
            count = self.run(dry_run=True).counts.total()
            self.session.store.put(_SEEN, "last", {"day": today, "count": count})
        return [f"{count} things are past their keeping time: `exchange-agency retain`"] if count else []

    def runs(self) -> list[Mapping[str, JsonValue]]:
        """What earlier runs deleted: when, by which user, how many by which rule, the digests of the ids."""
        return [value for _, value in self.session.store.each(_RUNS)]

    # -- what is due ---------------------------------------------------------------------------------------

    def _messages(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        now, store = self.session.now(), self.session.store
        held = self._held()
        # What must still be answered is needed for the answer.
        open_requests = {row.gid for row in deletion_rows.each_owed(store) if row.state != DONE}
        for message in list(message_rows.each(store)):
            if message.gid in open_requests:
                continue
            rule = message_rule(
                keep_until=message.keep_until,
                closings=[] if message.thread is None else self._closings(message.thread),
                held_until=None if message.consent is None else held.get(message.consent),
                now=now,
            )
            if rule is not None:
                yield rule, message.gid, lambda one=message: self._delete_message(one)  # type: ignore[misc]

    def _records(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        store = self.session.store
        for ref, _ in list(store.each(record_rows.COLLECTION)):
            sent = sent_rows.found(store, "record", ref)
            closings = [found for row in sent for found in _closing_of(row.kind, row.content, row.sent_at)]
            if not sent:
                continue
            last = max(row.sent_at for row in sent)
            rule = record_rule(closings=closings, last_sent=last, now=self.session.now())
            if rule is not None:
                yield rule, ref, lambda one=ref: self._delete_record(one)  # type: ignore[misc]

    def _evidence(self, proof_days: int) -> Iterator[tuple[str, str, Callable[[], None]]]:
        now, store = self.session.now(), self.session.store
        for row in list(consent_rows.each(store, OWN)):
            rule = evidence_rule(ended=_ended(row, now), now=now, proof_days=proof_days)
            if rule is not None and (row.evidence is not None or row.salt is not None):
                bare = replace(row, evidence=None, salt=None, record=None)
                yield rule, row.consent.cid, lambda one=bare: consent_rows.put(store, OWN, one)  # type: ignore[misc]

    def _held(self) -> Mapping[str, date]:
        """Until when a law keeps what rests on a consent, by the consent's id."""
        held: dict[str, date] = {}
        for row in deletion_rows.each_owed(self.session.store):
            if row.state == HELD and row.keep_until is not None:
                for one in consent_rows.found(self.session.store, RECEIVED, "family", row.family):
                    held[one.consent.cid] = row.keep_until
        return held

    def _closings(self, thread: str) -> list[Closing]:
        store = self.session.store
        sent = sent_rows.found(store, "thread", thread)
        opened = message_rows.found(store, "thread", thread)
        return [
            *(found for row in sent for found in _closing_of(row.kind, row.content, row.sent_at)),
            *(found for one in opened for found in _closing_of(one.kind, one.content, one.issued)),
        ]

    # -- deleting ------------------------------------------------------------------------------------------

    def _delete_message(self, message: Message) -> None:
        now = self.session.now().replace(microsecond=0)
        deletion_rows.note_deleted(self.session.store, message, now)
        message_rows.delete(self.session.store, message.gid)

    def _delete_record(self, ref: str) -> None:
        """The record with its photo, its withhold list, and what sent rows say of it besides ids."""
        store = self.session.store
        sent = sent_rows.found(store, "record", ref)
        for row in sent:
            sent_rows.put(store, replace(row, record=None, content={}, steps={}))
        forget_links(store, ref, {row.recipient for row in sent})
        stored_files.delete(store, PHOTOS, ref)
        forget_withheld(store, ref)
        store.delete(record_rows.COLLECTION, ref)

    def _remember(self, done: Kept) -> None:
        now = self.session.now().replace(microsecond=0)
        value: dict[str, Encodable] = {
            "when": format_time(now),
            "user": self.session.user,
            "deleted": dict(done.counts),
            "digests": sorted(done.digests),
        }
        self.session.store.put(_RUNS, new_id(self.session.random), value)


def _closing_of(kind: str, content: Mapping[str, JsonValue], sent: datetime) -> list[Closing]:
    by = content.get("destroy_by")
    if kind != CLOSURE or not isinstance(by, str):
        return []
    return [Closing(sent, date.fromisoformat(by))]


def _ended(row: Granted, now: datetime) -> datetime | None:
    if row.withdrawal is not None:
        return Withdrawal.from_bytes(row.withdrawal.payload).iat
    return row.consent.exp if row.consent.exp <= now else None
