"""The directory's rules: each allowed move, and for every rule what it refuses."""

from datetime import timedelta

import pytest

from exchange.directory.rules import Scene, change_of, governance_pin, subject_of
from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, AgencyStatus, DirectoryState, KeyStatus
from exchange_keys.jws import Signed
from exchange_schemas.errors import (
    Conflict,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    LogFork,
    Malformed,
    OriginMismatch,
    PartMissing,
    Replay,
    SenderMismatch,
    SigInvalid,
    VersionUnsupported,
)
from exchange_schemas.event import read_event
from tests.unit.directory.applying import apply_event, apply_events
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    GAMMA,
    ORIGIN,
    START,
    YEAR,
    Deployment,
    public_key,
    root_key,
    signers_of,
    signing_key,
)
from tests.unit.directory.refusals import flipped, refused


@pytest.fixture
def world() -> Deployment:
    """Governance of 2 of 3, and the agencies alpha and beta with a root and a key of every use."""
    return Deployment().begin().join(ALPHA).join(BETA)


# -- the way of a deployment ---------------------------------------------------------------------------


def test_a_deployment_begins_and_an_agency_joins(world: Deployment) -> None:
    state = world.state
    assert state.size == 1 + 2 * 6
    alpha = state.agency(ALPHA)
    assert alpha is not None
    assert (alpha.name, alpha.kind, alpha.country) == ("Agency alpha", "ngo", "DE")
    assert (alpha.public_authority, alpha.contact) == (False, "office@alpha.test")
    assert alpha.status is AgencyStatus.ACTIVE
    assert alpha.root == root_key(ALPHA).public.digest
    assert {key.kid for key in alpha.active_root()} == {key.kid for key in root_key(ALPHA).publics}
    for use in (APPROVER, ENVELOPE, ENC, AUTH):
        (key,) = state.active_keys(ALPHA, use, START)
        assert (key.use, key.agency, key.public) == (use, ALPHA, public_key(use, ALPHA, "1"))
        assert (key.holder == "alpha-1") is (use == APPROVER)
    assert len(list(state.every_key())) == 12


def test_many_events_at_once_give_the_same_state(world: Deployment) -> None:
    assert apply_events(DirectoryState.empty(ORIGIN, pin=None), world.log) == world.state


def test_a_few_rows_are_enough_to_decide(world: Deployment) -> None:
    """The hub's way: governance, the one agency, and a look-up of kids; the same result as a replay."""
    world.apply(world.suspend())
    world.apply(world.revoke())
    world.apply(world.governance(k=1))
    state = DirectoryState.empty(ORIGIN, pin=None)
    for signed, keys in world.log:
        subject = subject_of(read_event(signed.payload))
        agency = None if subject is None else state.agency(subject)
        scene = Scene(ORIGIN, None, state.governance, agency, state.owners.__contains__)
        change = change_of(signed, keys, scene)
        state = apply_event(state, signed, keys)
        assert change.agency == (None if subject is None else state.agency(subject))
        assert change.governance == (state.governance if subject is None else None)
        assert all(state.key(key.kid) == key for key in change.added)


def test_governance_passes_to_new_operators_signed_by_the_old(world: Deployment) -> None:
    world.apply(world.governance(k=1, operators=world.listed("dot", "ann")))
    assert world.state.governance is not None
    assert [operator.name for operator in world.state.governance.operators] == ["dot", "ann"]
    world.apply(world.suspend(signers=world.quorum("dot")))
    refused(world, world.resume(signers=world.quorum("bob")), KidUnknown, "D06-signer")


def test_a_root_is_replaced_by_old_and_new_together_and_its_keys_live_on(world: Deployment) -> None:
    old, new = root_key(ALPHA), root_key(ALPHA, "second")
    world.apply(*world.root_set(names=(ALPHA, "second"), signers=signers_of(new, old)))
    alpha = world.state.agencies[ALPHA]
    assert alpha.root == new.public.digest
    assert {key.kid for key in alpha.active_root()} == {key.kid for key in new.publics}
    assert all(alpha.keys[key.kid].status is KeyStatus.REVOKED for key in old.publics)
    assert world.state.active_keys(ALPHA, ENC, START)
    world.apply(*world.key(name="2", signers=new.signers))
    refused(world, world.key(name="3", signers=old.signers), KeyRevoked, "D06-signer")


