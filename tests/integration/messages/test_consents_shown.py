"""Reading consents: who may see which, where it stands, and the listing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.services import consents, withdrawals
from exchange_schemas.errors import (
    Malformed,
    NotFound,
)
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, MovingClock, World


@pytest.fixture
def world(shared: World) -> World:
    return shared


def test_issuer_and_recipient_read_a_consent_and_nobody_else(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.consent(ngo, embassy)
    for party in (ngo, embassy):
        shown = consents.one(world.hub, world.caller(party), given.consent.cid).body
        assert shown == {"cid": given.consent.cid, "status": "active", "consent": given.body}
    with pytest.raises(NotFound) as others:
        consents.one(world.hub, world.caller(commission), given.consent.cid)
    with pytest.raises(NotFound) as missing:
        consents.one(world.hub, world.caller(commission), given.consent.family)
    assert str(others.value) == str(missing.value)


def test_a_consent_shows_where_it_stands(world: World, ngo: Agency, embassy: Agency) -> None:
    first = world.consent(ngo, embassy)
    second = world.supersede(first)

    def read(given: GivenConsent) -> dict[str, Any]:
        return dict(consents.one(world.hub, world.caller(embassy), given.consent.cid).body)

    assert (read(first)["status"], read(second)["status"]) == ("superseded", "active")
    signed = world.sign_withdrawal(second).to_json()
    withdrawals.withdraw(world.hub, world.caller(ngo), second.consent.cid, signed)
    assert read(first)["status"] == read(second)["status"] == "withdrawn"
    assert read(first)["withdrawal"] == signed


def test_the_listing_has_what_the_caller_issued_and_received_in_order(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    mine = [
        world.consent(ngo, embassy),
        world.consent(commission, ngo),
        world.consent(ngo, commission),
        world.consent(embassy, ngo),
    ]
    world.consent(commission, embassy)
    found: list[str] = []
    cursor = None
    while True:
        page = consents.listing(world.hub, world.caller(ngo), cursor=cursor, limit=3).body
        found += [item["cid"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [given.consent.cid for given in mine]


def test_a_cursor_is_good_for_its_agency_and_listing_only(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    for _ in range(2):
        world.consent(ngo, embassy)
    cursor = consents.listing(world.hub, world.caller(ngo), cursor=None, limit=1).body["next"]
    assert isinstance(cursor, str)
    with pytest.raises(Malformed):
        consents.listing(world.hub, world.caller(embassy), cursor=cursor, limit=1)
    flipped = ("B" if cursor[5] == "A" else "A").join((cursor[:5], cursor[6:]))
    with pytest.raises(Malformed):
        consents.listing(world.hub, world.caller(ngo), cursor=flipped, limit=1)


def test_a_consent_past_its_time_is_shown_as_expired(make_world: Callable[..., World]) -> None:
    clock = MovingClock()
    world = make_world(clock=clock, travel=True)
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    given = world.consent(ngo, embassy, exp=world.now + timedelta(days=1))
    clock.shift = timedelta(days=1)
    shown = consents.one(world.hub, world.caller(embassy), given.consent.cid).body
    assert shown["status"] == "expired"
