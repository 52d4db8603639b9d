"""`decide` and its steps C01 to C18 and C20, in the order that the package docstring gives.

Fields are compared as sets, against those that the catalogue keeps ready by purpose, subject and stage.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from exchange.consent.refusals import deny, first_field
from exchange.consent.values import (
    NO_POLICY,
    Allow,
    Confirmation,
    ConsentStanding,
    Decision,
    Deny,
    Party,
    Policy,
    ShareRequest,
    Side,
    Status,
)
from exchange_schemas.catalogue import Catalogue, check_kind
from exchange_schemas.consent import VITAL_INTEREST, Consent
from exchange_schemas.errors import FieldDenied
from exchange_schemas.ids import EnvelopeId
from exchange_schemas.limits import LIMITS

VITAL_INTEREST_MOST: Final = timedelta(hours=72)
SCREENED_KINDS: Final = frozenset({"embassy", "authority", "court"})
CONFIRMED_STAGE: Final = "match_confirmed"
"""The `stage` in the catalogue of fields that need both sides' confirmation."""
_ALLOWED: Final = Allow()
_NO_FIELDS: Final[frozenset[str]] = frozenset()
_NO_TIME: Final = timedelta(0)
_NOTHING: Final[Mapping[EnvelopeId, Confirmation]] = MappingProxyType({})


@dataclass(slots=True)
class _Case:
    """One request with all that its decision rests on; `needed` are its fields of a record."""

    request: ShareRequest
    standing: ConsentStanding
    sender: Party
    recipient: Party
    now: datetime
    catalogue: Catalogue
    side: Side
    confirmations: Mapping[EnvelopeId, Confirmation]
    policy: Policy
    needed: frozenset[str]


def decide(  # noqa: PLR0917 - these six are what every decision rests on
    request: ShareRequest,
    consent: Consent | None,
    standing: ConsentStanding,
    recipient: Party,
    now: datetime,
    catalogue: Catalogue,
    *,
    sender: Party,
    side: Side = Side.HUB,
    confirmations: Mapping[EnvelopeId, Confirmation] = _NOTHING,
    policy: Policy = NO_POLICY,
    whole: bool = True,
) -> Decision:
    """Decide one grant by the steps at the top of this package; `now` is aware UTC.

    `consent` is the one that the grant names, its signature already verified; `confirmations` are the
    envelopes that the decider found under the consent's `after`; `policy` the sharing agreements in force.
    `whole=False` is for dry runs alone: the parts are judged without what else the kind needs. A message goes
    as a whole or not at all. Whatever a caller sent, it never raises.
    """
    needed = catalogue.record_fields.intersection(request.fields)
    case = _Case(request, standing, sender, recipient, now, catalogue, side, confirmations, policy, needed)
    denied = _kind(case, whole=whole)
    if denied is None and request.sender != request.recipient:
        denied = _authority(case, consent)
    return _ALLOWED if denied is None else denied


def _authority(case: _Case, consent: Consent | None) -> Deny | None:
    """Every step after C17."""
    if case.catalogue.kinds[case.request.kind].authority == "consent":
        return _decide_consent(case, consent)
    if consent is None:
        return _purpose_of_kind(case) if case.request.cns is None else deny("C01-unknown")
    return _first(_REFERENCE_STEPS, case, consent)


def _first(steps: "tuple[_Step, ...]", case: _Case, consent: Consent) -> Deny | None:
    for step in steps:
        denied = step(case, consent)
        if denied is not None:
            return denied
    return None


def _decide_consent(case: _Case, consent: Consent | None) -> Deny | None:
    if consent is None:
        return deny("C01-unknown")
    denied = _first(_CONSENT_STEPS, case, consent)
    if denied is not None or case.standing.status != Status.SUPERSEDED:
        return denied
    newest = case.standing.newest
    if newest is None or newest.family != consent.family:
        return deny("C06-superseded")
    denied = _first(_CONSENT_STEPS, case, newest)
    return None if denied is None else deny("C06-superseded", denied.field)


def _kind(case: _Case, *, whole: bool) -> Deny | None:
    kind = case.catalogue.kinds.get(case.request.kind)
    if kind is None:
        return deny("C17-kind", "kind")
    if kind.authority != "consent" and case.needed:
        return first_field("C17-kind", case.needed)
    try:
        check_kind(case.catalogue, kind.name, case.request.fields, needs=whole)
    except FieldDenied as error:
        return deny("C17-kind", error.field, why=error.message if error.rule == "needs" else None)
    return None


def _origin(case: _Case, consent: Consent) -> Deny | None:
    return None if consent.origin == case.request.origin else deny("C02-origin")


def _issuer(case: _Case, consent: Consent) -> Deny | None:
    return None if consent.iss == case.request.sender == case.sender.agency else deny("C03-issuer")


def _either_party(case: _Case, consent: Consent) -> Deny | None:
    parties = {case.request.sender, case.request.recipient}
    return None if {consent.iss, consent.rcp} == parties else deny("C03-issuer")


def _recipient(case: _Case, consent: Consent) -> Deny | None:
    return None if consent.rcp == case.request.recipient == case.recipient.agency else deny("C04-recipient")


def _withdrawn(case: _Case, _: Consent) -> Deny | None:
    given = case.standing.status in (Status.ACTIVE, Status.SUPERSEDED)
    return None if given else deny("C05-withdrawn")


