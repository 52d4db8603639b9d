"""The holder's own rules: age, what a source allows, the terms of a consent. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agency.ages import age_of
from exchange.agency.model import Release
from exchange.agency.release import decided, require_sendable, sendable
from exchange.agency.terms import Terms, check_basis, expiry, fields_of, subjects_of
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import AuthorityMissing, FieldDenied, Malformed, NotPermitted

CATALOGUE = load_catalogue()
TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ALL = CATALOGUE.purposes
AGE: dict[str, JsonValue] = {"age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"}}
DECISION: dict[str, JsonValue] = {
    "procedure": "bia",
    "date": "2026-11-01",
    "body": "panel",
    "outcome": "for_sharing",
    "valid_until": "2027-05-01",
    "document_digest": "A" * 43,
}


def decision(**changes: str) -> dict[str, JsonValue]:
    return {**AGE, "best_interests_decision": {**DECISION, **changes}}


def terms(**changes: Any) -> Terms:
    given_: dict[str, Any] = {"purposes": ("trace",), "evidence": "file", "basis": "consent"}
    return Terms(**(given_ | changes))


# -- age ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "known", "adult", "majority"),
    [
        ({}, False, False, None),
        ({"birth_date": "2019"}, True, False, date(2037, 1, 1)),
        ({"birth_date": "2019-05"}, True, False, date(2037, 5, 1)),
        ({"birth_date": "2019-05-17"}, True, False, date(2037, 5, 17)),
        ({"birth_date": "2008-02-29"}, True, True, None),
        ({"birth_date": "2012-02-29"}, True, False, date(2030, 3, 1)),
        # Born in 2008: perhaps 18 already, perhaps only at the year's end.
        ({"birth_date": "2008"}, True, False, date(2026, 12, 31)),
        ({"birth_date": "2007"}, True, True, None),
        ({"age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"}}, True, False, date(2036, 5, 2)),
        ({"age_range": {"min": 16, "max": 25, "as_of": "2026-05-01"}}, True, False, date(2028, 5, 1)),
        ({"age_range": {"min": 18, "max": 20, "as_of": "2026-05-01"}}, True, True, None),
        ({"age_range": {"min": 17, "max": 18, "as_of": "2020-05-01"}}, True, True, None),
    ],
)
def test_age_is_the_youngest_possible_and_majority_the_earliest_to_come(
    fields: dict[str, JsonValue], known: bool, adult: bool, majority: date | None
) -> None:
    found = age_of(fields, TODAY)
    assert (found.known, found.adult, found.majority) == (known, adult, majority)


@given(
    low=st.integers(0, 25),
    width=st.integers(0, 25),
    as_of=st.dates(date(2015, 1, 1), date(2026, 11, 23)),
    born=st.none() | st.dates(date(2000, 1, 1), date(2026, 11, 1)),
)
def test_a_child_always_has_a_majority_to_come(low: int, width: int, as_of: date, born: date | None) -> None:
    fields: dict[str, JsonValue] = {
        "age_range": {"min": low, "max": min(25, low + width), "as_of": as_of.isoformat()}
    }
    if born is not None:
        fields["birth_date"] = born.isoformat()
    found = age_of(fields, TODAY)
    assert found.adult == (found.majority is None)
    assert found.majority is None or found.majority > TODAY or not found.adult


# -- release -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "release", "rule", "purposes"),
    [
        (AGE, Release(ALL), None, ALL),
        (AGE, Release(("trace",)), None, ("trace",)),
        (AGE, Release(ALL, withheld="import-withheld"), "S01-withheld", ()),
        (decision(), Release(ALL, withheld="import-withheld"), "S01-withheld", ()),
        (decision(outcome="against"), Release(ALL), "S02-against", ()),
        ({}, Release(ALL), "S03-age", ()),
        (AGE, Release((), needs_basis=True), "S04-basis", ()),
        (decision(), Release((), needs_basis=True), None, ALL),
        (decision(outcome="deferred"), Release((), needs_basis=True), "S04-basis", ()),
        (decision(valid_until="2026-11-22"), Release((), needs_basis=True), "S04-basis", ()),
        (decision(valid_until="2026-11-23"), Release((), needs_basis=True), None, ALL),
        (AGE, Release(()), "S05-purpose", ()),
        (decision(), Release(()), "S05-purpose", ()),
    ],
)
def test_what_a_source_forbids_stays_forbidden_and_a_decision_only_adds_a_basis(
    fields: dict[str, JsonValue], release: Release, rule: str | None, purposes: tuple[str, ...]
) -> None:
    found = sendable(fields, release, TODAY, ALL)
    assert (found.rule, found.purposes) == (rule, purposes)
    if rule is not None:
        with pytest.raises(NotPermitted) as caught:
            require_sendable(found, "trace")
        assert caught.value.rule == rule


def test_a_purpose_that_the_source_does_not_allow_is_refused() -> None:
    found = sendable(AGE, Release(("trace",)), TODAY, ALL)
    require_sendable(found, "trace")
    with pytest.raises(NotPermitted) as caught:
        require_sendable(found, "health")
    assert caught.value.rule == "S05-purpose"


def test_an_adult_is_sent_on_their_own_consent_only() -> None:
    assert sendable({"birth_date": "2000"}, Release(ALL), TODAY, ALL).own_consent_only


def test_a_decision_that_is_none_counts_as_none() -> None:
    assert decided({"best_interests_decision": "for_sharing"}, TODAY) is None
    assert decided({}, TODAY) is None


# -- terms -------------------------------------------------------------------------------------------------

RECORD: dict[str, JsonValue] = {
    **AGE,
    "name_given": {"text": "A"},
    "sex": "female",
    "relatives": [{"relation": "mother", "name": "B", "living": "no"}],
    "care_arrangement": "camp",
    "current_facility": "house",
    "health_need_codes": ["injury"],
    "languages": ["ar"],
}


def test_a_kind_takes_what_it_may_of_the_record_for_these_purposes() -> None:
    assert fields_of(terms(kind="found_notice"), RECORD, CATALOGUE) == (
        "age_range",
        "child_ref",
        "languages",
        "name_given",
        "sex",
    )
    referral = terms(kind="service_referral", purposes=("health",))
    assert fields_of(referral, RECORD, CATALOGUE) == (
        "age_range",
        "health_need_codes",
        "languages",
        "name_given",
        "sex",
    )


def test_a_late_field_comes_along_only_after_the_confirmations() -> None:
    late = terms(kind="service_referral", purposes=("health",), after=("A" * 22, "B" * 22))
    assert "current_facility" in fields_of(late, RECORD, CATALOGUE)


def test_named_fields_are_taken_as_they_are_with_the_reference() -> None:
    assert fields_of(terms(fields=("sex",)), RECORD, CATALOGUE) == ("child_ref", "sex")
    only_relatives = terms(fields=("relatives",), basis=None, bases={"relative": "consent"})
    assert fields_of(only_relatives, RECORD, CATALOGUE) == ("relatives",)


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(FieldDenied):
        fields_of(terms(fields=("colour",)), RECORD, CATALOGUE)
    with pytest.raises(Malformed):
        fields_of(terms(), RECORD, CATALOGUE)
    with pytest.raises(Malformed):
        fields_of(terms(kind="circus"), RECORD, CATALOGUE)
    nobody = terms(kind="found_notice", basis=None, bases={"caregiver": "consent"})
    with pytest.raises(Malformed):
        fields_of(nobody, RECORD, CATALOGUE)


def test_every_subject_needs_a_basis() -> None:
    assert subjects_of(("sex", "relatives", "dna_step"), CATALOGUE) == ("child", "relative")
    with pytest.raises(AuthorityMissing) as caught:
        check_basis(
            terms(basis=None, bases={"child": "consent"}), ("sex", "relatives"), RECORD, TODAY, CATALOGUE
        )
    assert caught.value.field == "relative"


def test_an_adult_needs_their_own_consent_and_nothing_else_counts() -> None:
    adult: dict[str, JsonValue] = {"birth_date": "2000", "guardian_status": {"status": "none"}}
    check_basis(terms(), ("sex",), adult, TODAY, CATALOGUE)
    with pytest.raises(NotPermitted) as caught:
        check_basis(terms(basis="public_task"), ("sex",), adult, TODAY, CATALOGUE)
    assert caught.value.rule == "S06-adult"
    check_basis(terms(basis=None, bases={"relative": "public_task"}), ("relatives",), adult, TODAY, CATALOGUE)


def test_a_child_without_a_guardian_needs_a_decision() -> None:
    alone: dict[str, JsonValue] = {**AGE, "guardian_status": {"status": "none"}}
    with pytest.raises(NotPermitted) as caught:
        check_basis(terms(), ("sex",), alone, TODAY, CATALOGUE)
    assert caught.value.rule == "S07-guardian"
    with pytest.raises(NotPermitted) as caught:
        check_basis(terms(basis="best_interests_decision"), ("sex",), alone, TODAY, CATALOGUE)
    assert caught.value.rule == "S08-decision"
    check_basis(terms(basis="best_interests_decision"), ("sex",), {**alone, **decision()}, TODAY, CATALOGUE)


def test_a_consent_ends_at_the_earliest_of_all_limits() -> None:
    assert expiry(terms(lasts=timedelta(days=10)), RECORD, NOW) == NOW + timedelta(days=10)
    assert expiry(terms(until=NOW + timedelta(days=5)), RECORD, NOW) == NOW + timedelta(days=5)
    soon: dict[str, JsonValue] = {"birth_date": "2008-12-24"}
    assert expiry(terms(lasts=timedelta(days=90)), soon, NOW) == datetime(2026, 12, 24, tzinfo=UTC)
    by_decision = terms(basis="best_interests_decision", lasts=timedelta(days=900))
    assert expiry(by_decision, decision(), NOW) == datetime(2027, 5, 2, tzinfo=UTC)
    assert expiry(terms(lasts=timedelta(days=900)), {"birth_date": "2000"}, NOW) == NOW + timedelta(days=900)
    urgent = expiry(terms(basis="vital_interest"), RECORD, NOW)
    assert timedelta(hours=71) < urgent - NOW < timedelta(hours=72)


def test_a_consent_before_a_match_lasts_90_days_at_most_and_none_ends_in_the_past() -> None:
    with pytest.raises(NotPermitted) as caught:
        expiry(terms(kind="sighting", lasts=timedelta(days=120)), RECORD, NOW)
    assert caught.value.rule == "S09-ninety"
    with pytest.raises(NotPermitted) as caught:
        expiry(terms(until=NOW - timedelta(days=1)), RECORD, NOW)
    assert caught.value.rule == "S10-majority"
