"""What commitments stand for: shown to who is entitled, logged, forgotten; the log verifies as before."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, text
from sqlalchemy.engine import make_url

from exchange.hub.db import open_engine, overwrite_erased, reading, writing
from exchange.hub.models.log import log_disclosure, log_salt
from exchange.hub.models.slices import slice_state
from exchange.hub.services import accreditation, audit_disclosures, audit_pulls
from exchange.hub.services.audit_append import Leaf, append, microseconds
from exchange.hub.services.audit_disclosures import IDS, PROOFS, forget, forget_old_proofs
from exchange.hub.services.release import Caller
from exchange.log.checkpoint import vkey
from exchange.log.commitment import commitment
from exchange.log.proof import verify_entry
from exchange_schemas.codec import b64u, sha256, unb64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import Conflict, Forbidden, Malformed, NotFound
from exchange_schemas.ids import AgencyId
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import MovingClock, World
from tests.integration.storage import only
from tests.integration.storage.logs import check_log

Who = Callable[[], Caller]
# Each act about an auditor is signed after the one before.
_LATER = count()


def admit_auditor(world: World) -> Who:
    name = f"auditor-{os.urandom(4).hex()}"
    world.admit(name, kind="auditor")
    return lambda: world.caller(name, kind="auditor")


@pytest.fixture
def auditor(world: World) -> Who:
    return admit_auditor(world)


def rows(world: World, table: Table) -> list[Any]:
    with reading(world.hub.engine) as conn:
        return list(conn.execute(select(table)).all())


def limited(world: World, auditor: Who, *about: Agency) -> None:
    names = tuple(one.id for one in about) or None
    signed = world.now + timedelta(seconds=next(_LATER))
    accreditation.accredit(world.hub, "asha", auditor().agency, names, signed)


def shown(world: World, auditor: Who, what: str = IDS) -> list[Any]:
    opened = audit_disclosures.open_reading(world.hub, auditor(), what).body
    page = audit_disclosures.read_page(world.hub, auditor(), str(opened["reading"]), 0).body
    assert page["next"] is None
    found = page["disclosures"]
    assert isinstance(found, list)
    return found


def both_deal(world: World) -> tuple[str, str]:
    """The families of a consent to the embassy and one to the commission."""
    ngo, embassy, commission = (world.agencies[name] for name in ("ngo", "embassy", "commission"))
    one, other = world.consent(ngo, embassy), world.consent(ngo, commission)
    world.send(ngo, one)
    world.send(ngo, other)
    return one.consent.family, other.consent.family


def test_every_disclosure_gives_the_commitment_of_its_entry_and_is_an_access(
    world: World, auditor: Who
) -> None:
    family, _ = both_deal(world)
    entries = world.entries()
    found = shown(world, auditor)
    assert len(found) == sum((entry.cns is not None) + (entry.rec is not None) for entry in entries)
    assert family in {one["value"] for one in found}
    for one in found:
        said = getattr(entries[one["index"]], one["name"])
        assert commitment(one["name"], unb64u(one["salt"], field="salt"), one["value"]) == said
    (opened,) = [entry for entry in world.entries() if entry.act == Act.DISCLOSURE_READ]
    assert (opened.org, opened.pol, opened.out) == (auditor().agency, "ids", "allow")
    proofs = shown(world, auditor, PROOFS)
    assert {one["name"] for one in proofs} == {"req"}
    for one in proofs:
        assert b64u(sha256(one["value"].encode())) == world.entries()[one["index"]].req


def test_an_auditor_of_some_agencies_is_shown_theirs_alone(world: World, auditor: Who) -> None:
    family, other = both_deal(world)
    limited(world, auditor, world.agencies["embassy"])
    found = shown(world, auditor)
    assert family in {one["value"] for one in found}
    assert other not in {one["value"] for one in found}
    about = {world.entries()[one["index"]].own for one in found}
    assert all("embassy" in own for own in about)
    limited(world, auditor, world.agencies["commission"])
    assert family not in {one["value"] for one in shown(world, auditor)}


def test_nobody_reads_without_a_reading_of_its_own(world: World, auditor: Who) -> None:
    both_deal(world)
    opened = str(audit_disclosures.open_reading(world.hub, auditor(), IDS).body["reading"])
    pulled = str(audit_pulls.open_pull(world.hub, auditor(), 0).body["pull"])
    stranger = admit_auditor(world)
    ngo = world.agencies["ngo"]
    for caller, ident in ((stranger(), opened), (auditor(), pulled), (world.caller(ngo), opened)):
        with pytest.raises(Forbidden):
            audit_disclosures.read_page(world.hub, caller, ident, 0)
    with pytest.raises(Forbidden):
        audit_disclosures.open_reading(world.hub, world.caller(ngo), IDS)
    with pytest.raises(Malformed):
        audit_disclosures.read_page(world.hub, auditor(), "x", 0)
    # Neither is one a pull of entries.
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, stranger(), 0, 1)
    audit_disclosures.open_reading(world.hub, stranger(), IDS)
    with pytest.raises(Forbidden):
        audit_pulls.bundle(world.hub, stranger(), 0, 1)


def test_a_reading_covers_what_was_there_page_by_page(
    world: World, auditor: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_deal(world)
    monkeypatch.setattr(audit_disclosures, "SCAN", 4)
    opened = audit_disclosures.open_reading(world.hub, auditor(), IDS).body
    both_deal(world)
    size, start, found = opened["size"], 0, []
    while True:
        page = audit_disclosures.read_page(world.hub, auditor(), str(opened["reading"]), start).body
        found += page["disclosures"]  # type: ignore[arg-type]  # a list, as the test above shows
        if page["next"] is None:
            break
        assert page["next"] == start + 4
        start = page["next"]
    entries = world.entries()[:size]  # type: ignore[misc]  # a number
    assert len(found) == sum((entry.cns is not None) + (entry.rec is not None) for entry in entries)


def test_forgetting_takes_salt_and_value_and_leaves_the_log(world: World, auditor: Who) -> None:
    family, other = both_deal(world)
    before = check_log(world.hub)
    given = [entry for entry in world.entries() if entry.cns is not None]
    released = forget(world.hub, "asha/ben", "cns", family)
    after = check_log(world.hub)
    assert after.entries[: len(before.entries)] == before.entries
    last = world.last()
    assert (last.act, last.opr, last.out) == (Act.DISCLOSURE_ERASE, "asha/ben", "allow")
    assert last.cns == released.body["commitment"] == given[0].cns
    assert last.own == ("embassy", "ngo")
    assert released.receipt is not None
    name, key = world.hub.settings.audit_log, world.hub.keys.audit_log
    verify_entry(released.receipt.entry, released.receipt.proof, [vkey(name, key.public.raw)], origin=name)
    values = {one["value"] for one in shown(world, auditor)}
    assert family not in values
    assert other in values
    assert all(row.value != family for row in rows(world, log_disclosure))
    assert all(row.ref != family for row in rows(world, log_salt))
    with pytest.raises(NotFound):
        forget(world.hub, "asha", "cns", family)


@only.SQLITE
def test_what_is_forgotten_is_gone_from_the_disk(world: World, caplog: pytest.LogCaptureFixture) -> None:
    family, _ = both_deal(world)
    file = Path(f"{make_url(world.hub.settings.database_url).database}")
    (salt,) = {row.salt for row in rows(world, log_disclosure) if row.value == family}

    def on_disk() -> int:
        there = (file, file.with_name(f"{file.name}-wal"))
        return sum(one.read_bytes().count(salt) for one in there if one.exists())

    # The control: it lies there before, at least once.
    assert on_disk() > 0
    forget(world.hub, "asha", "cns", family)
    assert on_disk() == 0
    assert not caplog.records


@only.SQLITE
def test_what_a_reader_still_sees_leaves_the_disk_later(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    family, _ = both_deal(world)
    monkeypatch.setattr("exchange.hub.db.BUSY_S", 0.1)
    other = replace(world.hub, engine=open_engine(world.hub.settings.database_url))
    with reading(world.hub.engine) as conn:
        conn.execute(select(log_salt)).all()
        forget(other, "asha", "cns", family)
    assert "with the next checkpoint" in caplog.text
    assert overwrite_erased(other.engine)
    with writing(other.engine):
        assert not overwrite_erased(other.engine)
    other.engine.dispose()


def test_an_envelope_is_forgotten_and_its_consent_is_not(world: World, auditor: Who) -> None:
    both_deal(world)
    eid = next(one["value"] for one in shown(world, auditor) if one["name"] == "rec")
    families = {one["value"] for one in shown(world, auditor) if one["name"] == "cns"}
    forget(world.hub, "asha", "rec", eid)
    left = shown(world, auditor)
    assert eid not in {one["value"] for one in left}
    assert {one["value"] for one in left if one["name"] == "cns"} == families
    (erased,) = [entry for entry in world.entries() if entry.act == Act.DISCLOSURE_ERASE]
    assert (erased.rec is not None, erased.cns) == (True, None)


def test_what_is_written_while_it_is_forgotten_is_forgotten_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry comes after the search and before the lock; on PostgreSQL one commits even after that."""
    family, _ = both_deal(world)
    search = audit_disclosures._parties

    def late(conn: Any, ids: list[str]) -> Any:
        found = search(conn, ids)
        world.send(world.agencies["ngo"], given)
        return found

    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    given = world.consent(ngo, embassy)
    monkeypatch.setattr(audit_disclosures, "_parties", late)
    forget(world.hub, "asha", "cns", given.consent.family)
    assert all(row.value != given.consent.family for row in rows(world, log_disclosure))
    assert family in {row.value for row in rows(world, log_disclosure)}


