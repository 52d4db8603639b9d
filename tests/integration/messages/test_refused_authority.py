"""What a deposit must be refused for by directory, consent and signature, and in which order.

One hub for all: each test has agencies of its own.
"""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.services import deposit
from exchange.hub.services.deposit_checks import INLINE_BYTES
from exchange_keys.envelope import SealedEnvelope
from exchange_keys.jws import Signed, sign
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u, decode, encode
from exchange_schemas.consent import Authority
from exchange_schemas.errors import (
    AuthorityMissing,
    ConsentExpired,
    ConsentSuperseded,
    ConsentUnknown,
    ExchangeError,
    FieldDenied,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    Malformed,
    OriginMismatch,
    RecipientDenied,
    SenderMismatch,
    SigInvalid,
    StageDenied,
)
from exchange_schemas.ids import EnvelopeId, new_id
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import EVIDENCE, FOUND, REFERRAL, REFERRED, GivenConsent, World
from tests.integration.messages.edits import body_of, edited
from tests.integration.messages.refusals import OTHER, flipped, refused


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def given(world: World, ngo: Agency, embassy: Agency) -> GivenConsent:
    return world.consent(ngo, embassy)


@pytest.fixture
def sealed(world: World, ngo: Agency, embassy: Agency, given: GivenConsent) -> SealedEnvelope:
    """A good envelope, not sent yet."""
    return world.seal(ngo, [world.recipient(ngo, embassy, given)])


# -- (6) keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error"), [("draining", KeyNotActive), ("revoked", KeyRevoked)])
@pytest.mark.parametrize("whose", ["recipient", "signer", "self"])
def test_a_key_that_is_not_active_is_refused(
    world: World,
    ngo: Agency,
    embassy: Agency,
    sealed: SealedEnvelope,
    whose: str,
    status: str,
    error: type[ExchangeError],
) -> None:
    key = {"recipient": embassy.enc, "signer": ngo.envelope, "self": ngo.enc}[whose]
    world.set_key(key.public, status)
    refused(world, ngo, sealed, error)


