"""An issuer that the hub does not let in takes its consents back through an operator."""

import pytest

from exchange.hub.models.envelopes import grant
from exchange.hub.services import guard, withdrawals
from exchange.hub.services.release import Released
from exchange_keys.jws import Signed
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import (
    ConsentWithdrawn,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    NotFound,
    OriginMismatch,
)
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, World
from tests.integration.messages.edits import grant_of


@pytest.fixture
def world(shared: World) -> World:
    return shared


def carry(world: World, signed: Signed) -> Released:
    return withdrawals.withdraw_by_operator(world.hub, "asha", signed)


@pytest.mark.parametrize("status", ["suspended", "expelled", "active"])
def test_a_shut_out_issuer_takes_its_consent_back_for_good(
    world: World, ngo: Agency, embassy: Agency, status: str
) -> None:
    given = world.consent(ngo, embassy)
    fetched, waiting = world.send(ngo, given), world.send(ngo, given)
    world.fetch(embassy, grant_of(fetched, embassy).gid)
    world.set_agency(ngo, status)
    if status != "active":
        with pytest.raises(KeyNotActive):
            world.withdraw(given)
    done = carry(world, world.sign_withdrawal(given))
    assert (done.body["undelivered"], done.body["delivered"]) == (1, 1)
    entry = world.last()
    assert (entry.act, entry.out, entry.opr, entry.org) == ("consent:withdraw", "allow", "asha", None)
    assert entry.own == tuple(sorted((embassy.id, ngo.id)))
    lines = [line for line in guard.read(world.hub.settings.guard_dir) if line.iss == ngo.id]
    assert [line.family for line in lines] == [given.consent.family]
    world.set_agency(ngo, "active")
    with pytest.raises(ConsentWithdrawn):
        world.fetch(embassy, grant_of(waiting, embassy).gid)


def test_carried_again_it_gives_the_first_answer(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    world.set_agency(ngo, "suspended")
    first = carry(world, world.sign_withdrawal(given))
    again = carry(world, world.sign_withdrawal(given))
    assert (again.body, again.receipt) == (first.body, first.receipt)


def refused(world: World, signed: Signed, error: type[Exception]) -> None:
    with pytest.raises(error):
        carry(world, signed)
    entry = world.last()
    assert (entry.act, entry.out, entry.opr) == ("consent:withdraw", "deny", "asha")


def test_an_operator_takes_nothing_back_without_the_issuers_approver(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    gid = grant_of(sealed, embassy).gid
    signers: list[tuple[SigningKey, type[Exception]]] = [
        (ngo.envelope, KeyWrongUse),
        (commission.approver, KeyWrongUse),
    ]
    for signer, error in signers:
        refused(world, world.sign_withdrawal(given, signer), error)
    refused(world, world.sign_withdrawal(given, origin="test.example"), OriginMismatch)
    # Another agency's family, signed as its own.
    refused(world, world.sign_withdrawal(given, commission.approver, iss=commission.id), NotFound)
    assert {row.state for row in world.rows(grant) if row.gid == gid} == {"waiting"}


@pytest.mark.parametrize(("status", "error"), [("revoked", KeyRevoked), ("draining", KeyNotActive)])
def test_a_key_that_ended_takes_nothing_back(
    world: World, ngo: Agency, embassy: Agency, status: str, error: type[Exception]
) -> None:
    given: GivenConsent = world.consent(ngo, embassy)
    world.set_key(ngo.approver.public, status)
    world.set_agency(ngo, "suspended")
    refused(world, world.sign_withdrawal(given), error)
