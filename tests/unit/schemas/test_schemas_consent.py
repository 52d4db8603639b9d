"""Consent, withdrawal and receipt: rules over several members."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import Consent, ConsentRecord, Screening, years_after
from exchange_schemas.errors import AuthorityMissing, Malformed
from exchange_schemas.limits import LIMITS
from exchange_schemas.receipt import RecipientReceipt
from tests.unit.schemas.examples import NOW, authority, consent, receipt, some_digest, some_id, withdrawal


def passes(value) -> bool:
    return type(value).from_bytes(value.to_bytes()) == value


def refused(value, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        value.to_bytes()
    assert caught.value.field == field


def test_a_consent_ends_after_it_begins_and_within_18_years():
    refused(consent(exp=NOW), "exp")
    latest = years_after(NOW, 18)
    assert passes(consent(exp=latest))
    refused(consent(exp=latest + timedelta(seconds=1)), "exp")


@pytest.mark.parametrize(
    ("when", "years", "later"),
    [
        ((2026, 11, 23), 18, (2044, 11, 23)),
        ((2024, 2, 29), 18, (2042, 3, 1)),
        ((2024, 2, 29), 4, (2028, 2, 29)),
        ((2096, 2, 29), 4, (2100, 3, 1)),
        ((1996, 2, 29), 4, (2000, 2, 29)),
    ],
)
def test_years_are_calendar_years(when, years, later):
    assert years_after(datetime(*when, tzinfo=UTC), years) == datetime(*later, tzinfo=UTC)


def test_a_consent_at_the_end_of_time_is_no_accident():
    assert years_after(datetime(9990, 1, 1, tzinfo=UTC), 18) == datetime.max.replace(tzinfo=UTC)
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert passes(consent(nbf=datetime(9990, 1, 1, tzinfo=UTC), exp=end))


@pytest.mark.parametrize("days", [0, 6571, -1])
def test_what_is_kept_has_an_end(days):
    refused(consent(retention_days=days), "retention_days")


def test_the_longest_retention():
    assert passes(consent(retention_days=LIMITS.retention_days))


def test_fields_and_purposes_are_known_sorted_and_unique():
    refused(consent(fields=("sex", "age_range")), "fields")
    refused(consent(fields=("sex", "sex")), "fields")
    refused(consent(fields=("religion",)), "fields")
    refused(consent(fields=("candidate_ref",)), "fields")
    refused(consent(pur=()), "pur")
    refused(consent(pur=("verify", "trace")), "pur")
    refused(consent(pur=("curiosity",)), "pur")


def test_a_consent_for_messages_without_record_fields_has_none():
    assert passes(consent(fields=()))


def test_every_subject_of_the_fields_has_an_authority():
    for name, others in (
        ("relatives", ("child",)),
        ("caregiver_name", ("child",)),
        ("dna_step", ("relative",)),
    ):
        with pytest.raises(AuthorityMissing) as caught:
            consent(fields=(name,), authorities=tuple(authority(about) for about in others)).to_bytes()
        assert caught.value.field == name
        assert ConsentSchemaErrors(fields=(name,), authorities=tuple(authority(a) for a in others))
    assert passes(consent(fields=("dna_step",), authorities=(authority("child"), authority("relative"))))


def ConsentSchemaErrors(**changes):
    """What marshmallow says of the same members."""
    from exchange_schemas.payload import write_members

    return Consent.SCHEMA().validate(write_members(Consent.SCHEMA, consent(**changes)))


def test_a_subject_has_one_authority():
    refused(consent(authorities=(authority(), authority(basis="public_task"))), "authorities")
    refused(consent(authorities=()), "authorities")


def test_a_basis_and_a_subject_are_of_the_catalogue():
    refused(consent(authorities=(authority(basis="because"),)), "authorities.basis")
    refused(consent(authorities=(authority("neighbour"),)), "authorities.about")


def test_screening_is_cleared_with_evidence_or_not_required_without():
    assert passes(consent(screening=Screening(state="cleared", evidence_digest=some_digest())))
    refused(consent(screening=Screening(state="cleared")), "screening")
    refused(consent(screening=Screening(state="not_required", evidence_digest=some_digest())), "screening")
    refused(consent(screening=Screening(state="pending")), "screening.state")


def test_after_is_two_different_envelopes():
    for after in ((some_id(1),), (some_id(1), some_id(1)), (some_id(1), some_id(2), some_id(3))):
        refused(consent(after=after), "after")
    assert passes(consent(after=None))


def test_nobody_consents_to_itself_or_supersedes_itself():
    refused(consent(rcp="ngo-one"), "rcp")
    refused(consent(supersedes=some_id(10)), "supersedes")
    assert passes(consent(supersedes=None, thread=None))


def test_the_record_is_a_closed_set_of_short_members():
    full = ConsentRecord(
        schema_version="27560-2023",
        record_id=some_id(1),
        language="ar",
        notice_digest=some_digest(1),
        notice_language="ckb",
        collection_method="in_person",
        jurisdiction="IQ",
        storage_location="CH",
        lawful_basis_note="GDPR 6(1)(d)",
        withdrawal_method="Tell any caseworker.",
        privacy_rights="rights@ngo.example",
        code_of_conduct="ICRC handbook",
        impact_assessment_digest=some_digest(2),
    )
    assert passes(consent(record=full))
    refused(consent(record=replace(full, lawful_basis_note="x" * 201)), "record.lawful_basis_note")
    refused(consent(record=replace(full, jurisdiction="Iraq")), "record.jurisdiction")


def test_the_largest_consent_is_within_its_limit():
    wide = "\U00010d00"
    value = consent(
        iss="a" * 40,
        rcp="b" * 40,
        pur=tuple(sorted(load_catalogue().purposes)),
        fields=tuple(sorted(load_catalogue().fields)),
        authorities=tuple(authority(about) for about in ("child", "relative", "caregiver")),
        record=ConsentRecord(
            schema_version="v" * 40,
            lawful_basis_note=wide * 200,
            withdrawal_method=wide * 120,
            privacy_rights=wide * 120,
            code_of_conduct=wide * 80,
        ),
    )
    assert passes(value)


def test_a_withdrawal_gives_a_reason_code():
    refused(withdrawal(reason="because"), "reason")
    assert passes(withdrawal(reason="decision_revoked"))


def test_a_refused_grant_has_an_error_code_and_an_opened_one_has_none():
    assert passes(receipt(outcome="opened", code=None))
    refused(receipt(code=None), "code")
    refused(receipt(outcome="opened"), "code")
    refused(receipt(code="WRONG_PASSPHRASE"), "code")
    assert RecipientReceipt.typ == "hx-receipt"