def _time(case: _Case, consent: Consent) -> Deny | None:
    leeway = _NO_TIME if case.side == Side.HUB else LIMITS.clock_leeway
    valid = consent.nbf <= case.now + leeway and case.now - leeway < consent.exp
    return None if valid else deny("C07-time")


def _subject(case: _Case, consent: Consent) -> Deny | None:
    return None if consent.subj == case.request.subj else deny("C08-subject", "subj")


def _subject_if_named(case: _Case, consent: Consent) -> Deny | None:
    return None if case.request.subj is None else _subject(case, consent)


def _thread(case: _Case, consent: Consent) -> Deny | None:
    return None if consent.thread in (None, case.request.thread) else deny("C09-thread", "thread")


def _purpose_of_kind(case: _Case, _: Consent | None = None) -> Deny | None:
    purpose, served = case.request.purpose, case.catalogue.kinds[case.request.kind].purposes
    fits = purpose in case.catalogue.purpose_labels and (served is None or purpose in served)
    return None if fits else deny("C10-purpose", "pur")


def _purpose(case: _Case, consent: Consent) -> Deny | None:
    return _purpose_of_kind(case) if case.request.purpose in consent.pur else deny("C10-purpose", "pur")


def _fields(case: _Case, consent: Consent) -> Deny | None:
    return first_field("C11-field", case.needed.difference(consent.fields))


def _field_purposes(case: _Case, _: Consent) -> Deny | None:
    served = case.catalogue.fields_for.get(case.request.purpose, _NO_FIELDS)
    return first_field("C12-field-purpose", case.needed - served)


def _authorities(case: _Case, consent: Consent) -> Deny | None:
    abroad = _is_public(case.sender) and case.sender.country != case.recipient.country
    too_long = consent.exp - consent.nbf > VITAL_INTEREST_MOST
    for about, names in case.catalogue.fields_about.items():
        if case.needed.isdisjoint(names):
            continue
        bases = {item.basis for item in consent.authorities if item.about == about}
        rule = "C13-authority"
        if abroad and "consent" in bases:
            rule = "C14-third-country"
            bases.discard("consent")
        if too_long and VITAL_INTEREST in bases:
            rule = "C15-vital-interest"
            bases.discard(VITAL_INTEREST)
        if bases.isdisjoint(case.catalogue.basis_labels):
            return first_field(rule, case.needed & names)
    return None


def _is_public(party: Party) -> bool:
    return party.public_authority or party.kind in SCREENED_KINDS


def _screening(case: _Case, consent: Consent) -> Deny | None:
    if case.side == Side.RECIPIENT or not _is_public(case.recipient):
        return None
    cleared = consent.screening.state == "cleared" and consent.screening.evidence_digest is not None
    return None if cleared else deny("C16-screening", "screening")


def _stage(case: _Case, consent: Consent) -> Deny | None:
    late = case.needed & case.catalogue.fields_after.get(CONFIRMED_STAGE, _NO_FIELDS)
    if not late or (consent.after is not None and _confirmed(case, consent.after)):
        return None
    return first_field("C18-stage", late)


def _confirmed(case: _Case, after: tuple[EnvelopeId, EnvelopeId]) -> bool:
    """Whether both envelopes exist, one from each side in this thread, one in answer to the other."""
    first, second = case.confirmations.get(after[0]), case.confirmations.get(after[1])
    if first is None or second is None:
        return False
    ways = {(first.sender, first.recipient), (second.sender, second.recipient)}
    here, there = case.request.sender, case.request.recipient
    return (
        (first.eid, second.eid) == after
        and {first.kind, second.kind} == {"match_confirmation"}
        and {first.thread, second.thread} == {case.request.thread}
        and ways == {(here, there), (there, here)}
        and (first.in_reply_to == second.eid or second.in_reply_to == first.eid)
        and (case.side == Side.HUB or {first.decision, second.decision} == {"same_child"})
    )


def _policy(case: _Case, _: Consent) -> Deny | None:
    if case.policy.agreements is None:
        return None
    kinds = f"{case.sender.kind} to {case.recipient.kind}"
    agreement = case.policy.agreements.get((case.sender.kind, case.recipient.kind))
    if agreement is None:
        why = f"no sharing agreement lets anything go from {kinds}"
        return deny("C20-policy", "rcp", why=why, unless="another recipient")
    if case.request.purpose not in agreement.purposes:
        why = f"the sharing agreement from {kinds} is not for this purpose"
        return deny("C20-policy", "pur", why=why, unless=f"one of {', '.join(sorted(agreement.purposes))}")
    outside = min(case.needed - agreement.fields, default=None)
    if outside is None:
        return None
    why = f"the sharing agreement from {kinds} never lets it go"
    return deny("C20-policy", outside, why=why, unless="leaving it out")


_Step = Callable[[_Case, Consent], Deny | None]
_CONSENT_STEPS: Final[tuple[_Step, ...]] = (
    _origin,
    _issuer,
    _recipient,
    _withdrawn,
    _time,
    _subject,
    _thread,
    _purpose,
    _fields,
    _field_purposes,
    _authorities,
    _screening,
    _stage,
    _policy,
)
_REFERENCE_STEPS: Final[tuple[_Step, ...]] = (
    _origin,
    _either_party,
    _subject_if_named,
    _thread,
    _purpose_of_kind,
)