def test_an_approver_may_log_keys_but_not_approvers(world: Deployment) -> None:
    approver = [signing_key(APPROVER, ALPHA, "1")]
    for use in (ENVELOPE, ENC, AUTH):
        world.apply(*world.key(use=use, name="2", signers=approver))
        world.apply(world.drain(use=use, name="2", signers=approver))
        world.apply(world.revoke(use=use, name="2", signers=approver))
    for event in (
        world.key(use=APPROVER, name="2", signers=approver),
        world.drain(use=APPROVER, signers=approver),
        world.revoke(use=APPROVER, signers=approver),
    ):
        refused(world, event, KeyWrongUse, "D06-signer")


def test_a_key_drains_and_is_revoked(world: Deployment) -> None:
    kid = public_key(ENC, ALPHA, "1").kid
    world.apply(world.drain())
    key = world.state.key(kid)
    assert key is not None
    assert (key.status, key.until) == (KeyStatus.DRAINING, START + YEAR / 2)
    world.apply(world.revoke())
    assert world.state.agencies[ALPHA].keys[kid].status is KeyStatus.REVOKED


def test_an_agency_is_suspended_resumed_and_expelled(world: Deployment) -> None:
    for event, status in [
        (world.suspend(), AgencyStatus.SUSPENDED),
        (world.resume(), AgencyStatus.ACTIVE),
        (world.suspend(), AgencyStatus.SUSPENDED),
        (world.expel(), AgencyStatus.EXPELLED),
    ]:
        world.apply(event)
        assert world.state.agencies[ALPHA].status is status
    world.apply(world.expel(BETA))
    assert world.state.agencies[BETA].status is AgencyStatus.EXPELLED


# -- what is refused -----------------------------------------------------------------------------------


def test_d01_nothing_comes_before_governance() -> None:
    world = Deployment()
    for event in (world.admit(), world.suspend(), world.root_set()):
        refused(world, event, Conflict, "D01-first")


def test_d01_the_first_governance_is_the_pinned_one() -> None:
    world = Deployment()
    genesis = world.governance()
    world.state = DirectoryState.empty(ORIGIN, pin=governance_pin(genesis))
    refused(world, world.governance(), LogFork, "D01-first")
    world.apply(genesis)
    world.apply(world.governance(k=1))


def test_d02_an_agency_is_admitted_once_and_before_anything_else(world: Deployment) -> None:
    refused(world, world.admit(ALPHA), Conflict, "D02-admitted")
    gone = GAMMA
    for event in (
        world.root_set(gone),
        world.key(gone),
        world.drain(gone),
        world.revoke(gone),
        world.suspend(gone),
        world.resume(gone),
        world.expel(gone),
    ):
        refused(world, event, Conflict, "D02-admitted")


def test_d03_only_a_suspended_agency_is_resumed(world: Deployment) -> None:
    refused(world, world.resume(), Conflict, "D03-standing")


def test_d03_a_suspended_agency_may_only_revoke_and_only_by_its_root(world: Deployment) -> None:
    world.apply(world.suspend())
    new = root_key(ALPHA, "second")
    for event in (
        world.suspend(),
        world.key(name="2"),
        world.drain(),
        world.root_set(names=(ALPHA, "second"), signers=signers_of(new, root_key(ALPHA))),
    ):
        refused(world, event, Conflict, "D03-standing")
    refused(world, world.revoke(signers=[signing_key(APPROVER, ALPHA, "1")]), KeyNotActive, "D06-signer")
    world.apply(world.revoke())


def test_d03_an_expelled_agency_is_gone_for_good(world: Deployment) -> None:
    world.apply(world.expel())
    for event in (world.resume(), world.suspend(), world.expel(), world.revoke(), world.key(name="2")):
        refused(world, event, Conflict, "D03-standing")
    refused(world, world.admit(), Conflict, "D02-admitted")


def test_d04_an_old_event_of_the_operators_cannot_come_again(world: Deployment) -> None:
    suspend, resume = world.suspend(), world.resume()
    world.apply(suspend)
    world.apply(resume)
    refused(world, suspend, Replay, "D04-newer")
    world.apply(world.suspend())
    refused(world, resume, Replay, "D04-newer")
    refused(world, world.resume(iat=world.state.agencies[ALPHA].standing_since), Replay, "D04-newer")
    former = world.governance(operators=world.listed("ann", "bob"))
    world.apply(former)
    world.apply(world.governance())
    refused(world, former, Replay, "D04-newer")


