"""From a wish to a plan: whose consent, which fields for whom, and the local decision before anything leaves.

The steps, for one envelope:
  (1) the record may be sent for the purpose at all (release.py)
  (2) each recipient's own consent, or for a reference the consent it points at
  (3) each recipient's fields: what kind, consent and purpose allow of the record; or exactly those asked for
  (4) the consent decision for each recipient, and the rules that see all recipients or a value
  (5) the content: every value fits its field, and the kind has what it needs
A refusal names the rule; nothing was sealed or sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from exchange.agency import answers
from exchange.agency.attesting import arranges_release
from exchange.agency.confirmations import relation_verified
from exchange.agency.consent_rows import Granted
from exchange.agency.consents import Consents
from exchange.agency.corrections import check_correction
from exchange.agency.deciding import case_of, decide_case
from exchange.agency.links import Links, own_values
from exchange.agency.message_rows import get as opened_message
from exchange.agency.model import Message, Record
from exchange.agency.parties import party_of, policy_of
from exchange.agency.plan import Plan, PlannedGrant
from exchange.agency.records import Records
from exchange.agency.release import require_sendable
from exchange.agency.signatures import signers_of
from exchange.agency.withholding import check_withheld
from exchange.consent import check_detention, check_one_recipient, check_role, enforce
from exchange.directory.state import APPROVER
from exchange.member.session import Session
from exchange_schemas.catalogue import Catalogue, KindSpec, check_kind, load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.consent import Consent
from exchange_schemas.errors import (
    AuthorityMissing,
    FieldDenied,
    KeyNotActive,
    KeyRevoked,
    Malformed,
    PurposeDenied,
    RecordUnknown,
    SubjectMismatch,
)
from exchange_schemas.ids import AgencyId, EnvelopeId, ThreadId, check_agency, check_id, new_id
from exchange_schemas.message import validate_content

LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; see `Client.send`."""

    kind: str
    to: Sequence[str]
    record: str | None = None
    fields: Sequence[str] | None = None
    purpose: str | None = None
    consents: Sequence[str] = ()
    content: Mapping[str, JsonValue] = field(default_factory=dict)
    in_reply_to: str | None = None
    thread: str | None = None
    reply_by: datetime | None = None
    lasts: timedelta | None = None
    supersedes: EnvelopeId | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans envelopes for one session."""

    session: Session
    records: Records
    consents: Consents

    def plan(self, wish: Wish) -> Plan:
        """The decided plan of one envelope. Raises: the refusing rule's error."""
        catalogue = load_catalogue()
        kind = catalogue.kind(wish.kind)
        recipients = [check_agency(one, field="to") for one in wish.to]
        if not recipients or len(set(recipients)) != len(recipients):
            raise Malformed("to: every recipient is named once", field="to")
        record = None if wish.record is None else self.records.get(wish.record)
        answered = self.answered(wish)
        grants = tuple(
            self._grant(wish, kind, one, record=record, answered=answered, catalogue=catalogue)
            for one in recipients
        )
        plan = Plan(
            kind=kind.name,
            record=None if record is None else record.ref,
            values=self._values(wish, record, grants, catalogue),
            grants=grants,
            reply_by=wish.reply_by,
            in_reply_to=None if answered is None else answered.eid,
            supersedes=wish.supersedes,
        )
        self._check_whole(plan, catalogue)
        _check_story(self.session, plan, answered)
        return plan

    def answered(self, wish: Wish) -> Message | None:
        """The opened message that the wish answers. Raises: RecordUnknown."""
        if wish.in_reply_to is None:
            return None
        message = opened_message(self.session.store, wish.in_reply_to)
        if message is None:
            raise RecordUnknown(
                "the message to be answered was not opened here", field="in_reply_to", hint="open it first"
            )
        return message

    def _grant(
        self,
        wish: Wish,
        kind: KindSpec,
        to: AgencyId,
        *,
        record: Record | None,
        answered: Message | None,
        catalogue: Catalogue,
    ) -> PlannedGrant:
        bare, consent = self.bare(wish, to, record, answered)
        names = _names(wish, kind, record, consent, purpose=bare.purpose, catalogue=catalogue)
        if wish.fields is None:
            names = self._agreed(names, to)
        planned = replace(
            bare,
            fields=(*names, *sorted(wish.content)),
            own=self._own_values(names, to, record, catalogue),
        )
        self._decide(kind, planned, consent, catalogue)
        return planned

    def _agreed(self, names: tuple[str, ...], to: AgencyId) -> tuple[str, ...]:
        """What nobody asked for by name goes as far as the sharing agreements let it."""
        state = self.session.directory.state()
        ever = policy_of(state).lets(party_of(state, self.session.profile.agency), party_of(state, to))
        return names if ever is None else tuple(name for name in names if name in ever)

    def bare(
        self, wish: Wish, to: AgencyId, record: Record | None, answered: Message | None
    ) -> tuple[PlannedGrant, Granted | None]:
        """One recipient's grant with no part in it yet, and the consent that it rests on or points at.

        Raises: NotPermitted (step 1), ConsentUnknown, ConsentWithdrawn, SubjectMismatch, PurposeDenied.
        """
        kind = load_catalogue().kind(wish.kind)
        self._check_withheld(wish, kind, to, record, answered)
        consent = self._consent(wish, kind, to, record, answered)
        self._check_approvers(kind, consent)
        purpose = _purpose(wish, kind, consent, answered)
        if record is not None and kind.authority == "consent":
            # Step (1); the others are the methods below.
            require_sendable(self.records.sendable(record), purpose)
        planned = PlannedGrant(
            agency=to,
            cid=None if consent is None else consent.consent.cid,
            consent_digest=None if consent is None else consent.digest,
            subj=None if consent is None else consent.consent.subj,
            purpose=purpose,
            fields=(),
            own={},
            thread=self._thread(wish, to, record, consent, answered),
            expires=self._expires(wish, kind, consent),
        )
        return planned, consent

    def _check_withheld(
        self, wish: Wish, kind: KindSpec, to: AgencyId, record: Record | None, answered: Message | None
    ) -> None:
        """W01, also for a question about the child; what only refers to a consent has been there before."""
        if kind.authority == "reference":
            return
        ref = None if record is None else record.ref
        thread = wish.thread if wish.thread is not None or answered is None else answered.thread
        if ref is None and thread is not None:
            ref = Links(self.session.store, self.session.random).record_of(ThreadId(thread))
        check_withheld(self.session.store, ref, party_of(self.session.directory.state(), to))

    # -- (2) ---------------------------------------------------------------------------------------------

    def _consent(
        self, wish: Wish, kind: KindSpec, to: AgencyId, record: Record | None, answered: Message | None
    ) -> Granted | None:
        if kind.authority == "none":
            return None
        me = self.session.profile.agency
        for cid in wish.consents:
            row = self.consents.row(cid)
            if {row.consent.iss, row.consent.rcp} == {me, to}:
                if kind.authority == "consent":
                    _must_be_about(row, record)
                return row
        if kind.authority == "consent":
            if record is None:
                raise RecordUnknown(f"{kind.name} is about a record: name it, or the consent", field="record")
            return self.consents.usable(record.ref, to)
        if answered is not None and answered.consent is not None:
            return self.consents.row(answered.consent)
        return None

    def _check_approvers(self, kind: KindSpec, row: Granted | None) -> None:
        """A consent whose approver's key was revoked since is worth nothing to any recipient.

        Raises: AuthorityMissing.
        """
        if row is None or kind.authority != "consent":
            return
        consent, session = row.consent, self.session
        try:
            signers_of(
                session.directory.state(),
                row.signed,
                Consent.typ,
                agency=consent.iss,
                use=APPROVER,
                signed_at=consent.iat,
                now=session.now(),
            )
        except (KeyRevoked, KeyNotActive) as error:
            raise AuthorityMissing(
                f"the key that signed the consent to {consent.rcp} was revoked: it counts no more",
                rule="C13-authority",
                hint="an approver decides again: `exchange-agency consent grant`",
            ) from error

    # -- (4) ---------------------------------------------------------------------------------------------

    def _decide(
        self, kind: KindSpec, planned: PlannedGrant, row: Granted | None, catalogue: Catalogue
    ) -> None:
        # Its words say what is missing; the decision would only say that the kind does not fit.
        check_kind(catalogue, kind.name, planned.fields)
        case = case_of(self.session, self.consents, kind.name, planned, row)
        enforce(decide_case(self.session, case))
        check_role(kind.name, case.request.sender, case.consent, catalogue=catalogue)

    def _check_whole(self, plan: Plan, catalogue: Catalogue) -> None:
        me = self.session.profile.agency
        check_one_recipient([(one.agency, one.fields) for one in plan.grants], sender=me, catalogue=catalogue)
        care = plan.values.get("care_arrangement")
        for one in plan.grants:
            if isinstance(care, str) and "care_arrangement" in one.fields:
                verified = relation_verified(self.session.store, one.thread, me)
                check_detention(
                    care,
                    relation_verified=verified,
                    arranges_release=arranges_release(self.session.store, one.agency),
                )
            # Step (5).
            content = {name: plan.values[name] for name in one.fields if name in plan.values}
            validate_content(plan.kind, {**content, **one.own})

    # -- values ------------------------------------------------------------------------------------------

    def _values(
        self, wish: Wish, record: Record | None, grants: Sequence[PlannedGrant], catalogue: Catalogue
    ) -> dict[str, JsonValue]:
        wanted = {name for one in grants for name in one.fields if name not in one.own}
        found = (
            {} if record is None else {name: record.fields[name] for name in wanted if name in record.fields}
        )
        return {**found, **wish.content}

    def _own_values(
        self, names: Sequence[str], to: AgencyId, record: Record | None, catalogue: Catalogue
    ) -> dict[str, JsonValue]:
        if record is None:
            return {}
        return own_values(Links(self.session.store, self.session.random), names, to, record, catalogue)

    def _thread(
        self, wish: Wish, to: AgencyId, record: Record | None, row: Granted | None, answered: Message | None
    ) -> ThreadId:
        links = Links(self.session.store, self.session.random)
        if wish.thread is not None:
            return ThreadId(check_id(wish.thread, field="thread"))
        if answered is not None and answered.sender == to and answered.thread is not None:
            if record is not None:
                links.join(record.ref, to, answered.thread)
            return answered.thread
        if row is not None and row.consent.thread is not None:
            return row.consent.thread
        ref = record.ref if record is not None else None if row is None else row.record
        if ref is None:
            return ThreadId(new_id(self.session.random))
        return links.thread(ref, to)

    def _expires(self, wish: Wish, kind: KindSpec, row: Granted | None) -> datetime:
        now = self.session.now().replace(microsecond=0)
        wanted = now + (LIFE if wish.lasts is None else wish.lasts)
        if row is None or kind.authority != "consent":
            return wanted
        return min(wanted, row.consent.exp)


