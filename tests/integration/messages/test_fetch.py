"""Fetching: the recipient alone, decided again at that moment, a tombstone for what is dead."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.models.envelopes import grant
from exchange.hub.services.release import Released
from exchange.log.checkpoint import open_checkpoint, parse_vkey, vkey
from exchange_keys.envelope import SealedEnvelope, open_grant
from exchange_keys.jws import Signed
from exchange_keys.manifest import check_grant, open_manifest
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import unb64u
from exchange_schemas.consent import Withdrawal
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import (
    ConsentExpired,
    ConsentSuperseded,
    ConsentWithdrawn,
    ExchangeError,
    GrantExpired,
    KeyNotActive,
    KeyRevoked,
    NotFound,
    RecipientDenied,
)
from exchange_schemas.ids import GrantId
from exchange_schemas.tombstone import Tombstone
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, MovingClock, World
from tests.integration.messages.edits import core_of, grant_of


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def moving(make_world: Callable[..., World]) -> tuple[World, MovingClock]:
    """A world of its own whose clock can be moved."""
    clock = MovingClock()
    return make_world(clock=clock, travel=True), clock


def body(released: Released) -> dict[str, Any]:
    return dict(released.body)


def stone(error: ExchangeError) -> Tombstone:
    return Tombstone.from_json(error.detail["tombstone"])


def gid_of(sealed: SealedEnvelope, rcp: Agency) -> GrantId:
    return GrantId(grant_of(sealed, rcp).gid)


def test_what_is_fetched_opens(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    got = body(world.fetch(embassy, gid_of(sealed, embassy)))
    core, keys = unb64u(got["core"], field="core"), unb64u(got["sealed"], field="sealed")
    signed = Signed.from_json(got["manifest"], 16 * 1024)
    manifest, kid = open_manifest(
        signed, origin="exchange.example", key_for={ngo.envelope.public.kid: ngo.envelope.public}.get
    )
    assert kid == ngo.envelope.public.kid
    check_grant(manifest, core, keys)
    parts = {item["sha256"]: unb64u(item["ct"], field="ct") for item in got["parts"]}

    def part(ref: PartRef) -> bytes:
        return parts[ref.sha256]

    opened = open_grant(core, keys, embassy.enc, part)
    assert set(opened) == set(FOUND)
    assert got["consent"] == given.body


def test_the_answer_holds_the_directorys_signed_position(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    place = body(world.fetch(embassy, gid_of(sealed, embassy)))["directory"]
    name = world.hub.settings.directory_log
    key = parse_vkey(vkey(name, world.hub.keys.directory_log.public.raw))
    checkpoint = open_checkpoint(place["checkpoint"], [key], origin=name)
    assert (checkpoint.size, place["size"]) == (world.position.size, world.position.size)


def test_a_fetch_is_logged_with_its_parties_and_fields(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    deposited = world.last()
    world.fetch(embassy, gid_of(sealed, embassy))
    entry = world.last()
    assert (entry.act, entry.out, entry.org) == ("grant:fetch", "allow", embassy.id)
    assert entry.own == tuple(sorted((ngo.id, embassy.id)))
    assert (entry.knd, entry.pur, entry.fld) == ("found_notice", "trace", tuple(sorted(FOUND)))
    assert (entry.rec, entry.cns) == (deposited.rec, deposited.cns)


def test_a_fetched_grant_can_be_fetched_again(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    first, again = (body(world.fetch(embassy, gid_of(sealed, embassy))) for _ in range(2))
    assert first == again
    (row,) = [row for row in world.rows(grant) if row.gid == gid_of(sealed, embassy)]
    assert row.state == "fetched"


def test_the_sender_fetches_its_own_grant(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    got = body(world.fetch(ngo, gid_of(sealed, ngo)))
    assert got["consent"] is None
    assert {item["sha256"] for item in got["parts"]} <= set(sealed.parts)


def test_a_recipient_learns_of_no_other_recipient(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy), world.consent(ngo, commission))
    got = body(world.fetch(embassy, gid_of(sealed, embassy)))
    signed = Signed.from_json(got["manifest"], 16 * 1024).payload.decode()
    assert commission.id not in f"{got}{signed}"
    own = {ref.sha256 for ref in core_of(grant_of(sealed, embassy).core).parts}
    assert {item["sha256"] for item in got["parts"]} == own


def test_only_the_recipient_fetches_and_cannot_tell_what_exists(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    said = set()
    for caller, gid in (
        (commission, gid_of(sealed, embassy)),
        (ngo, gid_of(sealed, embassy)),
        (embassy, gid_of(sealed, ngo)),
        (commission, GrantId("A" * 22)),
    ):
        with pytest.raises(NotFound) as caught:
            world.fetch(caller, gid)
        said.add((str(caught.value), caught.value.field, caught.value.rule))
    assert len(said) == 1


def test_a_large_part_of_anothers_grant_is_not_found(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    ref = core_of(grant_of(sealed, embassy).core).parts[0]
    for caller in (commission, embassy):
        # For the recipient too: the part is small and came with the grant.
        with pytest.raises(NotFound):
            world.fetch_part(caller, gid_of(sealed, embassy), ref.p)


# -- dead grants -----------------------------------------------------------------------------------


def test_a_withdrawn_consent_leaves_a_tombstone_with_the_signed_withdrawal(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    world.withdraw(given)
    with pytest.raises(ConsentWithdrawn) as caught:
        world.fetch(embassy, gid_of(sealed, embassy))
    found = stone(caught.value)
    item = grant_of(sealed, embassy)
    assert (found.seq, found.digest, found.reason) == (1, item.digest, "CONSENT_WITHDRAWN")
    assert found.withdrawal is not None
    signed = Signed.from_json(dict(found.withdrawal), 2048)
    assert Withdrawal.from_bytes(signed.payload).family == given.consent.family
    entry = world.last()
    assert (entry.act, entry.out, entry.rsn) == ("grant:fetch", "deny", "CONSENT_WITHDRAWN")
    assert set(entry.own) == {ngo.id, embassy.id}


def test_a_fetched_grant_is_not_given_again_after_the_withdrawal(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    world.fetch(embassy, gid_of(sealed, embassy))
    world.withdraw(given)
    with pytest.raises(ConsentWithdrawn):
        world.fetch(embassy, gid_of(sealed, embassy))


def test_a_consent_that_ended_meanwhile_leaves_a_tombstone(moving: tuple[World, MovingClock]) -> None:
    world, clock = moving
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    sealed = world.send(ngo, world.consent(ngo, embassy, exp=world.now + timedelta(days=3)))
    clock.shift = timedelta(days=4)
    with pytest.raises(ConsentExpired) as caught:
        world.fetch(embassy, gid_of(sealed, embassy))
    assert stone(caught.value).reason == "CONSENT_EXPIRED"


def test_a_grant_past_its_time_leaves_a_tombstone(moving: tuple[World, MovingClock]) -> None:
    world, clock = moving
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    sealed = world.send(ngo, world.consent(ngo, embassy))
    clock.shift = timedelta(days=31)
    for agency in (embassy, ngo):
        with pytest.raises(GrantExpired) as caught:
            world.fetch(agency, gid_of(sealed, agency))
        assert stone(caught.value).reason == "GRANT_EXPIRED"


def test_a_superseded_consent_still_gives_what_the_newest_allows(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    world.supersede(given)
    # The recipient gets the consent that its grant names.
    assert body(world.fetch(embassy, gid_of(sealed, embassy)))["consent"] == given.body


def test_a_superseded_consent_gives_nothing_more_than_the_newest(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    world.supersede(given, fields=tuple(sorted(set(FOUND) - {"sex"})))
    with pytest.raises(ConsentSuperseded) as caught:
        world.fetch(embassy, gid_of(sealed, embassy))
    assert stone(caught.value).reason == "CONSENT_SUPERSEDED"


def test_a_revoked_key_is_served_no_more(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.set_key(embassy.enc.public, "revoked")
    with pytest.raises(KeyRevoked):
        world.fetch(embassy, gid_of(sealed, embassy))


def test_a_draining_key_is_served(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.set_key(embassy.enc.public, "draining")
    world.add_key(embassy, "enc", EncKey.generate().public)
    assert world.fetch(embassy, gid_of(sealed, embassy)).status == 200


def test_a_recipient_that_takes_no_part_gets_nothing(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.set_agency(embassy, "suspended")
    with pytest.raises(RecipientDenied):
        world.fetch(embassy, gid_of(sealed, embassy))


def test_the_grants_of_a_suspended_sender_wait_for_it(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.set_agency(ngo, "suspended")
    with pytest.raises(KeyNotActive):
        world.fetch(embassy, gid_of(sealed, embassy))
    world.set_agency(ngo, "active")
    assert world.fetch(embassy, gid_of(sealed, embassy)).status == 200


def test_a_grant_that_rests_on_no_consent_survives_a_withdrawal(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    names = ("reason_code",)
    draft = world.draft(ngo, names, kind="deletion_request")
    request = world.recipient(ngo, embassy, given, fields=names, values={})
    sealed = world.seal(ngo, [request], draft)
    world.deposit(ngo, sealed)
    assert world.withdraw(given).body["undelivered"] == 0
    assert body(world.fetch(embassy, gid_of(sealed, embassy)))["consent"] == given.body
    # And one may still be sent: that is how deletion is asked for.
    again = world.recipient(ngo, embassy, given, fields=names, values={})
    assert (
        world.deposit(ngo, world.seal(ngo, [again], world.draft(ngo, names, kind="deletion_request"))).status
        == 201
    )
