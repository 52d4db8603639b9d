"""Which key may be used for what, when, and by whom."""

from datetime import datetime, timedelta

import pytest

from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, ROOT, DirectoryState
from exchange_schemas.errors import ExchangeError, KeyNotActive, KeyRevoked, KeyWrongUse, KidUnknown
from exchange_schemas.ids import AgencyId, Kid
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    GAMMA,
    START,
    YEAR,
    Deployment,
    public_key,
    root_key,
)

SOON = START + timedelta(days=30)
KID = public_key(ENC, ALPHA, "1").kid
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> Deployment:
    return Deployment().begin().join(ALPHA).join(BETA)


def refused(state: DirectoryState, error: type[ExchangeError], rule: str, *, at: datetime = SOON) -> None:
    """Neither for something new nor for something signed at that time."""
    with pytest.raises(error) as caught:
        state.require_key(KID, ENC, at, ALPHA)
    assert caught.value.rule == rule
    with pytest.raises(error) as caught:
        state.require_past_key(KID, ENC, at, ALPHA, signed_at=at)
    assert caught.value.rule == rule
    assert state.active_keys(ALPHA, ENC, at) == ()


def test_an_active_key_in_its_time_is_given(world: Deployment) -> None:
    for at in (START, SOON, START + YEAR - SECOND):
        key = world.state.require_key(KID, ENC, at, ALPHA)
        assert key.kid == KID
        assert world.state.require_past_key(KID, ENC, at, ALPHA, signed_at=at) == key
        assert world.state.active_keys(ALPHA, ENC, at) == (key,)


@pytest.mark.parametrize("at", [START - SECOND, START + YEAR])
def test_k6_a_key_is_valid_from_nbf_and_no_longer_at_exp(world: Deployment, at: datetime) -> None:
    refused(world.state, KeyNotActive, "K6-time", at=at)


def test_k1_a_key_must_be_known(world: Deployment) -> None:
    nobody = Kid("A" * 43)
    with pytest.raises(KidUnknown) as caught:
        world.state.require_key(nobody, ENC, SOON, ALPHA)
    assert caught.value.rule == "K1-known"
    with pytest.raises(KidUnknown):
        world.state.agencies[BETA].require_key(KID, use=ENC, now=SOON)
    assert world.state.key(nobody) is None


def test_k2_a_key_is_for_one_use_and_one_agency(world: Deployment) -> None:
    for use in (ENVELOPE, APPROVER, AUTH, ROOT):
        with pytest.raises(KeyWrongUse) as caught:
            world.state.require_key(KID, use, SOON, ALPHA)
        assert caught.value.rule == "K2-use"
    for agency in (BETA, GAMMA):
        with pytest.raises(KeyWrongUse):
            world.state.require_key(KID, ENC, SOON, agency)


def test_k3_a_revoked_key_is_worth_nothing_even_for_the_past(world: Deployment) -> None:
    world.apply(world.revoke())
    refused(world.state, KeyRevoked, "K3-revoked")


def test_k4_the_keys_of_a_suspended_or_expelled_agency_are_worth_nothing(world: Deployment) -> None:
    world.apply(world.suspend())
    refused(world.state, KeyNotActive, "K4-agency")
    world.apply(world.resume())
    assert world.state.require_key(KID, ENC, SOON, ALPHA).kid == KID
    world.apply(world.expel())
    refused(world.state, KeyNotActive, "K4-agency")


def test_k5_a_draining_key_opens_the_past_until_its_drain_ends(world: Deployment) -> None:
    until = START + YEAR / 2
    world.apply(world.drain(until=until))
    with pytest.raises(KeyNotActive) as caught:
        world.state.require_key(KID, ENC, SOON, ALPHA)
    assert caught.value.rule == "K5-draining"
    assert world.state.active_keys(ALPHA, ENC, SOON) == ()
    assert world.state.require_past_key(KID, ENC, until - SECOND, ALPHA, signed_at=SOON).kid == KID
    with pytest.raises(KeyNotActive) as caught:
        world.state.require_past_key(KID, ENC, until, ALPHA, signed_at=SOON)
    assert caught.value.rule == "K5-draining"


def test_a_past_signature_counts_by_the_time_it_names(world: Deployment) -> None:
    late = START + 2 * YEAR
    assert world.state.require_past_key(KID, ENC, late, ALPHA, signed_at=SOON).kid == KID
    with pytest.raises(KeyNotActive) as caught:
        world.state.require_past_key(KID, ENC, late, ALPHA, signed_at=START - SECOND)
    assert caught.value.rule == "K6-time"


def test_a_withdrawal_counts_whatever_became_of_its_key_and_agency(world: Deployment) -> None:
    kid = public_key(APPROVER, ALPHA, "1").kid

    def once(use: str = APPROVER, agency: AgencyId = ALPHA, signed_at: datetime = SOON) -> str:
        return world.state.require_once_key(kid, use, agency, signed_at=signed_at).kid

    world.apply(world.drain(use=APPROVER, until=SOON))
    assert once() == kid
    world.apply(world.revoke(use=APPROVER))
    assert once() == kid
    world.apply(world.suspend())
    assert once() == kid
    world.apply(world.expel())
    assert once() == kid
    for wrong in ({"use": ENC}, {"agency": BETA}):
        with pytest.raises(KeyWrongUse):
            once(**wrong)  # type: ignore[arg-type]
    for signed_at in (START - SECOND, START + YEAR):
        with pytest.raises(KeyNotActive) as caught:
            once(signed_at=signed_at)
        assert caught.value.rule == "K6-time"


def test_the_key_that_became_valid_last_comes_first(world: Deployment) -> None:
    world.apply(*world.key(name="2", nbf=START + timedelta(days=1)))
    world.apply(*world.key(name="3", nbf=SOON + timedelta(days=1)))
    found = [key.kid for key in world.state.active_keys(ALPHA, ENC, SOON)]
    assert found == [public_key(ENC, ALPHA, "2").kid, KID]


def test_a_root_key_has_no_end_of_its_own(world: Deployment) -> None:
    kid = root_key(ALPHA).public.ed25519.kid
    assert world.state.require_key(kid, ROOT, START + 100 * YEAR, ALPHA).use == ROOT
    assert len(world.state.active_keys(ALPHA, ROOT, START)) == 2


def test_nobody_has_no_keys(world: Deployment) -> None:
    assert world.state.active_keys(GAMMA, ENC, SOON) == ()
    assert world.state.agency(GAMMA) is None