def _check_story(session: Session, plan: Plan, answered: Message | None) -> None:
    """The rules about what went before: an answer answers all that was asked, a correction corrects ours."""
    answers.check_declined(plan.kind, None if answered is None else answered.kind)
    if answered is not None and answered.kind == answers.REQUEST and plan.kind in answers.ANSWERS:
        answers.check_complete(answered.content, plan.values, [one.fields for one in plan.grants])
    if plan.kind == "correction":
        check_correction(session.store, plan)


def _must_be_about(row: Granted, record: Record | None) -> None:
    """A child's consent never carries another child's record; only its holder can tell."""
    if record is not None and row.record != record.ref:
        raise SubjectMismatch("the consent is about another record", field="consent", rule="C08-subject")


def _purpose(wish: Wish, kind: KindSpec, row: Granted | None, answered: Message | None) -> str:
    if wish.purpose is not None:
        return wish.purpose
    allowed = None if row is None else set(row.consent.pur)
    if kind.purposes is not None:
        allowed = set(kind.purposes) if allowed is None else allowed & kind.purposes
    if allowed is not None and len(allowed) == 1:
        return allowed.pop()
    if allowed is None:
        return "trace" if answered is None else answered.purpose
    if not allowed:
        raise PurposeDenied("the consent has no purpose of this kind", rule="C10-purpose", field="purpose")
    raise Malformed(
        "purpose: the consent has several, name one",
        field="purpose",
        hint=f"one of {', '.join(sorted(allowed))}",
    )


