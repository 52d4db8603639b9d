"""A consent that was narrowed stays narrow, also at a hub that was put back to before the narrowing."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update

from exchange.hub.db import writing
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.services import guard, withdrawals
from exchange_schemas.errors import ConsentSuperseded, ConsentWithdrawn, StorageFull
from exchange_schemas.ids import ConsentId, new_id
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, World
from tests.integration.messages.edits import grant_of


def narrowed(world: World, given: GivenConsent) -> GivenConsent:
    fields = tuple(name for name in given.consent.fields if name != "photo")
    return world.supersede(given, fields=fields, pur=("care",))


def put_back(world: World, kept: GivenConsent) -> None:
    """The backup is of before every newer consent of this family."""
    lost = consent.c.family == kept.consent.family, consent.c.cid != kept.consent.cid
    back = {"newest": kept.consent.cid, "status": "active", "withdrawal": None, "withdrawn_at": None}
    with writing(world.hub.engine) as conn:
        conn.execute(delete(consent).where(*lost))
        conn.execute(
            update(consent_family).where(consent_family.c.family == kept.consent.family).values(**back)
        )


def state(world: World, given: GivenConsent) -> Any:
    (row,) = (row for row in world.rows(consent_family) if row.family == given.consent.family)
    return row


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_a_narrower_consent_forbids_is_not_given_by_a_restored_hub(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    sealed = world.send(ngo, wide)
    narrow = narrowed(world, wide)
    put_back(world, wide)
    assert withdrawals.replay_journal(world.hub) == 1
    with pytest.raises(ConsentSuperseded):
        world.fetch(embassy, grant_of(sealed, embassy).gid)
    assert state(world, wide).newest == narrow.consent.cid
    entry = next(item for item in world.entries() if item.act == "withdrawal:replay")
    assert (entry.opr, set(entry.own)) == ("hub", {ngo.id, embassy.id})
    assert withdrawals.replay_journal(world.hub) == 0
    # The issuer goes on from it: the same bytes are known, and the next one supersedes it.
    assert world.register(narrow).status == 200
    world.supersede(narrow)
    assert withdrawals.replay_journal(world.hub) == 0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_newer_consent_comes_back_in_order_and_a_withdrawal_after_them_counts(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    sealed = world.send(ngo, wide)
    newest = narrowed(world, narrowed(world, wide))
    put_back(world, wide)
    assert withdrawals.replay_journal(world.hub) == 2
    assert state(world, wide).newest == newest.consent.cid
    world.withdraw(newest)
    put_back(world, wide)
    assert withdrawals.replay_journal(world.hub) == 3
    with pytest.raises(ConsentWithdrawn):
        world.fetch(embassy, grant_of(sealed, embassy).gid)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_journal_never_makes_a_consent_that_nothing_of_its_family_is_known_of(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    narrow = narrowed(world, wide)
    with writing(world.hub.engine) as conn:
        conn.execute(delete(consent))
        conn.execute(delete(consent_family))
    assert withdrawals.replay_journal(world.hub) == 0
    assert (world.count(consent), world.count(consent_family)) == (0, 0)
    # Its issuer registers both again, in their order.
    assert [world.register(one).status for one in (wide, narrow)] == [201, 201]


def unfinished(world: World, given: GivenConsent, supersedes: ConsentId) -> GivenConsent:
    """A newer consent whose line is on the disk and whose commit never was."""
    cid = ConsentId(new_id(os.urandom))
    signed = world.sign_consent(replace(given.consent, cid=cid, supersedes=supersedes, pur=("care",)))
    line = guard.Superseded(
        given.consent.family, given.consent.iss, int(world.now.timestamp()), signed.signed.to_bytes()
    )
    guard.append(world.hub.settings.guard_dir, line)
    return signed


def test_a_line_whose_commit_failed_holds_from_the_next_start_on(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    sealed = world.send(ngo, wide)
    narrow = unfinished(world, wide, wide.consent.cid)
    unfinished(world, wide, narrow.consent.cid)
    unfinished(world, wide, wide.consent.cid)
    assert withdrawals.replay_journal(world.hub) == 2
    with pytest.raises(ConsentSuperseded):
        world.fetch(embassy, grant_of(sealed, embassy).gid)
    assert withdrawals.replay_journal(world.hub) == 0


def test_a_withdrawn_family_gets_no_newer_consent_from_the_journal(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    unfinished(world, wide, wide.consent.cid)
    world.withdraw(wide)
    assert withdrawals.replay_journal(world.hub) == 0
    assert state(world, wide).status == "withdrawn"


def test_nothing_is_superseded_when_the_guard_journal_cannot_be_written(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    wide = world.consent(ngo, embassy)
    world.hub.settings.guard_dir.parent.mkdir(exist_ok=True)
    world.hub.settings.guard_dir.write_text("a file where the folder should be")
    with pytest.raises(StorageFull):
        narrowed(world, wide)
    assert state(world, wide).newest == wide.consent.cid
