"""This agency's consents: granted by an approver, registered at the hub, withdrawn for good.

One artefact for one recipient and one child; a family is a consent and those that supersede it. Nothing is
registered that the local decision would refuse. A consent is kept before it is registered, so that a lost
connection never leaves one at the hub that this agency does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus

from exchange.agency import consent_rows as rows
from exchange.agency import deletion_rows
from exchange.agency.consent_draft import Drafted, Family, draft, new_family
from exchange.agency.consent_probe import probe
from exchange.agency.consent_rows import OWN, RECEIVED, Granted
from exchange.agency.deletion_rows import DUE, AskedDeletion
from exchange.agency.finality import may_pass
from exchange.agency.model import ConsentInfo, Record, Withdrawn
from exchange.agency.parties import party_of, policy_of
from exchange.agency.records import Records
from exchange.agency.release import require_sendable
from exchange.agency.terms import Terms, check_basis, fields_of
from exchange.agency.withholding import check_withheld, of_record
from exchange.consent import Party, check_approvers
from exchange.member.evidence import write_evidence
from exchange.member.session import Session
from exchange_keys.jws import sign
from exchange_keys.signing import SigningKey
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, parse_time
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.errors import (
    ConsentUnknown,
    ConsentWithdrawn,
    ExchangeError,
    HubRefused,
    HubUnreachable,
    NotFound,
    NotPermitted,
)
from exchange_schemas.ids import AgencyId, FamilyId, check_agency

MIN_PREFIX = 4


class Consents:
    """Granting, looking at and withdrawing consents."""

    def __init__(self, session: Session, records: Records) -> None:
        """Use `Client.consents`."""
        self._session = session
        self._store = session.store
        self._records = records

    def grant(self, record: str, *, to: str, terms: Terms, second: SigningKey | None = None) -> ConsentInfo:
        """Decide, sign, keep and register a consent for one recipient; needs an approver.

        `second` is another approver's key, which vital interest needs. Steps: (1) the record may be sent
        for every purpose (2) the basis fits the person (3) the consent rules would allow it (4) signed and
        kept (5) registered.
        Raises: NotPermitted, AuthorityMissing, ScreeningDenied, PurposeDenied, FieldDenied, RecipientDenied,
        Malformed; HubUnreachable when it is kept and `sync` will register it.
        """
        approver = self._session.require_approver()
        child = self._records.get(record)
        # (1) and (2) The holder's own rules.
        for purpose in terms.purposes:
            require_sendable(self._records.sendable(child), purpose)
        recipient = check_agency(to, field="to")
        self._session.directory.ensure_fresh(agencies=[recipient])
        drafted = self._decided(child, recipient, terms)
        # (4) It is ours before it is the hub's, and (5) the hub's.
        keys = [approver] if second is None else [approver, second]
        check_approvers(drafted.consent, [key.public.kid for key in keys])
        signed = sign(drafted.consent.to_bytes(), Consent.typ, keys)
        row = Granted(signed, record=child.ref, salt=drafted.salt, evidence=drafted.evidence)
        rows.put(self._store, OWN, row)
        try:
            return self.register(row).info(self._session.now())
        except HubUnreachable as error:
            if self._session.carried is None:
                error.hint = (
                    "the consent is kept; `exchange-agency directory sync` registers it, or the next send"
                )
            raise

    def _decided(self, child: Record, recipient: AgencyId, terms: Terms) -> Drafted:
        """Steps (2) and (3) of `grant`: the payload, which every rule that is known here allows."""
        session, catalogue, now = self._session, load_catalogue(), self._session.now()
        state = session.directory.state()
        me, other = party_of(state, session.profile.agency), party_of(state, recipient)
        policy = policy_of(state)
        ever = policy.lets(me, other)
        offered = child.fields.keys() if ever is None else child.fields.keys() & ever
        check_basis(terms, fields_of(terms, offered, catalogue), child.fields, now.date(), catalogue)
        # (3) The rules that the hub and the recipient apply too.
        check_withheld(self._store, child.ref, other)
        family = self._family(terms, child, recipient)
        drafted = draft(
            child, recipient, terms, session.profile, family, offered=offered, now=now, random=session.random
        )
        probe(drafted.consent, me, other, now=now, catalogue=catalogue, policy=policy)
        return drafted

    def register(self, row: Granted) -> Granted:
        """Register a kept consent; the same bytes again change nothing at the hub.

        Raises: the hub's refusal, after which the consent is no longer kept; HubUnreachable.
        """
        try:
            _, answer = self._session.hub.post("/v1/consents", {"consent": row.signed.to_json()})
        except ExchangeError as error:
            if not may_pass(error):
                self._store.delete(OWN, row.consent.cid)
            raise
        entry = self._session.receipts.id_of(answer.get("receipt"))
        registered = replace(row, registered=True).logged_as("registered", entry)
        with self._store.writing():
            rows.put(self._store, OWN, registered)
            self._supersede(registered)
        return registered

    def register_again(self, row: Granted) -> list[str]:
        """Register a consent that the hub does not show; what is wrong, nothing when it had it after all.

        It stays here whatever the hub says: a hub that lost it may say anything. Raises: HubUnreachable.
        """
        try:
            status, answer = self._session.hub.post("/v1/consents", {"consent": row.signed.to_json()})
        except HubUnreachable:
            raise
        except ExchangeError as error:
            return [
                f"the hub has lost the consent {row.consent.cid} and does not take it again ({error.code}): "
                "withdraw it here, and grant anew what is needed"
            ]
        if status != HTTPStatus.CREATED:
            return []
        entry = self._session.receipts.id_of(answer.get("receipt"))
        rows.put(self._store, OWN, row.logged_as("registered", entry))
        return [
            f"the hub had lost the consent {row.consent.cid}; it is registered again "
            "(the hub was put back to a backup: ask its operator)"
        ]

    def get(self, cid: str) -> ConsentInfo:
        """A consent by its id, or a beginning of at least 4 characters that is unique.

        Raises: ConsentUnknown.
        """
        return self.row(cid).info(self._session.now())

    def row(self, cid: str) -> Granted:
        """The kept consent behind `get`."""
        for collection in (OWN, RECEIVED):
            whole = rows.get(self._store, collection, cid)
            if whole is not None:
                return whole
        if len(cid) >= MIN_PREFIX:
            both = (row for collection in (OWN, RECEIVED) for row in rows.each(self._store, collection))
            matching = [row for row in both if row.consent.cid.startswith(cid)]
            if len(matching) == 1:
                return matching[0]
        raise ConsentUnknown("there is no such consent here", hint="see `exchange-agency consent list`")

    def each(self, *, record: str | None = None) -> Iterator[ConsentInfo]:
        """Consents that this agency granted, oldest first, or those for one record."""
        now = self._session.now()
        if record is None:
            return (row.info(now) for row in rows.each(self._store, OWN))
        ref = self._records.get(record).ref
        return (row.info(now) for row in rows.found(self._store, OWN, "record", ref))

    def standing_against_withholding(self, record: str) -> list[ConsentInfo]:
        """Active consents for a record to agencies that it is withheld from. Raises: RecordUnknown."""
        ref = self._records.get(record).ref
        listed = of_record(self._store, ref)
        found = [one for one in self.each(record=ref) if one.status == rows.ACTIVE and listed.entries]
        if not found:
            return []
        state = self._session.directory.state()
        return [
            one
            for one in found
            if (agency := state.agency(one.recipient)) is not None
            and listed.covers(Party(agency.agency, agency.kind, agency.country, agency.public_authority))
        ]

    def received(self) -> Iterator[ConsentInfo]:
        """Consents that other agencies granted to this one and that `sync` or `open` has verified."""
        now = self._session.now()
        return (row.info(now) for row in rows.each(self._store, RECEIVED))

    def withdraw(self, cid: str, *, reason: str = "consent_withdrawn") -> Withdrawn:
        """Withdraw the consent and its family, for good; needs an approver. `reason` is a reason_code.

        Raises: ConsentUnknown, NotPermitted (not ours), HubUnreachable.
        """
        (done,) = self.withdraw_all([cid], reason=reason)
        return done

    def withdraw_all(self, cids: Sequence[str], *, reason: str = "consent_withdrawn") -> list[Withdrawn]:
        """Withdraw the families of several consents; one answer for each family.

        All of them count here before the hub hears of the first: no lost connection leaves one in force.
        `sync` asserts each again until the hub shows it.
        Raises: ConsentUnknown, NotPermitted (not ours), HubUnreachable; the hub's first refusal, when it has
        heard of all.
        """
        approver = self._session.require_approver()
        families = {row.consent.family: row for row in map(self._own, cids)}
        with self._store.writing():
            for row in families.values():
                if row.withdrawal is None:
                    self._end_family(row.consent, reason, approver)
        done, refused = list[Withdrawn](), list[ExchangeError]()
        for row in families.values():
            try:
                done.append(self.assert_withdrawal(self.row(row.consent.cid)))
            except HubUnreachable as error:
                if self._session.carried is None:
                    error.hint = "it counts here already; `exchange-agency directory sync` tells the hub"
                raise
            except ExchangeError as error:
                # What the hub says of one must not keep the others from counting there at once.
                refused.append(error)
        if refused:
            raise refused[0]
        return done

    def _own(self, cid: str) -> Granted:
        row = self.row(cid)
        if row.consent.iss != self._session.profile.agency:
            raise NotPermitted(
                "only its issuer can withdraw a consent",
                rule="issuer",
                hint="ask for it: `exchange-agency send --kind withdrawal_request`",
            )
        return row

    def _end_family(self, consent: Consent, reason: str, approver: SigningKey) -> None:
        withdrawal = Withdrawal(
            origin=consent.origin,
            iss=consent.iss,
            family=consent.family,
            reason=reason,
            iat=self._session.now(),
        )
        signed = sign(withdrawal.to_bytes(), Withdrawal.typ, [approver])
        family = rows.found(self._store, OWN, "family", consent.family)
        for one in family:
            rows.put(self._store, OWN, one.withdrawn_by(signed))
        newest = family[-1].consent
        # Until the hub has said that nothing was delivered.
        asked = AskedDeletion(newest.family, newest.cid, newest.rcp, reason, DUE, withdrawal.iat)
        deletion_rows.put_asked(self._store, asked)

    def ask_after(self, row: Granted) -> None:
        """Ask for deletion after a withdrawal of ours that another machine made, or an operator carried.

        Two machines may both ask: the recipient owes the same answer to each request. Raises: HubUnreachable.
        """
        kept = self.row(row.consent.cid)
        if kept.withdrawal is None:
            return
        withdrawal = Withdrawal.from_bytes(kept.withdrawal.payload)
        consent = kept.consent
        asked = AskedDeletion(
            consent.family, consent.cid, consent.rcp, withdrawal.reason, DUE, withdrawal.iat
        )
        deletion_rows.put_asked(self._store, asked)
        # The hub gives its first answer again: how much had been delivered.
        self.assert_withdrawal(kept)

    def signed_withdrawal(self, cid: str) -> bytes:
        """The withdrawal of a consent as it was signed here, for an operator to carry to the hub.

        For when the hub does not let this agency in. Raises: ConsentUnknown, also when it is not withdrawn.
        """
        row = self.row(cid)
        if row.withdrawal is None:
            raise ConsentUnknown("this consent was not withdrawn", hint="exchange-agency consent withdraw")
        return row.withdrawal.to_bytes()

    def evidence(self, cid: str, *, with_subject: bool = False) -> bytes:
        """The evidence behind a consent of this agency, for an auditor who is entitled to it.

        `with_subject` opens which record it is about. Raises: ConsentUnknown, NotPermitted without an
        approver or when the evidence was deleted after its time.
        """
        self._session.require_approver()
        row = self._own(cid)
        if row.evidence is None or row.salt is None or row.record is None:
            raise NotPermitted("the evidence of this consent is not here any more", rule="evidence-gone")
        keys = self._session.directory.state().agencies[row.consent.iss].keys
        signers = {item.kid: keys[item.kid].public.raw for item in row.signed.signatures}
        opened = (row.salt, row.record) if with_subject else None
        return write_evidence(row.signed, signers, row.evidence, opened)

    def assert_withdrawal(self, row: Granted) -> Withdrawn:
        """Tell the hub of a kept withdrawal, again if need be. Raises: HubUnreachable, the hub's refusal."""
        if row.withdrawal is None:
            raise ConsentUnknown("this consent was not withdrawn")
        body: dict[str, JsonValue] = {"withdrawal": row.withdrawal.to_json()}
        family = FamilyId(row.consent.family)
        try:
            answer = self._tell_withdrawal(row, body)
        except NotFound:
            if row.registered:
                raise
            # The hub never heard of it, so nothing was ever given under it.
            done = Withdrawn(family, self._session.now().replace(microsecond=0), 0, 0)
        else:
            entry = self._session.receipts.id_of(answer.get("receipt"))
            rows.put(self._store, OWN, row.logged_as("withdrawn", entry))
            done = Withdrawn(
                family=family,
                effective=parse_time(answer.get("effective_at"), field="effective_at"),
                undelivered=_count(answer, "undelivered"),
                delivered=_count(answer, "delivered"),
            )
        asked = deletion_rows.asked(self._store, family)
        if done.delivered == 0 and asked is not None and asked.state == DUE:
            deletion_rows.drop_asked(self._store, family)
        return done

    def _tell_withdrawal(self, row: Granted, body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        path = f"/v1/consents/{row.consent.cid}/withdrawal"
        try:
            return self._session.hub.post(path, body)[1]
        except NotFound:
            # What a restored hub has lost can be withdrawn, and its recipient asked, once it is back.
            if not row.registered or not self.register_again(row):
                raise
        return self._session.hub.post(path, body)[1]

    def usable(self, record: str, recipient: AgencyId, *, cid: str | None = None) -> Granted:
        """The consent to send under: the named one, or the newest active one for record and recipient.

        Raises: ConsentUnknown, ConsentWithdrawn.
        """
        if cid is not None:
            return self.row(cid)
        now = self._session.now()
        found = rows.found(self._store, OWN, "pair", f"{record}/{recipient}")
        active = [row for row in found if row.info(now).status == rows.ACTIVE]
        if active:
            return active[-1]
        if any(row.status == rows.WITHDRAWN for row in found):
            raise ConsentWithdrawn(
                f"the consent for this record to {recipient} is withdrawn",
                rule="C05-withdrawn",
                hint="a new decision and a new consent are needed",
            )
        raise ConsentUnknown(
            f"there is no consent for this record to {recipient} that is valid now",
            rule="C01-unknown",
            hint=f"an approver grants one: `exchange-agency consent grant REF --to {recipient} ...`",
        )

    def newest_of(self, row: Granted) -> Granted:
        """The newest registered consent of the same family."""
        collection = OWN if row.consent.iss == self._session.profile.agency else RECEIVED
        found = rows.found(self._store, collection, "family", row.consent.family)
        return found[-1] if found else row

    def _family(self, terms: Terms, record: Record, recipient: AgencyId) -> Family:
        if terms.supersedes is None:
            return new_family(self._session.random)
        old = self.row(terms.supersedes)
        consent = old.consent
        if old.salt is None or (old.record, consent.rcp) != (record.ref, recipient):
            raise NotPermitted("a consent supersedes one for the same record and recipient", rule="family")
        if old.status == rows.WITHDRAWN:
            raise ConsentWithdrawn("a withdrawn family is never used again", hint="leave out --supersedes")
        return Family(FamilyId(consent.family), old.salt, consent.cid)

    def _supersede(self, newest: Granted) -> None:
        consent = newest.consent
        for one in rows.found(self._store, OWN, "family", consent.family):
            if one.consent.cid != consent.cid and one.status == rows.ACTIVE:
                rows.put(self._store, OWN, replace(one, status=rows.SUPERSEDED))


def _count(answer: dict[str, JsonValue], name: str) -> int:
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise HubRefused("the hub's answer to a withdrawal lacks its numbers", field=name)
    return value
