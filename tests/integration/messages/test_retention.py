"""`retain` at the hub, on both databases: what goes, what stays, and what is said of it."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.db import writing
from exchange.hub.models.envelopes import grant
from exchange.hub.models.parts import part
from exchange.hub.models.replay import replay
from exchange.hub.services import destructions
from exchange.hub.services.retention import Retained, destroy_due
from exchange.hub.services.retention_rules import commitment
from exchange.hub.services.retention_sweep import sweep
from exchange.log.tree import leaf_hash, root_of
from exchange_keys.envelope import SealedEnvelope
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act
from exchange_schemas.errors import GrantExpired, Replay
from exchange_schemas.ids import Digest
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, MovingClock, World
from tests.integration.messages.edits import body_of, core_of, grant_of


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def moving(make_world: Any, clock: MovingClock) -> World:
    found: World = make_world(clock=clock, travel=True)
    return found


@pytest.fixture
def pair(moving: World) -> tuple[Agency, Agency]:
    return moving.agencies["ngo"], moving.agencies["embassy"]


Told = dict[Digest, list[Digest]]


def retain(world: World, *, dry_run: bool = False, told: Told | None = None) -> Retained:
    lines: Told = {} if told is None else told
    done = Retained(lambda statement, commitments: lines.update({statement.digest: list(commitments)}))
    destroy_due(world.hub, done, dry_run=dry_run)
    return done


def eid_of(sealed: SealedEnvelope) -> str:
    return core_of(sealed.grants[0].core).eid


def sent(world: World, ngo: Agency, to: Agency, given: GivenConsent, *, days: int) -> SealedEnvelope:
    draft = world.draft(ngo, expires_at=world.now + timedelta(days=days))
    sealed = world.seal(ngo, [world.recipient(ngo, to, given)], draft)
    world.deposit(ngo, sealed)
    return sealed


def delivered(world: World, ngo: Agency, to: Agency) -> SealedEnvelope:
    """An envelope with a receipt, valid for 80 days, and a later one: the keys at a chain's head stay."""
    given = world.consent(ngo, to, exp=world.now + timedelta(days=90))
    sealed = sent(world, ngo, to, given, days=80)
    gid = grant_of(sealed, to).gid
    world.fetch(to, gid)
    world.submit(to, gid, world.sign_receipt(sealed, to))
    sent(world, ngo, to, given, days=80)
    return sealed


def sealed_of(world: World, gid: str) -> bool:
    return next(row.sealed is not None for row in world.rows(grant) if row.gid == gid)


def test_what_waits_stays_and_a_run_without_work_says_nothing(
    moving: World, pair: tuple[Agency, Agency]
) -> None:
    ngo, embassy = pair
    moving.send(ngo, moving.consent(ngo, embassy))
    before = moving.log_size()
    assert retain(moving).counts.total() == 0
    assert moving.log_size() == before
    assert destructions.listed(moving.hub.engine) == []


def test_a_delivered_envelope_goes_after_its_period_and_its_statement_proves_it(
    moving: World, pair: tuple[Agency, Agency], clock: MovingClock
) -> None:
    ngo, embassy = pair
    sealed = delivered(moving, ngo, embassy)
    item = grant_of(sealed, embassy)
    clock.shift = timedelta(days=29)
    assert retain(moving).counts.total() == 0
    clock.shift = timedelta(days=30, seconds=1)
    parts = {row.sha256 for row in moving.rows(part) if row.eid == eid_of(sealed)}
    assert retain(moving, dry_run=True).counts["parts"] == len(parts)
    assert {row.sha256 for row in moving.rows(part) if row.eid == eid_of(sealed)} == parts
    told: Told = {}
    done = retain(moving, told=told)
    # Two: the recipient's and the sender's own.
    assert done.counts == {"sealed_keys": 2, "parts": len(parts)}
    assert not {row.sha256 for row in moving.rows(part) if row.eid == eid_of(sealed)}
    assert not sealed_of(moving, item.gid)
    (statement,) = done.statements
    commitments = told[statement.digest]
    last = moving.last()
    assert (last.act, last.out, last.own, last.opr) == (Act.RETENTION_DESTROY, "allow", (ngo.id,), "hub")
    assert last.pol == f"sha256:{statement.digest}"
    assert statement.entry_id == last.id
    assert commitment("grant", item.digest) in commitments
    assert {commitment("part", Digest(digest)) for digest in parts} <= set(commitments)
    root = b64u(root_of([leaf_hash(one.encode()) for one in commitments]))
    assert statement.members["commitments"] == {"count": len(commitments), "root": root}
    assert [one.digest for one in destructions.listed(moving.hub.engine)] == [statement.digest]
    # Once more: nothing is left to do.
    before = moving.log_size()
    assert retain(moving).counts.total() == 0
    assert moving.log_size() == before


