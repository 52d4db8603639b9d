"""C13 to C16, C18 and C20: authority, screening, stage and the sharing agreement."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.consent import (
    NO_POLICY,
    Agreement,
    Allow,
    Confirmation,
    Deny,
    Party,
    Policy,
    Side,
)
from exchange_schemas.consent import Screening
from exchange_schemas.ids import AgencyId, EnvelopeId
from tests.unit.consent.sharing import (
    ABROAD,
    EVIDENCE,
    FIELDS,
    FINDER,
    HOLDER,
    NOW,
    ONE,
    OTHER_THREAD,
    TWO,
    authority,
    confirmation,
    consent,
    judge,
    request,
    rule_of,
)


def test_c13_each_subject_needs_an_authority() -> None:
    asked = request(kind="information_response", fields=("relatives",))
    assert judge(asked) == Allow()
    decision = judge(asked, consent(authorities=(authority("child"),)))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C13-authority", "relatives")


def test_c13_a_field_about_two_subjects_needs_both() -> None:
    asked = request(kind="information_response", purpose="verify", fields=("dna_step",))
    both = consent(fields=("dna_step",))
    assert judge(asked, both) == Allow()
    for about in ("child", "relative"):
        assert rule_of(judge(asked, replace(both, authorities=(authority(about),)))) == "C13-authority"


def test_c13_an_authority_on_a_basis_that_does_not_exist_is_none() -> None:
    assert rule_of(judge(given_consent=consent(authorities=(authority("child", "wish"),)))) == "C13-authority"


def test_c13_only_the_subjects_of_the_fields_that_are_sent_count() -> None:
    assert judge(given_consent=consent(authorities=(authority("child"),))) == Allow()


@pytest.mark.parametrize(
    "sender",
    [
        replace(HOLDER, public_authority=True),
        *(replace(HOLDER, kind=kind) for kind in ("embassy", "authority", "court")),
    ],
)
def test_c14_a_public_authority_cannot_rest_a_transfer_abroad_on_consent(sender: Party) -> None:
    resting = consent(authorities=(authority("child", "consent"),))
    assert rule_of(judge(given_consent=resting, sender=sender, recipient=ABROAD)) == "C14-third-country"
    assert judge(given_consent=resting, sender=sender) == Allow()
    assert judge(given_consent=resting, recipient=ABROAD) == Allow()
    assert judge(sender=sender, recipient=ABROAD) == Allow()


def test_c15_vital_interest_counts_for_72_hours_at_most() -> None:
    resting = consent(
        authorities=(authority("child", "vital_interest"),), nbf=NOW, exp=NOW + timedelta(hours=72)
    )
    assert judge(given_consent=resting) == Allow()
    longer = replace(resting, exp=resting.exp + timedelta(seconds=1))
    assert rule_of(judge(given_consent=longer)) == "C15-vital-interest"
    other = replace(longer, authorities=(*longer.authorities, authority("child", "legal_obligation")))
    assert judge(given_consent=other) == Allow()


PUBLIC = [
    *(replace(FINDER, kind=kind) for kind in ("embassy", "authority", "court")),
    replace(FINDER, public_authority=True),
    replace(FINDER, kind="commission", public_authority=True),
]


@pytest.mark.parametrize("recipient", PUBLIC)
def test_c16_embassies_and_public_authorities_need_a_cleared_screening(recipient: Party) -> None:
    cleared = consent(screening=Screening(state="cleared", evidence_digest=EVIDENCE))
    assert judge(given_consent=cleared, recipient=recipient) == Allow()
    for screening in (
        Screening(state="not_required"),
        Screening(state="cleared"),
        Screening(state="pending", evidence_digest=EVIDENCE),
    ):
        for side in (Side.SENDER, Side.HUB):
            decision = judge(given_consent=consent(screening=screening), recipient=recipient, side=side)
            assert rule_of(decision) == "C16-screening"
        assert (
            judge(given_consent=consent(screening=screening), recipient=recipient, side=Side.RECIPIENT)
            == Allow()
        )


def test_c16_break_glass_does_not_override_screening() -> None:
    urgent = consent(
        authorities=(authority("child", "vital_interest"),), nbf=NOW, exp=NOW + timedelta(hours=1)
    )
    assert rule_of(judge(given_consent=urgent, recipient=PUBLIC[0])) == "C16-screening"


@pytest.mark.parametrize("kind", ["ngo", "health", "un_agency", "commission"])
def test_c16_other_recipients_need_none(kind: str) -> None:
    assert judge(recipient=replace(FINDER, kind=kind)) == Allow()


LATE = request(kind="information_response", purpose="care", fields=("current_facility",))
LATE_CONSENT = consent(fields=("current_facility",), pur=("care",), after=(ONE, TWO))


def test_c18_the_place_of_a_child_needs_both_sides_confirmation() -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO)}
    for side in Side:
        assert judge(LATE, LATE_CONSENT, confirmations=both, side=side) == Allow()
        swapped = replace(LATE_CONSENT, after=(TWO, ONE))
        assert judge(LATE, swapped, confirmations=both, side=side) == Allow()
        answered_first = {ONE: confirmation(ONE, in_reply_to=TWO), TWO: confirmation(TWO, in_reply_to=None)}
        assert judge(LATE, LATE_CONSENT, confirmations=answered_first, side=side) == Allow()


@pytest.mark.parametrize(
    "found",
    [
        {},
        {ONE: confirmation(ONE)},
        {TWO: confirmation(TWO)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, in_reply_to=None)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, in_reply_to=TWO)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, kind="match_answer")},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, thread=OTHER_THREAD)},
        {ONE: confirmation(ONE, thread=OTHER_THREAD), TWO: confirmation(TWO, thread=OTHER_THREAD)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, sender=AgencyId("third"))},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, recipient=AgencyId("third"))},
        {ONE: confirmation(ONE), TWO: replace(confirmation(ONE), eid=TWO, in_reply_to=ONE)},
        {ONE: confirmation(ONE), TWO: confirmation(ONE)},
    ],
)
def test_c18_anything_less_is_too_early(found: dict[EnvelopeId, Confirmation]) -> None:
    for side in Side:
        decision = judge(LATE, LATE_CONSENT, confirmations=found, side=side)
        assert isinstance(decision, Deny)
        assert (decision.rule, decision.field) == ("C18-stage", "current_facility")


def test_c18_a_consent_without_after_does_not_reach_the_place() -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO)}
    assert rule_of(judge(LATE, replace(LATE_CONSENT, after=None), confirmations=both)) == "C18-stage"


@pytest.mark.parametrize("decision", ["not_same_child", "unsure", None])
def test_c18_who_can_read_the_confirmations_must_find_agreement(decision: str | None) -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO, decision=decision)}
    for side in (Side.SENDER, Side.RECIPIENT):
        assert rule_of(judge(LATE, LATE_CONSENT, confirmations=both, side=side)) == "C18-stage"
    assert judge(LATE, LATE_CONSENT, confirmations=both, side=Side.HUB) == Allow()


def test_c20_the_sharing_agreement_of_the_two_kinds_must_allow_it() -> None:
    full = Agreement(frozenset({"trace"}), frozenset(FIELDS))
    assert judge(policy=Policy({("ngo", "ngo"): full})) == Allow()
    assert judge(policy=NO_POLICY) == Allow()
    for policy in (
        Policy({}),
        Policy({("ngo", "court"): full}),
        Policy({("ngo", "ngo"): replace(full, purposes=frozenset({"care"}))}),
    ):
        assert rule_of(judge(policy=policy)) == "C20-policy"
    decision = judge(policy=Policy({("ngo", "ngo"): replace(full, fields=full.fields - {"sex"})}))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C20-policy", "sex")
