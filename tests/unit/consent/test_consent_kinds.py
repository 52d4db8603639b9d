"""C17, and the kinds that rest on no consent or only point at one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.consent import (
    Allow,
    ConsentStanding,
    Decision,
    Deny,
    ShareRequest,
    Status,
    decide,
)
from exchange_schemas.consent import Consent
from exchange_schemas.ids import AgencyId
from tests.unit.consent.sharing import (
    CATALOGUE,
    FIELDS,
    FINDER,
    HOLDER,
    NOW,
    OTHER_CHILD,
    OTHER_THREAD,
    consent,
    judge,
    request,
    rule_of,
)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(kind="gossip"), "kind"),
        (request(fields=FIELDS[1:]), "child_ref"),
        (request(fields=(*FIELDS, "relatives")), "relatives"),
        (request(fields=(*FIELDS, "candidate_ref")), "candidate_ref"),
        (request(fields=(*FIELDS, "religion")), None),
        (request(fields=()), "child_ref"),
    ],
)
def test_c17_a_message_carries_what_its_kind_needs_and_may_carry(
    asked: ShareRequest, field: str | None
) -> None:
    decision = judge(asked)
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C17-kind", field)
    assert "religion" not in decision.reason


def test_c17_message_fields_need_no_consent_of_their_own() -> None:
    asked = request(kind="information_response", fields=("name_given", "refusals"))
    assert judge(asked, consent(fields=("name_given",))) == Allow()


REFERENCE = request(kind="deletion_receipt", fields=("deletion_outcome",))
BACK = replace(REFERENCE, sender=FINDER.agency, recipient=HOLDER.agency)


def test_a_reference_may_point_at_a_withdrawn_or_expired_consent_from_either_side() -> None:
    old = consent(exp=NOW - timedelta(days=1))
    standing = ConsentStanding(Status.WITHDRAWN)
    assert judge(REFERENCE, old, standing) == Allow()
    assert judge(BACK, old, standing, sender=FINDER, recipient=HOLDER) == Allow()
    assert judge(replace(REFERENCE, subj=None), old, standing) == Allow()


@pytest.mark.parametrize(
    ("asked", "given_consent", "rule"),
    [
        (REFERENCE, consent(rcp=AgencyId("third")), "C03-issuer"),
        (BACK, consent(iss=AgencyId("third")), "C03-issuer"),
        (REFERENCE, consent(origin="other.test"), "C02-origin"),
        (replace(REFERENCE, subj=OTHER_CHILD), consent(), "C08-subject"),
        (REFERENCE, consent(thread=OTHER_THREAD), "C09-thread"),
        (replace(REFERENCE, purpose="research"), consent(), "C10-purpose"),
    ],
)
def test_a_reference_points_at_a_consent_of_these_two_agencies(
    asked: ShareRequest, given_consent: Consent, rule: str
) -> None:
    assert rule_of(judge(asked, given_consent)) == rule


def without_consent(asked: ShareRequest) -> Decision:
    return decide(asked, None, ConsentStanding(), FINDER, NOW, CATALOGUE, sender=HOLDER)


def test_a_kind_without_authority_needs_no_consent_but_a_purpose() -> None:
    asked = request(kind="information_request", fields=("asked_fields", "need_code"), cns=None, subj=None)
    assert without_consent(asked) == Allow()
    assert rule_of(without_consent(replace(asked, purpose="research"))) == "C10-purpose"


def test_a_reference_that_names_a_consent_nobody_knows_is_refused() -> None:
    assert rule_of(without_consent(REFERENCE)) == "C01-unknown"
    assert without_consent(replace(REFERENCE, cns=None)) == Allow()


@pytest.mark.parametrize(
    "kind", [kind.name for kind in CATALOGUE.kinds.values() if kind.authority != "consent"]
)
def test_no_field_of_a_record_goes_without_a_consent(kind: str) -> None:
    needed = [need[0][0] for need in CATALOGUE.kinds[kind].needs]
    decision = judge(request(kind=kind, fields=(*needed, "photo", "name_given")))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C17-kind", "name_given")


def test_what_the_kind_needs_and_lacks_is_said_as_missing_and_not_as_too_much() -> None:
    decision = judge(request(fields=("child_ref", "name_given", "sex", "current_area")))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C17-kind", "age_range")
    assert decision.reason == "age_range: found_notice needs age_range"
    too_much = judge(request(fields=("child_ref", "travel_step")))
    assert isinstance(too_much, Deny)
    assert too_much.reason == "travel_step: not what this kind of message carries"


def test_the_senders_grant_for_itself_is_no_sharing_but_still_a_message() -> None:
    own = request(recipient=HOLDER.agency, cns=None, subj=None)
    assert decide(own, None, ConsentStanding(), HOLDER, NOW, CATALOGUE, sender=HOLDER) == Allow()
    bad = replace(own, fields=("child_ref",))
    assert rule_of(decide(bad, None, ConsentStanding(), HOLDER, NOW, CATALOGUE, sender=HOLDER)) == "C17-kind"
