"""D09 to D15: new keys, holders, roots, drains, revocations, and who brings an event."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.directory.rules import check_author, governance_pin
from exchange.directory.state import APPROVER, ENC, ENVELOPE
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_schemas.errors import (
    Conflict,
    KeyWrongUse,
    Malformed,
    ManifestMismatch,
    Replay,
    SenderMismatch,
)
from exchange_schemas.event import read_event
from exchange_schemas.ids import Kid
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    START,
    YEAR,
    Deployment,
    public_key,
    root_key,
    signers_of,
    signing_key,
)
from tests.unit.directory.refusals import refused


@pytest.fixture
def world() -> Deployment:
    """Governance of 2 of 3, and the agencies alpha and beta with a root and a key of every use."""
    return Deployment().begin().join(ALPHA).join(BETA)


def test_d09_a_kid_is_never_used_again_by_anybody(world: Deployment) -> None:
    again = world.key(name="1")
    refused(world, again, Replay, "D09-new-kid")
    world.apply(world.revoke())
    refused(world, again, Replay, "D09-new-kid")
    theirs = public_key(ENC, ALPHA, "1")
    signed, _ = world.key(BETA, key=theirs)
    refused(world, (signed, {theirs.kid: theirs.raw}), Replay, "D09-new-kid")
    twin = public_key(ENVELOPE, ALPHA, "1")
    signed, _ = world.key(use=APPROVER, key=twin)
    refused(world, (signed, {twin.kid: twin.raw}), Replay, "D09-new-kid")


def test_d09_operators_and_agencies_share_no_key(world: Deployment) -> None:
    operators = signing_key("operator", "ann").public
    signed, _ = world.key(use=ENVELOPE, key=operators)
    refused(world, (signed, {operators.kid: operators.raw}), Replay, "D09-new-kid")
    mine = public_key(ENVELOPE, ALPHA, "1")
    listed = [*world.listed(), replace(world.listed("dot")[0], kid=mine.kid, key=mine.raw)]
    refused(world, world.governance(operators=listed), Replay, "D09-new-kid")


def test_d09_an_old_root_does_not_come_back(world: Deployment) -> None:
    first, second = root_key(ALPHA), root_key(ALPHA, "second")
    world.apply(*world.root_set(names=(ALPHA, "second"), signers=signers_of(second, first)))
    refused(world, world.root_set(signers=signers_of(first, second)), Replay, "D09-new-kid")
    refused(world, world.root_set(names=(ALPHA, "second"), signers=second.signers), Replay, "D09-new-kid")


def test_d10_a_key_that_nobody_could_use_is_not_logged(world: Deployment) -> None:
    good = public_key(ENC, ALPHA, "2").raw
    low_order = PublicKey("X-Wing", good[:1184] + bytes(32))
    signed, _ = world.key(key=low_order)
    refused(world, (signed, {low_order.kid: low_order.raw}), KeyWrongUse)
    identity = PublicKey("Ed25519", bytes([1]) + bytes(31))
    signed, _ = world.key(use=ENVELOPE, key=identity)
    refused(world, (signed, {identity.kid: identity.raw}), Malformed)
    listed = [*world.listed(), replace(world.listed("dot")[0], kid=identity.kid, key=identity.raw)]
    refused(world, world.governance(operators=listed), Malformed)


@pytest.mark.parametrize("holder", [None, "Ann Example", "", "ann@example.test", "x" * 65, ".a"])
def test_d11_an_approver_has_a_holder_by_a_pseudonym(world: Deployment, holder: str | None) -> None:
    if holder == "":
        with pytest.raises(Malformed):
            world.key(use=APPROVER, name="2", holder=holder)
        return
    refused(world, world.key(use=APPROVER, name="2", holder=holder), Malformed, "D11-holder")


def test_d12_the_first_root_is_the_admitted_one() -> None:
    world = Deployment().begin()
    world.apply(world.admit())
    refused(world, world.root_set(names=("somebody else",)), ManifestMismatch, "D12-root")


def test_d13_only_an_active_key_drains_and_not_beyond_its_end(world: Deployment) -> None:
    refused(world, world.drain(until=START + YEAR + timedelta(seconds=1)), Conflict, "D13-drain")
    world.apply(world.drain(until=START + YEAR))
    refused(world, world.drain(), Conflict, "D13-drain")
    world.apply(world.revoke())
    refused(world, world.drain(), Conflict, "D13-drain")


def test_d14_a_key_is_revoked_once(world: Deployment) -> None:
    world.apply(world.revoke())
    refused(world, world.revoke(), Conflict, "D14-revoke")


def test_d15_an_agency_brings_events_about_itself_only(world: Deployment) -> None:
    own = [world.root_set()[0], world.key()[0], world.drain(), world.revoke()]
    for signed in own:
        check_author(read_event(signed.payload), ALPHA)
        with pytest.raises(SenderMismatch):
            check_author(read_event(signed.payload), BETA)
    for signed in (world.governance(), world.admit(), world.suspend(), world.resume(), world.expel()):
        with pytest.raises(SenderMismatch) as caught:
            check_author(read_event(signed.payload), ALPHA)
        assert caught.value.rule == "D15-author"


def test_the_pin_is_the_digest_of_the_payload_and_not_of_the_signatures() -> None:
    world = Deployment()
    genesis = world.governance()
    fewer = Signed(genesis.payload, genesis.signatures[:1])
    assert governance_pin(genesis) == governance_pin(fewer)
    assert Kid(governance_pin(genesis)) != governance_pin(world.governance())
