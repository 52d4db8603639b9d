"""Withdrawals: at once, for the whole family, for good, and also after a restore from a backup."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.engine import make_url

from exchange.hub.db import writing
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import grant
from exchange.hub.services import guard, withdrawals
from exchange_schemas.errors import (
    ConsentMismatch,
    ConsentWithdrawn,
    ExchangeError,
    KeyWrongUse,
    NotFound,
    OriginMismatch,
    SenderMismatch,
    StorageFull,
    StoreCorrupt,
)
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, World
from tests.integration.messages.edits import body_of, grant_of


@pytest.fixture
def alone(make_world: Callable[..., World]) -> World:
    """A hub of its own, for what would disturb the others."""
    return make_world()


@pytest.fixture
def world(shared: World) -> World:
    return shared


def states(world: World) -> dict[str, str]:
    return {row.gid: row.state for row in world.rows(grant)}


def journal(world: World, given: GivenConsent) -> list[guard.Withdrawn]:
    """The lines about one consent's family."""
    lines = guard.read(world.hub.settings.guard_dir)
    return [line for line in lines if line.family == given.consent.family]


def test_a_withdrawal_counts_what_was_and_was_not_delivered(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sent = [world.send(ngo, given) for _ in range(3)]
    fetched = grant_of(sent[0], embassy).gid
    world.fetch(embassy, fetched)
    done = world.withdraw(given)
    assert done.status == 200
    assert (done.body["undelivered"], done.body["delivered"]) == (2, 1)
    found = states(world)
    assert found[fetched] == "fetched"
    assert [found[grant_of(item, embassy).gid] for item in sent[1:]] == ["dead", "dead"]
    # The sender's own grants stay.
    assert {found[grant_of(item, ngo).gid] for item in sent} == {"waiting"}
    entry = world.last()
    assert (entry.act, entry.out, entry.own) == ("consent:withdraw", "allow", (embassy.id, ngo.id))


def test_a_withdrawal_acts_on_every_consent_of_the_family(world: World, ngo: Agency, embassy: Agency) -> None:
    first = world.consent(ngo, embassy)
    old = world.send(ngo, first)
    second = world.supersede(first)
    new = world.send(ngo, second)
    assert world.withdraw(first).body["undelivered"] == 2
    for sealed in (old, new):
        with pytest.raises(ConsentWithdrawn):
            world.fetch(embassy, grant_of(sealed, embassy).gid)


def test_a_withdrawal_leaves_other_families_alone(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given, other = world.consent(ngo, embassy), world.consent(ngo, commission)
    sealed = world.send(ngo, given, other)
    world.withdraw(given)
    assert world.fetch(commission, grant_of(sealed, commission).gid).status == 200


def test_a_withdrawal_again_gives_the_first_answer_and_receipt(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.send(ngo, given)
    first = world.withdraw(given)
    world.set_key(ngo.approver.public, "revoked")
    again = world.withdraw(given)
    assert (again.body, again.receipt) == (first.body, first.receipt)
    assert len(journal(world, given)) == 1


def test_the_keys_of_a_dead_grant_go_once_it_is_not_the_head_of_its_chain(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given, other = world.consent(ngo, embassy), world.consent(ngo, embassy)
    older, newer = world.send(ngo, given), world.send(ngo, given)
    world.withdraw(given)
    sealed = {row.gid: row.sealed for row in world.rows(grant)}
    assert sealed[grant_of(older, embassy).gid] is None
    assert sealed[grant_of(newer, embassy).gid] is not None
    world.send(ngo, other)
    sealed = {row.gid: row.sealed for row in world.rows(grant)}
    assert sealed[grant_of(newer, embassy).gid] is None


def test_only_the_issuer_withdraws(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    body = world.sign_withdrawal(given).to_json()
    with pytest.raises(SenderMismatch):
        withdrawals.withdraw(world.hub, world.caller(embassy), given.consent.cid, body)


def test_anothers_consent_is_not_found(world: World, ngo: Agency, commission: Agency) -> None:
    given = world.consent(ngo, commission)
    own = GivenConsent(replace(given.consent, iss=commission.id, rcp=ngo.id), given.signed)
    with pytest.raises(NotFound):
        world.withdraw(own)


def test_the_withdrawal_names_the_consents_family(world: World, ngo: Agency, embassy: Agency) -> None:
    given, other = world.consent(ngo, embassy), world.consent(ngo, embassy)
    body = world.sign_withdrawal(other).to_json()
    with pytest.raises(ConsentMismatch):
        withdrawals.withdraw(world.hub, world.caller(ngo), given.consent.cid, body)


def test_only_an_approver_withdraws(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    with pytest.raises(KeyWrongUse):
        world.withdraw(given, ngo.envelope)


def test_a_withdrawal_of_another_deployment_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    body = world.sign_withdrawal(given, origin="test.example").to_json()
    with pytest.raises(OriginMismatch):
        withdrawals.withdraw(world.hub, world.caller(ngo), given.consent.cid, body)


def test_a_refused_withdrawal_changes_nothing(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    with pytest.raises(KeyWrongUse):
        world.withdraw(given, ngo.envelope)
    assert journal(world, given) == []
    assert world.fetch(embassy, grant_of(sealed, embassy).gid).status == 200


def test_nothing_is_withdrawn_when_the_guard_journal_cannot_be_written(alone: World) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    given = world.consent(ngo, embassy)
    world.hub.settings.guard_dir.parent.mkdir(exist_ok=True)
    world.hub.settings.guard_dir.write_text("a file where the folder should be")
    with pytest.raises(StorageFull):
        world.withdraw(given)
    (family,) = world.rows(consent_family)
    assert family.status == "active"
    assert world.last().out == "error"


# -- after a restore ---------------------------------------------------------------------------------


def revive(world: World, *, forget: bool) -> None:
    """What a backup from before the withdrawal would bring back; `forget`: from before the consent."""
    with writing(world.hub.engine) as conn:
        conn.execute(update(grant).where(grant.c.state == "dead").values(state="waiting"))
        if forget:
            conn.execute(delete(consent))
            conn.execute(delete(consent_family))
        else:
            conn.execute(update(consent_family).values(status="active", withdrawal=None, withdrawn_at=None))


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_hub_restored_from_a_backup_revives_nothing(alone: World, tmp_path: Path) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    database = make_url(world.hub.settings.database_url).database
    backup = tmp_path / "backup.sqlite"
    with sqlite3.connect(f"{database}") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    source.close()
    target.close()
    world.withdraw(given)
    world.hub.engine.dispose()
    for leftover in Path(f"{database}").parent.glob("hub.sqlite*"):
        leftover.unlink()
    shutil.copy(backup, f"{database}")
    assert withdrawals.replay_journal(world.hub) == 1
    with pytest.raises(ConsentWithdrawn) as caught:
        world.fetch(embassy, grant_of(sealed, embassy).gid)
    assert caught.value.detail["tombstone"]["withdrawal"] is not None  # type: ignore[index,call-overload]
    entry = next(item for item in world.entries() if item.act == "withdrawal:replay")
    assert (entry.opr, entry.own) == ("hub", (ngo.id,))
    with pytest.raises(ConsentWithdrawn):
        world.send(ngo, given)


def test_the_journal_is_applied_once(alone: World) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    given = world.consent(ngo, embassy)
    world.send(ngo, given)
    first = world.withdraw(given)
    assert withdrawals.replay_journal(world.hub) == 0
    revive(world, forget=False)
    assert withdrawals.replay_journal(world.hub) == 1
    assert withdrawals.replay_journal(world.hub) == 0
    again = world.withdraw(given).body
    assert again == first.body


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_family_that_the_restored_database_does_not_know_can_never_begin(alone: World) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    given = world.consent(ngo, embassy)
    world.withdraw(given)
    revive(world, forget=True)
    assert withdrawals.replay_journal(world.hub) == 1
    with pytest.raises(ConsentWithdrawn):
        world.register(given)


def test_a_damaged_journal_stops_the_start(alone: World) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    for _ in range(2):
        world.withdraw(world.consent(ngo, embassy))
    path = world.hub.settings.guard_dir / guard.JOURNAL
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"v":2', 1))
    with pytest.raises(StoreCorrupt):
        withdrawals.replay_journal(world.hub)


def test_a_journal_that_contradicts_the_database_stops_the_start(alone: World) -> None:
    world, ngo, embassy = alone, alone.agencies["ngo"], alone.agencies["embassy"]
    given = world.consent(ngo, embassy)
    line = guard.Withdrawn(given.consent.family, embassy.id, 1, b"{}")
    guard.append(world.hub.settings.guard_dir, line)
    with pytest.raises(ExchangeError):
        withdrawals.replay_journal(world.hub)


def test_no_new_grant_is_taken_under_a_withdrawn_consent(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    world.withdraw(given)
    with pytest.raises(ConsentWithdrawn):
        world.deposit(ngo, sealed, body_of(sealed))