def test_what_was_destroyed_is_answered_with_a_tombstone(
    moving: World, pair: tuple[Agency, Agency], clock: MovingClock
) -> None:
    ngo, embassy = pair
    sealed = delivered(moving, ngo, embassy)
    item = grant_of(sealed, embassy)
    clock.shift = timedelta(days=31)
    retain(moving)
    with pytest.raises(GrantExpired) as refused:
        moving.fetch(embassy, item.gid)
    stone = refused.value.detail["tombstone"]
    assert isinstance(stone, dict)
    assert (stone["seq"], stone["digest"]) == (item.seq, item.digest)


def test_a_fetched_grant_without_a_receipt_is_kept_until_its_end(
    moving: World, pair: tuple[Agency, Agency], clock: MovingClock
) -> None:
    ngo, embassy = pair
    given = moving.consent(ngo, embassy, exp=moving.now + timedelta(days=90))
    sealed = sent(moving, ngo, embassy, given, days=50)
    moving.fetch(embassy, grant_of(sealed, embassy).gid)
    clock.shift = timedelta(days=49)
    assert retain(moving).counts.total() == 0
    clock.shift = timedelta(days=50, seconds=1)
    assert retain(moving).counts["parts"] > 0


def test_a_withdrawn_recipient_ends_alone_and_the_last_one_ends_the_envelope(
    moving: World, pair: tuple[Agency, Agency]
) -> None:
    ngo, embassy = pair
    commission = moving.agencies["commission"]
    one, two = moving.consent(ngo, embassy), moving.consent(ngo, commission)
    sealed = moving.send(ngo, one, two)
    moving.send(ngo, one, two)
    held = {row.sha256 for row in moving.rows(part) if row.eid == eid_of(sealed)}
    moving.withdraw(one)
    assert retain(moving).counts["parts"] == 0
    assert moving.fetch(commission, grant_of(sealed, commission).gid).status == 200
    moving.withdraw(two)
    done = retain(moving)
    assert done.counts["parts"] >= len(held)
    assert not moving.rows(part)


def test_keys_sealed_to_a_revoked_key_go_at_once_and_the_sender_can_still_grant_again(
    moving: World, pair: tuple[Agency, Agency]
) -> None:
    ngo, embassy = pair
    given = moving.consent(ngo, embassy)
    sealed = moving.send(ngo, given)
    moving.send(ngo, given)
    moving.set_key(embassy.enc.public, "revoked")
    assert +retain(moving).counts == {"sealed_keys": 1}
    assert not sealed_of(moving, grant_of(sealed, embassy).gid)
    assert sealed_of(moving, grant_of(sealed, ngo).gid)


def test_the_sweep_takes_unused_uploads_orphans_and_used_up_proofs(
    moving: World, pair: tuple[Agency, Agency], clock: MovingClock
) -> None:
    ngo, _ = pair
    with writing(moving.hub.engine) as conn:
        old = int((moving.now - timedelta(days=1)).timestamp())
        conn.execute(replay.insert().values(jti_hash=b"x" * 32, expires=old))
        conn.execute(part.insert().values(agency=ngo.id, sha256="A" * 43, bytes=7, ct=None, expires=old))
    dry, done = Retained(), Retained()
    sweep(moving.hub, dry, dry_run=True)
    sweep(moving.hub, done, dry_run=False)
    assert (done.counts["unused_uploads"], done.counts["proofs"]) == (1, 1)
    assert dry.counts["unused_uploads"] == 1
    (statement,) = done.statements
    assert moving.last().pol == f"sha256:{statement.digest}"
    again = Retained()
    sweep(moving.hub, again, dry_run=False)
    assert again.statements == []


def test_a_supplement_that_comes_too_late_is_refused(moving: World, pair: tuple[Agency, Agency]) -> None:
    """A deposit and a run hold the sender's mailbox in turn: no grant is left without its ciphertexts."""
    ngo, embassy = pair
    commission = moving.agencies["commission"]
    given = moving.consent(ngo, embassy)
    draft = moving.draft(ngo)
    moving.deposit(ngo, moving.seal(ngo, [moving.recipient(ngo, embassy, given)], draft))
    moving.withdraw(given)
    assert retain(moving).counts["parts"] > 0
    late = moving.recipient(ngo, commission, moving.consent(ngo, commission))
    sealed = moving.seal(ngo, [late], draft)
    body = body_of(sealed)
    with pytest.raises(Replay):
        moving.deposit(ngo, sealed, body)