def _names(
    wish: Wish,
    kind: KindSpec,
    record: Record | None,
    row: Granted | None,
    *,
    purpose: str,
    catalogue: Catalogue,
) -> tuple[str, ...]:
    """(3) The record fields of one recipient, sorted by their number in the catalogue."""
    if record is None or kind.authority != "consent" or row is None:
        if wish.fields:
            raise FieldDenied(
                "this message carries no field of a record", field=min(wish.fields), rule="C17-kind"
            )
        return ()
    known = {*record.fields, "child_ref"}
    if wish.fields is not None:
        names = {catalogue.field(name).name for name in wish.fields}
        outside = sorted(names.difference(row.consent.fields))
        if outside:
            raise FieldDenied(
                f"{outside[0]}: not in the consent to {row.consent.rcp}",
                field=outside[0],
                rule="C11-field",
                hint="leave it out, or have an approver grant a consent with it",
            )
        missing = sorted(names - known)
        if missing:
            raise RecordUnknown(f"the record has no {missing[0]}", field=missing[0], rule="no-value")
        if "child_ref" in kind.allowed and "child_ref" in row.consent.fields:
            names.add("child_ref")
    else:
        allowed = kind.allowed.intersection(row.consent.fields)
        names = {name for name in known & allowed if purpose in catalogue.field(name).purposes}
    return tuple(sorted(names, key=lambda name: catalogue.field(name).number))