def test_a_transaction_that_had_the_salt_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if world.hub.settings.is_sqlite:
        pytest.skip("SQLite has one writer")
    family, _ = both_deal(world)
    salt = next(row.salt for row in rows(world, log_salt) if row.ref == family)
    sweep, began, end = audit_disclosures._sweep, threading.Event(), threading.Event()

    def slow() -> None:
        ident, ts_us = b64u(os.urandom(16)), microseconds(world.hub.clock())
        with writing(world.hub.engine) as conn:
            row = {"entry_id": ident, "name": "cns", "salt": salt, "value": family}
            conn.execute(log_disclosure.insert(), row)
            began.set()
            assert end.wait(20)
            entry = f'{{"ts":{ts_us}}}'.encode()
            append(conn, [Leaf(ident, entry, ts_us)], now=world.hub.clock())

    def meanwhile(*args: Any) -> None:
        threading.Timer(0.3, end.set).start()
        sweep(*args)

    monkeypatch.setattr(audit_disclosures, "_sweep", meanwhile)
    thread = threading.Thread(target=slow)
    thread.start()
    assert began.wait(20)
    forget(world.hub, "asha", "cns", family)
    thread.join()
    assert all(row.value != family for row in rows(world, log_disclosure))


def test_old_proofs_are_forgotten_and_nothing_else(make_world: Callable[..., World]) -> None:
    clock = MovingClock()
    world = make_world(clock=clock, travel=True, proof_days=30)
    both_deal(world)
    kept = len(rows(world, log_disclosure))
    assert forget_old_proofs(world.hub) == 0
    clock.shift = timedelta(days=29)
    both_deal(world)
    clock.shift = timedelta(days=31)
    before = [row for row in rows(world, log_disclosure) if row.name == "req"]
    done = 0
    while step := forget_old_proofs(world.hub):
        done += step
    assert done > 0
    left = rows(world, log_disclosure)
    assert 0 < len([row for row in left if row.name == "req"]) < len(before)
    assert len(left) > kept / 2
    with reading(world.hub.engine) as conn:
        assert conn.execute(select(slice_state.c.forgotten)).scalar_one() == done
    recent = {entry.id for entry in world.entries()[done:]}
    assert {row.entry_id for row in left if row.name == "req"} <= recent
    assert {row.name for row in left} == {"cns", "rec", "req"}


