"""The sender's decision: what the consent rules are asked, gathered from this agency's own knowledge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from exchange.agency.confirmations import confirmations
from exchange.agency.consent_rows import Granted
from exchange.agency.consents import Consents
from exchange.agency.parties import party_of, policy_of
from exchange.agency.plan import PlannedGrant
from exchange.consent import (
    Confirmation,
    ConsentStanding,
    Decision,
    Party,
    Policy,
    Preview,
    ShareRequest,
    Side,
    Status,
    decide,
    preview,
)
from exchange.member.session import Session
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import Consent
from exchange_schemas.ids import EnvelopeId


@dataclass(frozen=True, slots=True)
class Case:
    """One recipient's grant as the rules see it."""

    request: ShareRequest
    consent: Consent | None
    standing: ConsentStanding
    recipient: Party
    sender: Party
    confirmations: Mapping[EnvelopeId, Confirmation]
    policy: Policy


def case_of(
    session: Session, consents: Consents, kind: str, planned: PlannedGrant, row: Granted | None
) -> Case:
    """The case of a planned grant under `row`. Raises: RecipientDenied when a party takes no part."""
    me, state = session.profile.agency, session.directory.state()
    consent = None if row is None else row.consent
    after = () if consent is None or consent.after is None else consent.after
    request = ShareRequest(
        origin=session.profile.deployment.origin,
        kind=kind,
        sender=me,
        recipient=planned.agency,
        purpose=planned.purpose,
        fields=planned.fields,
        thread=planned.thread,
        subj=planned.subj,
        cns=planned.consent_digest,
    )
    return Case(
        request=request,
        consent=consent,
        standing=_standing(consents, row),
        recipient=party_of(state, planned.agency),
        sender=party_of(state, me),
        confirmations=confirmations(session.store, after, me=me, other=planned.agency),
        policy=policy_of(state),
    )


def decide_case(session: Session, case: Case) -> Decision:
    """The sender's decision, now."""
    return decide(
        case.request,
        case.consent,
        case.standing,
        case.recipient,
        session.now(),
        load_catalogue(),
        sender=case.sender,
        side=Side.SENDER,
        confirmations=case.confirmations,
        policy=case.policy,
    )


def preview_case(session: Session, case: Case, names: Collection[str]) -> Preview:
    """The sender's dry run for these parts."""
    return preview(
        replace(case.request, fields=tuple(names)),
        case.consent,
        case.standing,
        case.recipient,
        session.now(),
        load_catalogue(),
        sender=case.sender,
        side=Side.SENDER,
        confirmations=case.confirmations,
        policy=case.policy,
    )


def _standing(consents: Consents, row: Granted | None) -> ConsentStanding:
    if row is None:
        return ConsentStanding()
    return ConsentStanding(Status(row.status), consents.newest_of(row).consent)