def test_d04_an_event_from_the_future_is_not_taken_by_who_has_a_clock(world: Deployment) -> None:
    event = world.suspend()
    iat = read_event(event.payload).iat
    with pytest.raises(Conflict) as caught:
        apply_event(world.state, event, {}, now=iat - timedelta(seconds=121))
    assert caught.value.rule == "D04-newer"
    apply_event(world.state, event, {}, now=iat - timedelta(seconds=120))


def test_d05_new_keys_come_with_exactly_their_bytes(world: Deployment) -> None:
    signed, keys = world.key(name="2")
    other = public_key(ENC, ALPHA, "3")
    (kid,) = keys
    refused(world, (signed, {}), PartMissing, "D05-key-bytes")
    refused(world, (signed, {kid: other.raw}), Malformed, "D05-key-bytes")
    refused(world, (signed, {**keys, other.kid: other.raw}), Malformed, "D05-key-bytes")
    refused(world, (signed, {kid: other.raw[1:]}), Malformed)
    refused(world, (world.drain(), keys), Malformed, "D05-key-bytes")
    refused(world, (world.suspend(), keys), Malformed, "D05-key-bytes")
    refused(world, (world.governance(), keys), Malformed, "D05-key-bytes")
    refused(world, (world.admit(GAMMA), keys), Malformed, "D05-key-bytes")
    world.apply(signed, keys)


def test_d05_the_ed25519_half_of_a_root_may_come_along() -> None:
    world = Deployment().begin()
    world.apply(world.admit())
    signed, keys = world.root_set()
    ed25519 = root_key(ALPHA).public.ed25519
    refused(world, (signed, {**keys, ed25519.kid: bytes(32)}), Malformed, "D05-key-bytes")
    refused(world, (signed, {ed25519.kid: ed25519.raw}), PartMissing, "D05-key-bytes")
    world.apply(signed, {**keys, ed25519.kid: ed25519.raw})


def test_d06_only_operators_sign_for_the_deployment(world: Deployment) -> None:
    stranger = [*world.quorum(), signing_key("operator", "eve")]
    for event in (
        world.governance(signers=stranger),
        world.admit(GAMMA, signers=stranger),
        world.suspend(signers=stranger),
        world.expel(signers=root_key(ALPHA).signers),
        world.suspend(signers=[signing_key(APPROVER, ALPHA, "1")]),
    ):
        refused(world, event, KidUnknown, "D06-signer")


def test_d06_operators_and_other_agencies_do_not_sign_for_an_agency(world: Deployment) -> None:
    for signers in (world.quorum(), root_key(BETA).signers, [signing_key(APPROVER, BETA, "1")]):
        for event in (
            world.key(name="2", signers=signers),
            world.drain(signers=signers),
            world.revoke(signers=signers),
            world.root_set(names=(ALPHA, "second"), signers=[*root_key(ALPHA, "second").signers, *signers]),
        ):
            refused(world, event, KidUnknown, "D06-signer")


def test_d06_a_key_of_another_use_does_not_sign_events(world: Deployment) -> None:
    refused(
        world, world.key(name="2", signers=[signing_key(ENVELOPE, ALPHA, "1")]), KeyWrongUse, "D06-signer"
    )


def test_d06_an_agency_ends_its_own_keys_only(world: Deployment) -> None:
    theirs = public_key(ENC, BETA, "1").kid
    refused(world, world.revoke(kid=theirs), KidUnknown, "D06-signer")
    refused(world, world.drain(kid=theirs), KidUnknown, "D06-signer")


def test_d06_a_root_ends_by_root_set_only(world: Deployment) -> None:
    for public in root_key(ALPHA).publics:
        refused(world, world.revoke(kid=public.kid), KeyWrongUse, "D06-signer")
        refused(world, world.drain(kid=public.kid), KeyWrongUse, "D06-signer")


