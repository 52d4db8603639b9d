"""Synchronising: directory, consents of both directions, receipts; and saying what is not right.

A withdrawal of this agency that the hub does not show is asserted again: a hub that was restored from a
backup must not revive anything. A consent that was kept and never registered is registered now, and so is one
that the hub has lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from exchange.agency import consent_rows as rows
from exchange.agency.consent_rows import OWN, RECEIVED, Granted
from exchange.agency.consents import Consents
from exchange.agency.deletions import Deletions
from exchange.agency.history import History
from exchange.agency.listings import pages
from exchange.agency.model import SyncReport
from exchange.agency.notices import Notices
from exchange.agency.printing import Prints
from exchange.agency.receiving import Receiver
from exchange.agency.regranting import Regranter
from exchange.agency.requests import Requests
from exchange.agency.retention import Retention
from exchange.agency.signatures import signers_of
from exchange.agency.unopened import Unopened
from exchange.agency.withdrawals import accept_withdrawal, verified_withdrawal
from exchange.directory.state import APPROVER
from exchange.member.session import Session
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.errors import (
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    LogFork,
    Malformed,
    OriginMismatch,
    SigInvalid,
)

_UNSIGNED: Final = (KidUnknown, KeyWrongUse, KeyNotActive, SigInvalid, OriginMismatch)


@dataclass(frozen=True, slots=True)
class Syncer:
    """Synchronises one session."""

    session: Session
    consents: Consents
    receiver: Receiver
    regranter: Regranter
    deletions: Deletions
    requests: Requests
    prints: Prints
    history: History

    def sync(self) -> SyncReport:
        """Everything that an agency should know before it works. Raises: see `Client.sync`."""
        directory = self.session.directory.sync()
        alarms = list(directory.alarms)
        shown = set[str]()
        for value in self._shown():
            shown.add(str(value.get("cid")))
            alarms += self._take(value)
            alarms += self._reassert(value)
        if self.session.profile.kind == "commission":
            alarms += [one.sentence() for one in Notices(self.session).collect()]
        self._register_kept()
        alarms += self._register_lost(shown)
        alarms += self.regranter.for_revoked_keys().failed
        self.receiver.acknowledge_kept()
        unopened = Unopened(lambda: self.receiver.inbox(waiting_only=True))
        due = [
            *self.deletions.catch_up(unopened),
            *self.requests.due(unopened),
            *self.prints.catch_up(),
            *self.history.due(),
            *Retention(self.session).reminder(),
        ]
        alarms += unopened.alarms
        fetched = self._collect(alarms)
        return SyncReport(
            directory.size, directory.new_events, len(shown), fetched, tuple(alarms), tuple(due)
        )

    def _collect(self, alarms: list[str]) -> int:
        """Fetch the receipts that are owed; a log that is not the one it was stops nothing else here."""
        try:
            receipts = self.session.receipts.collect(
                lambda ident: self.session.hub.get(f"/v1/audit/receipts/{ident}")
            )
        except LogFork as error:
            alarms.append(f"{error.message}: `exchange-agency audit` says more")
            return 0
        alarms += [_gone(ident) for ident in receipts.gone]
        return receipts.fetched

    def take_shown(self) -> list[str]:
        """Take over the consents and withdrawals that the hub shows, and no more; sentences of alarm."""
        return [alarm for value in self._shown() for alarm in self._take(value)]

    def _shown(self) -> Iterator[Mapping[str, JsonValue]]:
        """What the hub shows of every consent of or for this agency, a page at a time."""
        for page in pages(self.session.hub, "/v1/consents"):
            for value in page.items:
                if not isinstance(value, dict):
                    raise Malformed("consents: an object is needed", field="consents")
                yield value

    def _take(self, value: Mapping[str, JsonValue]) -> list[str]:
        """Verify and keep one consent that the hub shows, and its withdrawal."""
        signed = Signed.from_json(value.get("consent"), Consent.LIMIT)
        consent = Consent.from_bytes(signed.payload)
        me, store = self.session.profile.agency, self.session.store
        if me not in (consent.iss, consent.rcp):
            return ["the hub shows a consent between other agencies: tell the operator"]
        collection = OWN if consent.iss == me else RECEIVED
        if rows.get(store, collection, consent.cid) is None:
            try:
                self._check_signers(signed, consent)
            except (KeyRevoked, KeyNotActive):
                # Its approver's key was revoked since. It is worth nothing; what else the hub shows is not.
                return []
            rows.put(store, collection, Granted(signed, registered=True))
            if consent.supersedes is not None:
                self._mark_superseded(collection, consent.supersedes)
        if value.get("status") == rows.SUPERSEDED:
            self._mark_superseded(collection, consent.cid)
        withdrawal = value.get("withdrawal")
        if withdrawal is None:
            return []
        return self._withdrawn(collection, Signed.from_json(withdrawal, Withdrawal.LIMIT))

    def _check_signers(self, signed: Signed, consent: Consent) -> None:
        signers_of(
            self.session.directory.state(),
            signed,
            Consent.typ,
            agency=consent.iss,
            use=APPROVER,
            signed_at=consent.iat,
            now=self.session.now(),
        )

    def _mark_superseded(self, collection: str, cid: str) -> None:
        """Of a consent for which a newer one is kept here; that the hub says so is not enough."""
        store = self.session.store
        row = rows.get(store, collection, cid)
        if row is not None and row.status == rows.ACTIVE and rows.superseding(store, collection, row):
            rows.put(store, collection, replace(row, status=rows.SUPERSEDED))

    def _withdrawn(self, collection: str, signed: Signed) -> list[str]:
        if collection == RECEIVED:
            return accept_withdrawal(self.session, signed)
        family = Withdrawal.from_bytes(signed.payload).family
        known = rows.found(self.session.store, OWN, "family", family)
        if all(row.status == rows.WITHDRAWN for row in known):
            return []
        try:
            ours = verified_withdrawal(self.session, signed).iss == self.session.profile.agency
        except _UNSIGNED:
            ours = False
        if not ours:
            return [
                "the hub shows a withdrawal of this agency that none of its approvers has signed; nothing "
                "was withdrawn: tell the commission"
            ]
        for row in known:
            rows.put(self.session.store, OWN, row.withdrawn_by(signed))
        self.consents.ask_after(known[-1])
        return ["the hub shows a withdrawal of this agency that was not made on this machine"]

    def _reassert(self, value: Mapping[str, JsonValue]) -> list[str]:
        """A withdrawal of ours that the hub does not show is asserted again."""
        row = rows.get(self.session.store, OWN, str(value.get("cid")))
        if row is None or row.status != rows.WITHDRAWN or value.get("withdrawal") is not None:
            return []
        self.consents.assert_withdrawal(row)
        return [
            "the hub did not show a withdrawal of this agency; it was asserted again "
            "(after an interrupted withdrawal this is right; otherwise the hub was rolled back)"
        ]

    def _register_kept(self) -> None:
        for row in list(rows.each(self.session.store, OWN)):
            if not row.registered and row.status == rows.ACTIVE:
                self.consents.register(row)

    def _register_lost(self, shown: Collection[str]) -> list[str]:
        """What was registered and the hub does not show any more, oldest first; sentences of alarm."""
        now, alarms = self.session.now(), list[str]()
        for row in list(rows.each(self.session.store, OWN)):
            lost = row.registered and row.consent.cid not in shown
            if lost and row.status in (rows.ACTIVE, rows.SUPERSEDED) and row.consent.exp > now:
                alarms += self.consents.register_again(row)
        return alarms


def _gone(entry_id: str) -> str:
    return (
        f"the hub does not have the entry {entry_id} of its log any more, which it owes this agency: "
        "tell the operator and the commission"
    )
