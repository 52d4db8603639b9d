"""Reading the audit log: pulls, bundles, tiles, receipts, each to whom it belongs."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from exchange.hub.db import reading
from exchange.hub.services import audit_pulls
from exchange.hub.services.logs import audit_log
from exchange.hub.services.release import Caller
from exchange.hub.services.witnessed import checkpoint
from exchange.log.checkpoint import open_checkpoint, parse_vkey, vkey
from exchange.log.proof import verify_entry
from exchange.log.tiles import split_bundle
from exchange.log.tree import leaf_hash
from exchange_schemas.codec import unb64u
from exchange_schemas.errors import ExchangeError, Forbidden, Malformed, NotFound
from exchange_schemas.ids import new_id
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import MovingClock, World
from tests.integration.messages.edits import grant_of
from tests.integration.messages.statements import statements


@pytest.fixture
def world(shared: World) -> World:
    return shared


def admit_auditor(world: World) -> Callable[[], Caller]:
    name = f"auditor-{os.urandom(4).hex()}"
    world.admit(name, kind="auditor")
    return lambda: world.caller(name, kind="auditor")


@pytest.fixture
def auditor(world: World) -> Callable[[], Caller]:
    return admit_auditor(world)


def grow(world: World) -> int:
    """A few entries; how many there are."""
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.fetch(embassy, grant_of(sealed, embassy).gid)
    return world.log_size()


def test_one_pull_is_one_entry_and_covers_what_was_there(world: World, auditor: Callable[[], Caller]) -> None:
    size = grow(world)
    done = audit_pulls.open_pull(world.hub, auditor(), 0)
    assert (done.status, done.body["size"]) == (201, size)
    name = world.hub.settings.audit_log
    key = parse_vkey(vkey(name, world.hub.keys.audit_log.public.raw))
    assert open_checkpoint(str(done.body["checkpoint"]), [key], origin=name).size == size
    assert world.last().act == "audit:pull"
    released, data = audit_pulls.bundle(world.hub, auditor(), 0, size)
    assert released.receipt is None
    found = split_bundle(data)
    assert [entry.to_bytes() for entry in world.entries()[:size]] == found
    assert world.log_size() == size + 1
    _, tile = audit_pulls.tile(world.hub, auditor(), 0, 0, size)
    assert tile == b"".join(leaf_hash(entry) for entry in found)


def test_entries_need_an_open_pull(world: World, auditor: Callable[[], Caller]) -> None:
    grow(world)
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, auditor(), 0, 1)


def test_a_pull_covers_no_later_entry(world: World, auditor: Callable[[], Caller]) -> None:
    size = grow(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    grow(world)
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, auditor(), 0, size + 1)
    # The pull's own entry is read under the next one.
    assert audit_pulls.open_pull(world.hub, auditor(), size).body["size"] > size  # type: ignore[operator]
    assert audit_pulls.bundle(world.hub, auditor(), 0, size + 1)


def test_a_pull_is_over_after_a_day(make_world: Callable[..., World]) -> None:
    clock = MovingClock()
    world = make_world(clock=clock, travel=True)
    auditor = admit_auditor(world)
    size = grow(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    clock.shift = timedelta(hours=24)
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, auditor(), 0, size)


def test_a_pull_is_the_auditors_own(world: World, auditor: Callable[[], Caller]) -> None:
    size = grow(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    other = admit_auditor(world)
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, other(), 0, size)


def test_only_auditors_pull(world: World) -> None:
    grow(world)
    for call in (
        lambda: audit_pulls.open_pull(world.hub, world.caller(world.agencies["ngo"]), 0),
        lambda: audit_pulls.bundle(world.hub, world.caller(world.agencies["ngo"]), 0, 1),
    ):
        with pytest.raises(Forbidden):
            call()


def test_an_auditor_that_has_more_than_the_log_is_told(world: World, auditor: Callable[[], Caller]) -> None:
    size = grow(world)
    with pytest.raises(Malformed) as caught:
        audit_pulls.open_pull(world.hub, auditor(), size + 2)
    assert caught.value.hint is not None


def test_every_member_reads_hashes_and_nothing_beyond_the_log(world: World) -> None:
    size = grow(world)
    released, data = audit_pulls.tile(world.hub, world.caller(world.agencies["ngo"]), 0, 0, size)
    assert (released.receipt, len(data)) == (None, 32 * size)
    with pytest.raises(NotFound):
        audit_pulls.tile(world.hub, world.caller(world.agencies["ngo"]), 0, 0, size + 1)


def test_the_checkpoint_is_for_everybody(world: World) -> None:
    size = grow(world)
    name = world.hub.settings.audit_log
    key = parse_vkey(vkey(name, world.hub.keys.audit_log.public.raw))
    assert open_checkpoint(checkpoint(world.hub, audit_log(world.hub)), [key], origin=name).size == size


def test_a_party_reads_its_receipt_again(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, world.consent(ngo, embassy))])
    given = world.deposit(ngo, sealed).receipt
    assert given is not None
    for party in (ngo, embassy):
        again = audit_pulls.receipt(world.hub, world.caller(party), given.entry_id)
        assert again.receipt is None
        assert unb64u(again.body["entry"], field="entry") == given.entry
        assert again.body["proof"] == given.proof
    name = world.hub.settings.audit_log
    verify_entry(given.entry, given.proof, [vkey(name, world.hub.keys.audit_log.public.raw)], origin=name)


def test_an_entry_of_others_is_not_found(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.register(world.sign_consent(world.draft_consent(ngo, embassy))).receipt
    assert given is not None
    said = set()
    for entry_id in (given.entry_id, "A" * 22):
        with pytest.raises(NotFound) as caught:
            audit_pulls.receipt(world.hub, world.caller(world.agencies["commission"]), entry_id)
        said.add(str(caught.value))
    assert len(said) == 1
    with pytest.raises(ExchangeError):
        audit_pulls.receipt(world.hub, world.caller(world.agencies["commission"]), "not an id")


def test_an_entry_that_reads_like_an_agency_s_id_is_not_its_own(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.register(world.sign_consent(world.draft_consent(ngo, embassy))).receipt
    assert given is not None
    # An agency may be called as an outcome is, which stands in the entry in the same quotes.
    assert b'"allow"' in given.entry
    with pytest.raises(NotFound):
        audit_pulls.receipt(world.hub, world.caller("allow"), given.entry_id)


def test_attack_18_a_receipt_of_others_costs_the_sql_of_one_that_is_not_there(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.register(world.sign_consent(world.draft_consent(ngo, embassy))).receipt
    assert given is not None
    ran = []
    for entry_id in (given.entry_id, new_id(os.urandom)):
        with statements(world) as seen, pytest.raises(NotFound):
            audit_pulls.receipt(world.hub, world.caller(commission), entry_id)
        ran.append([text for text, _ in seen])
        with reading(world.hub.engine) as conn:
            rows = [conn.exec_driver_sql(text, values).all() for text, values in seen if "SELECT" in text]
        assert rows == [[]]
    assert ran[0] == ran[1]