def test_d06_an_approver_signs_while_it_is_active_and_in_time(world: Deployment) -> None:
    approver = [signing_key(APPROVER, ALPHA, "1")]
    for iat in (START - timedelta(seconds=1), START + YEAR):
        refused(world, world.key(name="2", signers=approver, iat=iat), KeyNotActive, "D06-signer")
    signed, keys = world.key(name="2", signers=approver)
    with pytest.raises(KeyNotActive):
        apply_event(world.state, signed, keys, now=START + YEAR)
    apply_event(world.state, signed, keys, now=world.now)
    world.apply(world.drain(use=APPROVER))
    refused(world, world.key(name="2", signers=approver), KeyNotActive, "D06-signer")
    world.apply(world.revoke(use=APPROVER))
    refused(world, world.key(name="2", signers=approver), KeyRevoked, "D06-signer")


def test_d06_root_and_approver_do_not_mix(world: Deployment) -> None:
    approver = signing_key(APPROVER, ALPHA, "1")
    refused(
        world, world.key(name="2", signers=[*root_key(ALPHA).signers, approver]), KeyWrongUse, "D06-signer"
    )


def test_d06_before_its_root_is_set_an_agency_has_no_keys() -> None:
    world = Deployment().begin()
    world.apply(world.admit())
    refused(world, world.key(), KidUnknown, "D06-signer")


def test_d07_every_signature_must_verify(world: Deployment) -> None:
    three = world.quorum(*world.operators)
    signed, keys = world.key(name="2")
    for event in (
        flipped(world.suspend()),
        flipped(world.suspend(signers=three)),
        (flipped(signed), keys),
        flipped(world.drain(signers=[signing_key(APPROVER, ALPHA, "1")])),
    ):
        refused(world, event, SigInvalid)


def test_d07_an_event_is_for_one_deployment_and_one_version(world: Deployment) -> None:
    refused(world, world.suspend(origin="other.test"), OriginMismatch)
    signed = world.suspend()
    later = Signed(signed.payload.replace(b'"v":1', b'"v":2'), signed.signatures)
    refused(world, later, VersionUnsupported)
    altered = Signed(signed.payload.replace(b"security", b"inactive"), signed.signatures)
    refused(world, altered, SigInvalid)
    refused(world, Signed(b"{}", signed.signatures), Malformed)


def test_d08_k_different_operators_must_sign(world: Deployment) -> None:
    for event in (
        world.governance(signers=world.quorum("ann")),
        world.admit(GAMMA, signers=world.quorum("ann")),
        world.suspend(signers=world.quorum("cem")),
        world.expel(signers=world.quorum("bob")),
    ):
        refused(world, event, SenderMismatch, "D08-quorum")
    once = world.suspend(signers=world.quorum("ann"))
    twice = Signed(once.payload, once.signatures * 2)
    refused(world, twice, SenderMismatch, "D08-quorum")


def test_d08_the_first_governance_is_signed_by_k_of_itself() -> None:
    world = Deployment()
    refused(world, world.governance(signers=world.quorum("ann")), SenderMismatch, "D08-quorum")
    refused(world, world.governance(signers=world.quorum("ann", "eve")), KidUnknown, "D06-signer")


def test_d08_the_previous_operators_must_sign_not_the_new(world: Deployment) -> None:
    new = ("dot", "eve")
    event = world.governance(operators=world.listed(*new), signers=world.quorum(*new))
    refused(world, event, KidUnknown, "D06-signer")


@pytest.mark.parametrize("half", [0, 1])
def test_d08_one_algorithm_of_a_root_is_not_the_root(half: int) -> None:
    world = Deployment().begin()
    world.apply(world.admit())
    one = [root_key(ALPHA).signers[half]]
    refused(world, world.root_set(signers=one), SenderMismatch, "D08-quorum")
    world.apply(*world.root_set())
    for use in (APPROVER, ENC):
        refused(world, world.key(use=use, signers=one), SenderMismatch, "D08-quorum")
    world.apply(*world.key())
    refused(world, world.revoke(signers=one), SenderMismatch, "D08-quorum")
    new, old = root_key(ALPHA, "second"), root_key(ALPHA)
    for signers in (
        new.signers,
        old.signers,
        [*new.signers, old.signers[half]],
        [new.signers[half], *old.signers],
    ):
        event = world.root_set(names=(ALPHA, "second"), signers=signers)
        refused(world, event, SenderMismatch, "D08-quorum")
