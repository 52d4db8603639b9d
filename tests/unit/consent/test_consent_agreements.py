"""Sharing agreements (C20): they only narrow, and a refusal says what would make it lawful."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exchange.consent import Agreement, Allow, ConsentStanding, Deny, Policy, Side, Status, preview
from exchange_schemas.agreement import SharingAgreement
from tests.unit.consent.sharing import (
    CATALOGUE,
    FIELDS,
    FINDER,
    HOLDER,
    NOW,
    consent,
    judge,
    request,
    rule_of,
)

ALL = SharingAgreement(
    snd=("court", "ngo"), rcp=("ngo",), pur=("trace", "verify"), fields=tuple(sorted(FIELDS))
)
POLICY = Policy.of(3, [ALL])


def test_an_agreement_that_lets_all_of_it_go_changes_nothing() -> None:
    assert judge(policy=POLICY) == Allow()
    assert POLICY.version == 3


def test_without_a_pair_nothing_goes_and_the_refusal_names_both_kinds() -> None:
    for recipient in (replace(FINDER, kind="auditor"), replace(FINDER, kind="psychosocial")):
        denied = judge(policy=POLICY, recipient=recipient)
        assert isinstance(denied, Deny)
        assert (denied.rule, denied.code, denied.field) == ("C20-policy", "POLICY_DENIED", "rcp")
        assert f"from ngo to {recipient.kind}" in denied.reason
        assert "signed by the operators" in denied.remedy


def test_a_pair_has_a_direction() -> None:
    one_way = Policy.of(1, [replace(ALL, snd=("ngo",), rcp=("commission",))])
    back = replace(HOLDER, kind="commission")
    assert rule_of(judge(policy=one_way, sender=back)) == "C20-policy"
    assert judge(policy=one_way, recipient=replace(FINDER, kind="commission")) == Allow()


def test_another_purpose_is_refused_and_the_lawful_ones_are_named() -> None:
    denied = judge(policy=Policy.of(1, [replace(ALL, pur=("care", "health"))]))
    assert isinstance(denied, Deny)
    assert (denied.rule, denied.field) == ("C20-policy", "pur")
    assert denied.remedy.startswith("one of care, health, or ")


def test_the_first_field_outside_is_named_and_may_be_left_out() -> None:
    denied = judge(policy=Policy.of(1, [replace(ALL, fields=("child_ref", "name_given", "sex"))]))
    assert isinstance(denied, Deny)
    assert (denied.rule, denied.field) == ("C20-policy", "age_range")
    assert denied.remedy.startswith("leaving it out, or a new version")


def test_every_side_decides_it() -> None:
    for side in Side:
        assert rule_of(judge(policy=Policy.of(1, []), side=side)) == "C20-policy"


def test_an_empty_set_is_not_the_same_as_none() -> None:
    assert judge(policy=Policy()) == Allow()
    assert rule_of(judge(policy=Policy.of(1, []))) == "C20-policy"


def test_what_refers_to_a_consent_carries_no_field_and_needs_no_agreement() -> None:
    asked = request(kind="deletion_request", fields=("reason_code",))
    assert judge(asked, policy=Policy.of(1, []), standing=ConsentStanding(Status.WITHDRAWN)) == Allow()


def test_a_grant_for_itself_needs_no_agreement() -> None:
    asked = request(recipient=HOLDER.agency)
    assert judge(asked, policy=Policy.of(1, []), recipient=HOLDER) == Allow()


def test_the_dry_run_tells_it_part_by_part() -> None:
    policy = Policy.of(1, [replace(ALL, fields=("child_ref", "name_given", "sex"))])
    found = preview(
        request(),
        consent(),
        ConsentStanding(),
        FINDER,
        NOW,
        CATALOGUE,
        sender=HOLDER,
        confirmations={},
        policy=policy,
    )
    assert found.given == ("child_ref", "name_given", "sex")
    assert {(name, denied.rule) for name, denied in found.withheld} == {
        ("age_range", "C20-policy"),
        ("current_area", "C20-policy"),
    }


def test_what_may_ever_go_between_two_agencies() -> None:
    assert Policy().lets(HOLDER, FINDER) is None
    assert POLICY.lets(HOLDER, FINDER) == frozenset(FIELDS)
    assert POLICY.lets(HOLDER, replace(FINDER, kind="court")) == frozenset()


@given(
    st.frozensets(st.sampled_from(sorted(CATALOGUE.fields))),
    st.frozensets(st.sampled_from(CATALOGUE.purposes)),
    st.lists(st.sampled_from(FIELDS), unique=True),
)
def test_an_agreement_never_allows_what_a_consent_does_not(
    fields: frozenset[str], purposes: frozenset[str], asked: list[str]
) -> None:
    policy = Policy({("ngo", "ngo"): Agreement(purposes, fields)}, 1)
    wish = request(kind="information_response", fields=tuple(asked))
    without, with_it = judge(wish), judge(wish, policy=policy)
    inside = "trace" in purposes and fields.issuperset(asked)
    assert (with_it == Allow()) is (without == Allow() and inside)
    if isinstance(without, Deny):
        assert with_it == without
