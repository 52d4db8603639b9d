"""C01 to C12: consent, parties, standing, time, child, thread, purpose and fields."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import exchange.consent as rules
from exchange.consent import (
    RULES,
    Allow,
    ConsentStanding,
    Deny,
    Side,
    Status,
    decide,
    enforce,
)
from exchange_schemas.consent import Consent
from exchange_schemas.errors import error_codes, error_for
from exchange_schemas.ids import AgencyId, ConsentId, FamilyId
from tests.unit.consent.sharing import (
    CATALOGUE,
    FIELDS,
    FINDER,
    HOLDER,
    NOW,
    OTHER_CHILD,
    OTHER_THREAD,
    THREAD,
    consent,
    judge,
    request,
    rule_of,
)


def test_what_the_consent_lists_is_allowed() -> None:
    for side in Side:
        assert judge(side=side) == Allow()
    enforce(judge())


def test_the_consents_used_here_are_ones_that_can_be_signed() -> None:
    assert Consent.from_bytes(consent().to_bytes()) == consent()


def test_c01_no_consent_is_unknown() -> None:
    decision = decide(request(), None, ConsentStanding(), FINDER, NOW, CATALOGUE, sender=HOLDER)
    assert rule_of(decision) == "C01-unknown"


def test_c02_a_consent_of_another_deployment_is_refused() -> None:
    assert rule_of(judge(given_consent=consent(origin="other.test"))) == "C02-origin"


def test_c03_the_sender_must_be_the_issuer() -> None:
    third = replace(HOLDER, agency=AgencyId("third"))
    assert rule_of(judge(given_consent=consent(iss=third.agency))) == "C03-issuer"
    assert rule_of(judge(request(sender=third.agency), sender=third)) == "C03-issuer"
    assert rule_of(judge(sender=third)) == "C03-issuer"


def test_c04_the_recipient_must_be_the_consents() -> None:
    third = replace(FINDER, agency=AgencyId("third"))
    assert rule_of(judge(given_consent=consent(rcp=third.agency))) == "C04-recipient"
    assert rule_of(judge(request(recipient=third.agency), recipient=third)) == "C04-recipient"
    assert rule_of(judge(recipient=third)) == "C04-recipient"


def test_c05_a_withdrawn_consent_is_dead_whatever_else_it_says() -> None:
    for newest in (None, consent()):
        assert rule_of(judge(standing=ConsentStanding(Status.WITHDRAWN, newest))) == "C05-withdrawn"


def test_c05_a_status_that_nobody_knows_is_no_allowance() -> None:
    standing = ConsentStanding("revived")  # type: ignore[arg-type]  # what a faulty caller would pass
    assert rule_of(judge(standing=standing)) == "C05-withdrawn"


def test_c05_a_stranger_does_not_learn_that_a_consent_is_withdrawn() -> None:
    third = replace(HOLDER, agency=AgencyId("third"))
    decision = judge(request(sender=third.agency), standing=ConsentStanding(Status.WITHDRAWN), sender=third)
    assert rule_of(decision) == "C03-issuer"


def test_c06_a_superseded_consent_gives_what_the_newest_still_gives() -> None:
    newest = consent(cid=ConsentId("d" * 21 + "A"), fields=tuple(sorted(FIELDS)))
    assert judge(standing=ConsentStanding(Status.SUPERSEDED, newest)) == Allow()


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": ("child_ref", "name_given")},
        {"pur": ("verify",)},
        {"exp": NOW},
        {"nbf": NOW + timedelta(seconds=1)},
        {"rcp": AgencyId("third")},
        {"iss": AgencyId("third")},
        {"subj": OTHER_CHILD},
        {"thread": OTHER_THREAD},
        {"family": FamilyId("g" * 21 + "A")},
        {"origin": "other.test"},
    ],
)
def test_c06_a_superseded_consent_is_dead_where_the_newest_says_less(changes: dict[str, Any]) -> None:
    decision = judge(standing=ConsentStanding(Status.SUPERSEDED, consent(**changes)))
    assert rule_of(decision) == "C06-superseded"


def test_c06_a_superseded_consent_without_its_newest_is_dead() -> None:
    assert rule_of(judge(standing=ConsentStanding(Status.SUPERSEDED))) == "C06-superseded"


def test_c06_a_wider_newest_does_not_widen_the_consent_that_the_grant_names() -> None:
    standing = ConsentStanding(Status.SUPERSEDED, consent())
    assert rule_of(judge(given_consent=consent(exp=NOW), standing=standing)) == "C07-time"
    assert rule_of(judge(given_consent=consent(fields=("child_ref",)), standing=standing)) == "C11-field"


def test_c07_a_consent_is_valid_from_nbf_on_and_no_longer_at_exp() -> None:
    start, end = NOW, NOW + timedelta(hours=1)
    given_consent = consent(nbf=start, exp=end)
    second = timedelta(seconds=1)
    tick = timedelta(microseconds=1)
    for now, allowed in [
        (start - tick, False),
        (start, True),
        (end - tick, True),
        (end, False),
        (end + second, False),
    ]:
        decision = judge(given_consent=given_consent, now=now)
        assert (decision == Allow()) is allowed
        assert allowed or rule_of(decision) == "C07-time"


@pytest.mark.parametrize("side", [Side.SENDER, Side.RECIPIENT])
def test_c07_clients_allow_for_120_seconds_between_the_clocks(side: Side) -> None:
    given_consent = consent(nbf=NOW, exp=NOW + timedelta(hours=1))
    most = timedelta(seconds=120)
    for now, allowed in [
        (NOW - most, True),
        (NOW - most - timedelta(microseconds=1), False),
        (given_consent.exp + most - timedelta(microseconds=1), True),
        (given_consent.exp + most, False),
    ]:
        assert (judge(given_consent=given_consent, now=now, side=side) == Allow()) is allowed


def test_c07_the_last_moment_that_can_be_written_is_a_time_like_any_other() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert judge(given_consent=consent(exp=last), side=Side.RECIPIENT) == Allow()


def test_c08_one_childs_consent_cannot_carry_another_childs_record() -> None:
    denied = judge(request(subj=OTHER_CHILD))
    assert isinstance(denied, Deny)
    assert (denied.rule, denied.code) == ("C08-subject", "SUBJECT_MISMATCH")
    assert rule_of(judge(request(subj=None))) == "C08-subject"


def test_c09_a_consent_for_a_thread_is_for_that_thread() -> None:
    assert judge(given_consent=consent(thread=THREAD)) == Allow()
    assert rule_of(judge(given_consent=consent(thread=OTHER_THREAD))) == "C09-thread"


@pytest.mark.parametrize("purpose", ["document", "research", ""])
def test_c10_a_purpose_outside_the_consent_is_refused(purpose: str) -> None:
    denied = judge(request(purpose=purpose))
    assert isinstance(denied, Deny)
    assert (denied.rule, denied.code) == ("C10-purpose", "PURPOSE_DENIED")


def test_c10_a_purpose_that_the_catalogue_does_not_have_is_refused_even_if_consented() -> None:
    assert rule_of(judge(request(purpose="research"), consent(pur=("research",)))) == "C10-purpose"


def test_c10_a_kind_may_serve_some_purposes_only() -> None:
    answer = request(kind="match_answer", fields=("candidate_ref", "comparison"))
    assert judge(answer) == Allow()
    assert rule_of(judge(replace(answer, purpose="verify"))) == "C10-purpose"


def test_c11_every_field_must_be_in_the_consent_and_the_first_by_name_is_told() -> None:
    narrow = consent(fields=("child_ref", "current_area", "sex"))
    for fields in (FIELDS, FIELDS[::-1]):
        decision = judge(request(fields=fields), narrow)
        assert isinstance(decision, Deny)
        assert (decision.rule, decision.field) == ("C11-field", "age_range")


def test_c12_a_field_serves_its_own_purposes_only() -> None:
    decision = judge(
        request(kind="information_response", purpose="trace", fields=("nationality_claim",)),
        consent(fields=("nationality_claim",)),
    )
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C12-field-purpose", "nationality_claim")


def test_every_rule_is_in_the_prose_with_its_code_and_can_be_raised() -> None:
    prose = rules.__doc__
    assert prose is not None
    lines = prose.splitlines()
    for rule, (code, reason, remedy) in RULES.items():
        assert [line for line in lines if f" {rule} " in line and f" {code} " in f"{line} "], rule
        assert code in error_codes()
        assert reason
        assert remedy


def test_enforce_raises_the_class_of_the_code_with_all_that_the_denial_says() -> None:
    decision = judge(given_consent=consent(fields=("child_ref",)))
    assert isinstance(decision, Deny)
    with pytest.raises(error_for("FIELD_DENIED")) as caught:
        enforce(decision)
    error = caught.value
    assert (error.code, error.rule, error.field) == ("FIELD_DENIED", "C11-field", "age_range")
    assert (error.message, error.hint) == (decision.reason, decision.remedy)