# -- accreditation ---------------------------------------------------------------------------------------


def test_a_limit_is_logged_for_the_agencies_concerned_and_only_the_newest_counts(
    world: World, auditor: Who
) -> None:
    ngo, hub, now = world.agencies["ngo"], world.hub, world.now
    accreditation.accredit(hub, "asha", auditor().agency, (ngo.id,), now)
    entry = world.last()
    assert (entry.act, entry.pol, entry.opr) == (Act.AUDITOR_ACCREDIT, "some:1", "asha")
    assert entry.own == tuple(sorted((auditor().agency, ngo.id)))
    audit_pulls.open_pull(hub, auditor(), 0)
    with pytest.raises(Forbidden) as told:
        audit_pulls.bundle(hub, auditor(), 0, 1)
    assert told.value.rule == "accredited-for-all"
    for when in (now, now - timedelta(days=1)):
        with pytest.raises(Conflict):
            accreditation.accredit(hub, "asha", auditor().agency, None, when)
    accreditation.accredit(hub, "asha", auditor().agency, None, now + timedelta(seconds=1))
    assert world.last().pol == "all"
    assert audit_pulls.bundle(hub, auditor(), 0, 1)


def test_many_agencies_are_counted_and_not_named(world: World, auditor: Who) -> None:
    about = tuple(AgencyId(f"agency-{number:03}") for number in range(70))
    accreditation.accredit(world.hub, "asha", auditor().agency, about, world.now)
    assert (world.last().own, world.last().pol) == ((auditor().agency,), "some:70")
    with reading(world.hub.engine) as conn:
        found = accreditation.accreditation_of(conn, auditor())
    assert found.about == frozenset(about)
    assert found.covers(("agency-000", "x"))
    assert not found.covers(("x",))


def test_the_worker_may_not_forget_a_limit(world: World, auditor: Who) -> None:
    if world.hub.settings.is_sqlite:
        pytest.skip("SQLite has no roles")
    limited(world, auditor, world.agencies["ngo"])
    with pytest.raises(Exception, match="permission denied"), writing(world.hub.engine) as conn:
        conn.execute(text("DELETE FROM auditor_scope"))


def test_an_entry_that_names_nobody_stays_with_auditors_of_all(world: World, auditor: Who) -> None:
    limited(world, auditor, world.agencies["ngo"])
    entry = Entry.from_bytes(world.entries()[-1].to_bytes())
    assert replace(entry, own=(), org=None)
    with reading(world.hub.engine) as conn:
        assert not accreditation.accreditation_of(conn, auditor()).covers(())
