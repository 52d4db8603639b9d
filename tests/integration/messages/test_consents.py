"""Registering consents: each step's refusal, and what holds within a family."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.models.consents import consent, consent_family
from exchange.hub.services import consents
from exchange_keys.jws import Signed, sign
from exchange_schemas.codec import decode, encode
from exchange_schemas.consent import Authority, Screening
from exchange_schemas.errors import (
    AuthorityMissing,
    Conflict,
    ConsentExpired,
    ConsentMismatch,
    ConsentWithdrawn,
    ExchangeError,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    Malformed,
    OriginMismatch,
    RecipientDenied,
    Replay,
    ScreeningDenied,
    SenderMismatch,
    SigInvalid,
    SubjectMismatch,
)
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import EVIDENCE, World


@pytest.fixture
def world(shared: World) -> World:
    return shared


VITAL = (Authority(about="child", basis="vital_interest", evidence_digest=EVIDENCE),)


def test_a_consent_is_registered_with_the_digest_that_grants_name(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    done = world.register(given)
    assert done.status == 201
    assert done.body == {"cid": given.consent.cid, "digest": given.digest, "status": "active"}
    entry = world.last()
    assert (entry.act, entry.out, entry.own) == ("consent:register", "allow", (embassy.id, ngo.id))
    assert entry.cns is not None


def test_the_same_bytes_again_give_the_first_receipt(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    first, again = world.register(given), world.register(given)
    assert (again.status, again.body, again.receipt) == (200, first.body, first.receipt)
    assert world.count(consent) == 1


def test_the_same_bytes_again_are_the_same_after_the_approver_key_has_gone(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.set_key(ngo.approver.public, "revoked")
    assert world.register(given).status == 200


def test_other_bytes_under_a_consent_id_are_a_replay(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    with pytest.raises(Replay):
        world.register(world.sign_consent(replace(given.consent, retention_days=7)))


def test_another_issuers_consent_id_is_a_replay(world: World, ngo: Agency, commission: Agency) -> None:
    given = world.consent(ngo, commission)
    other = world.draft_consent(commission, ngo, cid=given.consent.cid)
    with pytest.raises(Replay):
        world.register(world.sign_consent(other))
    assert world.count(consent) == 1


def test_only_the_issuer_registers_its_consent(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    with pytest.raises(SenderMismatch):
        world.register(given, caller=commission)
    assert world.last().rsn == "SENDER_MISMATCH"
    assert world.count(consent_family) == 0


def test_a_consent_of_another_deployment_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    with pytest.raises(OriginMismatch):
        world.register(world.sign_consent(world.draft_consent(ngo, embassy, origin="test.example")))


def _unlisted(world: World, ngo: Agency) -> Any:
    return Agency(ngo.id).approver


def _envelope(world: World, ngo: Agency) -> Any:
    return ngo.envelope


def _others(world: World, ngo: Agency) -> Any:
    return world.agencies["commission"].approver


def _draining(world: World, ngo: Agency) -> Any:
    world.set_key(ngo.approver.public, "draining")
    return ngo.approver


def _revoked(world: World, ngo: Agency) -> Any:
    world.set_key(ngo.approver.public, "revoked")
    return ngo.approver


@pytest.mark.parametrize(
    ("signer", "error"),
    [
        (_unlisted, KidUnknown),
        (_envelope, KeyWrongUse),
        (_others, KeyWrongUse),
        (_draining, KeyNotActive),
        (_revoked, KeyRevoked),
    ],
)
def test_only_an_active_approver_of_the_issuer_signs(
    world: World,
    ngo: Agency,
    embassy: Agency,
    signer: Callable[[World, Agency], Any],
    error: type[ExchangeError],
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy), signer(world, ngo))
    with pytest.raises(error):
        world.register(given)
    assert world.count(consent) == 0


def test_equal_json_in_another_order_does_not_carry_the_signature(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    members = decode(given.signed.payload, limit=8192)
    other = (
        "{" + ",".join(f"{encode(k).decode()}:{encode(members[k]).decode()}" for k in reversed(members)) + "}"
    )
    forged = Signed(other.encode(), given.signed.signatures)
    with pytest.raises(SigInvalid):
        consents.register(world.hub, world.caller(ngo), forged.to_json())


def test_a_withdrawal_is_not_a_consent(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    with pytest.raises(Malformed):
        consents.register(world.hub, world.caller(ngo), world.sign_withdrawal(given).to_json())


def test_a_signature_made_for_another_type_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    item = world.draft_consent(ngo, embassy)
    members = decode(item.to_bytes(), limit=8192) | {"typ": "hx-withdrawal"}
    other = sign(encode(members), "hx-withdrawal", [ngo.approver])
    forged = Signed(item.to_bytes(), other.signatures)
    with pytest.raises(Malformed):
        consents.register(world.hub, world.caller(ngo), forged.to_json())


def test_vital_interest_needs_two_persons(world: World, ngo: Agency, embassy: Agency) -> None:
    item = world.draft_consent(
        ngo, embassy, authorities=VITAL, exp=world.now + timedelta(hours=72, minutes=-1)
    )
    with pytest.raises(AuthorityMissing):
        world.register(world.sign_consent(item, ngo.approver))
    assert world.register(world.sign_consent(item, ngo.approver, ngo.second)).status == 201


def test_two_keys_of_one_person_are_not_two_persons(world: World, ngo: Agency, embassy: Agency) -> None:
    third = Agency(ngo.id).approver
    world.add_key(ngo, "approver", third.public, holder="first")
    item = world.draft_consent(ngo, embassy, authorities=VITAL, exp=world.now + timedelta(hours=70))
    with pytest.raises(AuthorityMissing):
        world.register(world.sign_consent(item, ngo.approver, third))


def test_vital_interest_lasts_72_hours_at_most(world: World, ngo: Agency, embassy: Agency) -> None:
    item = world.draft_consent(ngo, embassy, authorities=VITAL, exp=world.now + timedelta(hours=73))
    with pytest.raises(AuthorityMissing):
        world.register(world.sign_consent(item, ngo.approver, ngo.second))


@pytest.mark.parametrize("status", ["suspended", "expelled"])
def test_the_recipient_must_take_part(world: World, ngo: Agency, embassy: Agency, status: str) -> None:
    world.set_agency(embassy, status)
    with pytest.raises(RecipientDenied):
        world.register(world.sign_consent(world.draft_consent(ngo, embassy)))


def test_a_recipient_that_was_never_admitted_is_refused(world: World, ngo: Agency) -> None:
    stranger = Agency("stranger")  # type: ignore[arg-type]
    with pytest.raises(RecipientDenied):
        world.register(world.sign_consent(world.draft_consent(ngo, stranger)))


def test_an_embassy_needs_a_cleared_screening(world: World, ngo: Agency, embassy: Agency) -> None:
    item = world.draft_consent(ngo, embassy, screening=Screening(state="not_required"))
    with pytest.raises(ScreeningDenied):
        world.register(world.sign_consent(item))


def test_a_public_authority_of_any_kind_needs_a_cleared_screening(world: World, ngo: Agency) -> None:
    health = world.admit("health-ministry", kind="health", public_authority=True)
    item = world.draft_consent(ngo, health, screening=Screening(state="not_required"))
    with pytest.raises(ScreeningDenied):
        world.register(world.sign_consent(item))


def test_an_ngo_needs_no_screening(world: World, ngo: Agency, commission: Agency) -> None:
    item = world.draft_consent(ngo, commission, screening=Screening(state="not_required"))
    assert world.register(world.sign_consent(item)).status == 201


def test_a_consent_that_is_over_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    past = {"nbf": world.now - timedelta(days=9), "exp": world.now - timedelta(seconds=1)}
    with pytest.raises(ConsentExpired):
        world.register(world.sign_consent(world.draft_consent(ngo, embassy, **past)))


def test_a_consent_from_the_future_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    item = world.draft_consent(ngo, embassy, iat=world.now + timedelta(minutes=5))
    with pytest.raises(Malformed):
        world.register(world.sign_consent(item))


def test_a_consent_that_waited_for_its_twin_gets_the_first_answer(
    world: World, ngo: Agency, embassy: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    first = world.register(given)
    same = consents._same
    answers = iter([lambda *_: None, same])
    # As if the twin had committed between the look and the lock.
    monkeypatch.setattr(consents, "_same", lambda *args: next(answers)(*args))  # noqa: PLW0108
    again = world.register(given)
    assert (again.status, again.body, again.receipt) == (200, first.body, first.receipt)


# -- families --------------------------------------------------------------------------------------


def test_a_newer_consent_supersedes_the_newest_of_its_family(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    first = world.consent(ngo, embassy)
    second = world.supersede(first)
    third = world.supersede(second)
    (row,) = world.rows(consent_family)
    assert row.newest == third.consent.cid


@pytest.mark.parametrize("stale", ["none", "older", "unknown"])
def test_a_consent_that_does_not_supersede_the_newest_is_a_conflict(
    world: World, ngo: Agency, embassy: Agency, stale: str
) -> None:
    first = world.consent(ngo, embassy)
    second = world.supersede(first)
    named = {"none": None, "older": first.consent.cid, "unknown": first.consent.family}[stale]
    item = world.draft_consent(
        ngo, embassy, family=first.consent.family, subj=first.consent.subj, supersedes=named
    )
    with pytest.raises(Conflict):
        world.register(world.sign_consent(item))
    (row,) = world.rows(consent_family)
    assert row.newest == second.consent.cid


def test_the_first_consent_of_a_family_supersedes_nothing(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    with pytest.raises(Conflict):
        world.register(world.sign_consent(world.draft_consent(ngo, embassy, supersedes=given.consent.cid)))


def test_a_family_is_about_one_child(world: World, ngo: Agency, embassy: Agency) -> None:
    first = world.consent(ngo, embassy)
    item = world.draft_consent(ngo, embassy, family=first.consent.family, supersedes=first.consent.cid)
    with pytest.raises(SubjectMismatch):
        world.register(world.sign_consent(item))


def test_a_family_is_for_one_recipient(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    first = world.consent(ngo, embassy)
    item = replace(
        world.draft_consent(ngo, commission),
        family=first.consent.family,
        subj=first.consent.subj,
        supersedes=first.consent.cid,
    )
    with pytest.raises(ConsentMismatch):
        world.register(world.sign_consent(item))


def test_a_family_is_of_one_issuer(world: World, ngo: Agency, embassy: Agency, commission: Agency) -> None:
    first = world.consent(ngo, embassy)
    item = world.draft_consent(commission, embassy, family=first.consent.family)
    with pytest.raises(ConsentMismatch):
        world.register(world.sign_consent(item))


def test_a_withdrawn_family_takes_no_new_consent(world: World, ngo: Agency, embassy: Agency) -> None:
    first = world.consent(ngo, embassy)
    world.withdraw(first)
    with pytest.raises(ConsentWithdrawn):
        world.supersede(first)