def test_a_recipient_that_takes_no_part_is_refused(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    world.set_agency(embassy, "suspended")
    refused(world, ngo, sealed, RecipientDenied)


@pytest.mark.parametrize(
    ("signer", "error"),
    [
        (lambda world: world.agencies["ngo"].approver, KeyWrongUse),
        (lambda world: world.agencies["commission"].envelope, KeyWrongUse),
        (lambda world: Agency(world.agencies["ngo"].id).envelope, KidUnknown),
    ],
    ids=["an approver", "another agency", "nobody"],
)
def test_the_manifest_is_signed_by_the_senders_envelope_key(
    world: World, ngo: Agency, sealed: SealedEnvelope, signer: Any, error: type[ExchangeError]
) -> None:
    refused(world, ngo, edited(sealed, ngo, lambda core: None, signer=signer(world)), error)


# -- (7) consent -----------------------------------------------------------------------------------


def test_own_content_under_anothers_consent_is_refused(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, given: GivenConsent
) -> None:
    # The commission sends to the embassy under the NGO's consent to the embassy.
    sealed = world.seal(commission, [world.recipient(commission, embassy, given)])
    refused(world, commission, sealed, ConsentUnknown)


def test_a_recipient_sends_nothing_under_the_consent_that_it_received(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    sealed = world.seal(embassy, [world.recipient(embassy, ngo, given)])
    error = refused(world, embassy, sealed, SenderMismatch)
    assert error.rule == "C03-issuer"


def test_a_consent_for_another_recipient_is_refused(
    world: World, ngo: Agency, commission: Agency, given: GivenConsent
) -> None:
    sealed = world.seal(ngo, [world.recipient(ngo, commission, given)])
    error = refused(world, ngo, sealed, RecipientDenied)
    assert error.rule == "C04-recipient"


def test_a_field_outside_the_consent_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy, fields=tuple(sorted(set(FOUND) - {"sex"})))
    error = refused(world, ngo, world.seal(ngo, [world.recipient(ngo, embassy, given)]), FieldDenied)
    assert (error.rule, error.field) == ("C11-field", "sex")


@pytest.mark.parametrize("when", ["over", "to come"])
def test_a_consent_at_another_time_is_refused(
    world: World, ngo: Agency, embassy: Agency, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {
        "over": {"nbf": world.now - timedelta(days=2), "exp": world.now + timedelta(seconds=20)},
        "to come": {"nbf": world.now + timedelta(days=1)},
    }[when]
    given = world.consent(ngo, embassy, **times)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    if when == "over":
        # The log would refuse a clock that is wrong by more than 30 seconds.
        ahead = replace(world.hub, clock=lambda: given.consent.exp)
        world = replace(world, hub=ahead)
    refused(world, ngo, sealed, ConsentExpired)


def test_a_superseded_consent_gives_what_the_newest_gives_too(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    world.supersede(given)
    assert world.deposit(ngo, world.seal(ngo, [world.recipient(ngo, embassy, given)])).status == 201


def test_a_superseded_consent_gives_nothing_that_the_newest_does_not(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    world.supersede(given, fields=tuple(sorted(set(FOUND) - {"sex"})))
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    refused(world, ngo, sealed, ConsentSuperseded)


def test_a_public_authority_does_not_send_abroad_on_consent(world: World, commission: Agency) -> None:
    basis = (Authority(about="child", basis="consent", evidence_digest=EVIDENCE),)
    embassy = world.admit(
        f"embassy-{os.urandom(4).hex()}", kind="embassy", country="SY", public_authority=True
    )
    given = world.consent(embassy, commission, authorities=basis)
    sealed = world.seal(embassy, [world.recipient(embassy, commission, given)])
    error = refused(world, embassy, sealed, AuthorityMissing)
    assert error.rule == "C14-third-country"


@pytest.mark.parametrize("wrong", ["none", "missing", "unanswered", "another thread"])
def test_the_facility_is_told_only_after_both_sides_confirmed(
    world: World, ngo: Agency, embassy: Agency, wrong: str
) -> None:
    after, thread = world.confirmations(ngo, embassy, answered=wrong != "unanswered")
    if wrong == "missing":
        after = (after[0], EnvelopeId(new_id(os.urandom)))
    if wrong == "another thread":
        thread = world.confirmations(ngo, embassy)[1]
    given = world.consent(
        ngo, embassy, pur=("health",), fields=REFERRED, after=None if wrong == "none" else after
    )
    draft = world.draft(ngo, REFERRAL, kind="service_referral", purpose="health")
    recipient = world.recipient(ngo, embassy, given, fields=REFERRAL, values={}, thread=thread)
    refused(world, ngo, world.seal(ngo, [recipient], draft), StageDenied)


def test_a_field_for_one_recipient_goes_to_one(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    recipients = []
    for rcp in (embassy, commission):
        after, thread = world.confirmations(ngo, rcp)
        given = world.consent(ngo, rcp, pur=("health",), fields=REFERRED, after=after)
        recipients.append(world.recipient(ngo, rcp, given, fields=REFERRAL, values={}, thread=thread))
    draft = world.draft(ngo, REFERRAL, kind="service_referral", purpose="health")
    error = refused(world, ngo, world.seal(ngo, recipients, draft), FieldDenied)
    assert error.rule == "C19-one-recipient"


# -- (8) signatures --------------------------------------------------------------------------------


def test_a_flipped_byte_in_the_signature_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = body_of(sealed)
    body["manifest"]["signatures"][0]["signature"] = flipped(body["manifest"]["signatures"][0]["signature"])
    refused(world, ngo, body, SigInvalid)


def test_another_manifests_signature_is_refused(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent, sealed: SealedEnvelope
) -> None:
    other = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    forged = Signed(sealed.manifest.payload, other.manifest.signatures)
    refused(world, ngo, {**body_of(sealed), "manifest": forged.to_json()}, SigInvalid)


def test_a_signature_for_another_type_of_object_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    members = decode(sealed.manifest.payload, limit=16 * 1024) | {"typ": "hx-receipt"}
    other = sign(encode(members), "hx-receipt", [ngo.envelope])
    forged = Signed(sealed.manifest.payload, other.signatures)
    refused(world, ngo, {**body_of(sealed), "manifest": forged.to_json()}, Malformed)


def test_a_manifest_has_one_signature(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    second = Agency(ngo.id).envelope
    world.add_key(ngo, "envelope", second.public)
    both = sign(sealed.manifest.payload, "hx-manifest", [ngo.envelope, second])
    refused(world, ngo, {**body_of(sealed), "manifest": both.to_json()}, SigInvalid)


def test_a_manifest_of_another_deployment_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = edited(sealed, ngo, lambda core: None, origin="test.example")
    refused(world, ngo, body, OriginMismatch)


# -- the order -------------------------------------------------------------------------------------


def test_the_first_check_that_fails_is_the_answer(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, sealed: SealedEnvelope
) -> None:
    """Everything is wrong at once; mended one by one, the answers come in the order of protocol.md."""
    fresh = EncKey.generate()
    world.add_key(embassy, "enc", fresh.public)
    world.set_key(embassy.enc.public, "revoked")
    wrong = {"cns": OTHER, "origin": "test.example", "extra": 1}
    answers: list[type[ExchangeError]] = []

    def attempt(caller: Agency, core: dict[str, Any], *, parts: list[Any], good_signature: bool) -> None:
        body = edited(sealed, ngo, lambda members: members.update(core), only=embassy)
        if not good_signature:
            mark = body["manifest"]["signatures"][0]
            mark["signature"] = flipped(mark["signature"])
        body["parts"] = body["parts"] + parts
        with pytest.raises(ExchangeError) as caught:
            deposit.deposit(world.hub, world.caller(caller), body)
        answers.append(type(caught.value))

    big = [{"sha256": OTHER, "ct": b64u(bytes(INLINE_BYTES + 1))}]
    attempt(commission, wrong, parts=big, good_signature=False)
    attempt(ngo, wrong, parts=big, good_signature=False)
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["extra"]
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["origin"]
    attempt(ngo, wrong, parts=[], good_signature=False)
    wrong["rcp_kid"] = fresh.public.kid
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["cns"]
    attempt(ngo, wrong | {"seq": 2, "prev": OTHER}, parts=[], good_signature=False)
    attempt(ngo, wrong | {"seq": 2, "prev": OTHER}, parts=[], good_signature=True)
    assert [error.code for error in answers] == [
        "SENDER_MISMATCH",
        "TOO_LARGE",
        "MALFORMED",
        "ORIGIN",
        "KEY_REVOKED",
        "CONSENT_UNKNOWN",
        "SIG_INVALID",
        "SEQ_CONFLICT",
    ]


def test_a_refused_deposit_keeps_its_proof_and_its_entry(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    caller = world.caller(ngo)
    body = edited(sealed, ngo, lambda core: core.update(cns=OTHER), only=embassy)
    with pytest.raises(ConsentUnknown):
        deposit.deposit(world.hub, caller, body)
    entry = world.last()
    assert (entry.out, entry.rsn, entry.knd) == ("deny", "CONSENT_UNKNOWN", "found_notice")
    assert set(entry.own) == {ngo.id, embassy.id}
    with pytest.raises(ExchangeError):
        deposit.deposit(world.hub, caller, body_of(sealed))
    assert world.last().rsn == "REPLAY"
