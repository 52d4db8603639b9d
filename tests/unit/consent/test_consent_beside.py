"""The consent rules beside the decision: several grants, approvers, the consent's digest, detention."""

import pytest

from exchange.consent import (
    check_approvers,
    check_detention,
    check_named,
    check_one_recipient,
    check_role,
)
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import (
    AuthorityMissing,
    ConsentMismatch,
    ConsentUnknown,
    FieldDenied,
    SenderMismatch,
    StageDenied,
)
from exchange_schemas.ids import AgencyId, Digest
from tests.unit.consent.sharing import authority, consent

HOLDER, FIRST, SECOND = AgencyId("holder"), AgencyId("first"), AgencyId("second")
FINDER = AgencyId("finder")
SINGLE = sorted(spec.name for spec in load_catalogue().fields.values() if spec.one_recipient)


def test_the_catalogue_marks_what_goes_to_one_recipient_only() -> None:
    assert SINGLE == ["care_arrangement", "current_facility", "document_number", "relative_contact"]


@pytest.mark.parametrize("name", SINGLE)
def test_c19_a_field_for_one_recipient_goes_to_one_besides_the_sender(name: str) -> None:
    grants = [(HOLDER, [name, "sex"]), (FIRST, [name, "sex", "refusals"]), (SECOND, ["sex"])]
    check_one_recipient(grants, sender=HOLDER, catalogue=load_catalogue())
    again = [*grants, (FIRST, [name])]
    check_one_recipient(again, sender=HOLDER, catalogue=load_catalogue())
    with pytest.raises(FieldDenied) as caught:
        check_one_recipient([*grants, (SECOND, [name])], sender=HOLDER, catalogue=load_catalogue())
    assert (caught.value.rule, caught.value.field) == ("C19-one-recipient", name)


def test_c21_vital_interest_needs_two_persons_and_anything_else_one() -> None:
    usual, urgent = consent(), consent(authorities=(authority("child", "vital_interest"),))
    check_approvers(usual, ["a"])
    check_approvers(urgent, ["a", "b"])
    for given, holders in [(usual, []), (urgent, ["a"]), (urgent, ["a", "a"]), (urgent, [])]:
        with pytest.raises(AuthorityMissing) as caught:
            check_approvers(given, holders)
        assert caught.value.rule == "C21-approvers"


def test_c22_the_grant_names_the_consent_by_the_digest_of_its_bytes() -> None:
    payload = consent().to_bytes()
    check_named(Digest(b64u(sha256(payload))), payload)
    for cns, data in [(None, payload), (Digest(b64u(sha256(payload))), payload + b" ")]:
        with pytest.raises(ConsentMismatch) as caught:
            check_named(cns, data)
        assert caught.value.rule == "C22-named"


def test_c23_detention_is_not_told_before_the_relation_is_verified() -> None:
    detained = "with_parent_in_detention"
    check_detention(detained, relation_verified=True, arranges_release=False)
    check_detention(detained, relation_verified=False, arranges_release=True)
    check_detention("foster", relation_verified=False, arranges_release=False)
    with pytest.raises(StageDenied) as caught:
        check_detention(detained, relation_verified=False, arranges_release=False)
    assert (caught.value.rule, caught.value.field) == ("C23-detention", "care_arrangement")


@pytest.mark.parametrize(
    ("kind", "side"),
    [("deletion_request", HOLDER), ("deletion_receipt", FINDER), ("withdrawal_request", FINDER)],
)
def test_c24_who_gave_asks_for_a_deletion_and_who_received_answers(kind: str, side: AgencyId) -> None:
    other = FINDER if side == HOLDER else HOLDER
    check_role(kind, side, consent(), catalogue=load_catalogue())
    with pytest.raises(SenderMismatch) as caught:
        check_role(kind, other, consent(), catalogue=load_catalogue())
    assert caught.value.rule == "C24-role"
    with pytest.raises(ConsentUnknown):
        check_role(kind, side, None, catalogue=load_catalogue())


@pytest.mark.parametrize("kind", ["service_answer", "declined", "found_notice", "gossip"])
def test_c24_other_kinds_come_from_either_side(kind: str) -> None:
    for side in (HOLDER, FINDER):
        check_role(kind, side, consent(), catalogue=load_catalogue())
    check_role(kind, HOLDER, None, catalogue=load_catalogue())
