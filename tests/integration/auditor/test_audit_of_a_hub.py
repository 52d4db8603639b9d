"""The auditor's whole day against a real hub: pull over HTTP, real witnesses, verify, prove, report.

And the nights: a hub that is restored from an old backup, and one that rewrites its past and signs it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.proving import check_proof, find_index, prove
from exchange.auditor.pull import Pulled, pull
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Figures, Office
from exchange.auditor.verdict import Fault, Verdict
from exchange.auditor.verify import verify_mirror
from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.auditor.witnessed import pull_with_witnesses
from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.models.slices import slice_party
from exchange.hub.services import audit_read, slices
from exchange.hub.services.hub import Hub
from exchange.hub.services.slices import append_heads, index_some
from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, vkey
from exchange.log.policy import Policy
from exchange.log.slices import parties_of
from exchange.log.tree import Frontier, consistency_proof, leaf_hash
from exchange.log.witnessing import obtain_cosignature
from exchange.member.session import Session
from exchange.net.wire import Wire
from exchange.net.witnesses import WitnessClient
from exchange_schemas.errors import Forbidden, LogFork, ProofInvalid
from tests.integration.agency.exchange_world import Exchange
from tests.integration.auditor.serving import running

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PASSPHRASE = b"correct horse battery"


@pytest.fixture
def witness(exchange: Exchange) -> Iterator[WitnessServer]:
    """A witness that knows both logs of the hub."""
    store = WitnessStore(exchange.folder / "witness")
    pins = exchange.deployment()
    key = store.create("witness.test/w1", PASSPHRASE, [pins.audit_vkey, pins.directory_vkey], insecure=True)
    with running(Witness(store, key)) as server:
        yield server


@pytest.fixture
def trust(exchange: Exchange, witness: WitnessServer) -> Trust:
    store = WitnessStore(exchange.folder / "witness")
    theirs = store.open_key(PASSPHRASE, insecure=True).vkey
    lines = f"log {exchange.deployment().audit_vkey}\nwitness w {theirs} {witness.url}\nquorum w\n"
    policy = Policy.from_bytes(lines.encode())
    return Trust(tuple(log.key for log in policy.logs), "policy", datetime.now(UTC), policy)


@contextmanager
def asking(witness: WitnessServer) -> Iterator[WitnessClient]:
    wire = Wire(sleep=lambda _seconds: None)
    try:
        yield WitnessClient(witness.url, wire)
    finally:
        wire.close()


def publish(hub: Hub, witness: WitnessServer) -> str:
    """What a hub does to have its audit log witnessed; gives the cosigned checkpoint."""
    with reading(hub.engine) as conn, asking(witness) as client:
        tree = audit_read.head(conn)
        note = sign_checkpoint(Checkpoint(hub.settings.audit_log, tree.size, tree.root()), hub.keys.audit_log)
        read = audit_read.node_source(conn, tree.size)
        return obtain_cosignature(client.submit, note, lambda old: consistency_proof(old, tree.size, read))


def pulled(folder: Path, session: Session, witness: WitnessServer, trust: Trust) -> Mirror:
    mirror, pins = Mirror(folder), session.profile.deployment
    assert trust.policy is not None

    def once() -> Pulled:
        return pull(mirror, session.hub, pins.audit_vkey)

    with asking(witness) as client:
        pull_with_witnesses(
            once,
            mirror,
            session.hub,
            pins.audit_vkey,
            policy=trust.policy,
            ask=lambda _url, origin: client.latest(origin),
            now=trust.now,
        )
    return mirror


def verdict(mirror: Mirror, trust: Trust, **more: Any) -> Verdict:
    return verify_mirror(mirror, trust, **more)


def test_a_day_of_an_auditor(
    exchange: Exchange, auditor: Session, witness: WitnessServer, trust: Trust, tmp_path: Path
) -> None:
    cosigned = open_checkpoint(publish(exchange.hub, witness), trust.keys)
    mirror = pulled(tmp_path / "log", auditor, witness, trust)
    figures = Figures(Office())
    found = verdict(mirror, trust, take=figures.count)
    assert found.ok
    assert found.witnessed is not None
    assert found.witnessed.size == cosigned.size
    assert figures.entries == found.size
    assert figures.acts["agency:admit"] == 1
    assert dict(document(figures).summary)["entries"] == found.size
    index = find_index(mirror, trust, "0")
    assert check_proof(prove(mirror, trust, index), trust).checkpoint.size == cosigned.size
    again = pull(mirror, auditor.hub, auditor.profile.deployment.audit_vkey)
    assert (again.before, again.size) == (found.size, found.size + 1)
    assert verdict(mirror, trust).ok


def test_the_directory_is_witnessed_by_the_same_witness(exchange: Exchange, witness: WitnessServer) -> None:
    with asking(witness) as client:
        note = exchange.joined("ngo").session.hub.get_text("/v1/directory/checkpoint", limit=65_536)
        cosigned = obtain_cosignature(client.submit, note, lambda _old: ())
        assert client.latest(exchange.hub.settings.directory_log) == cosigned


def test_a_hub_restored_from_an_old_backup_is_found_out_by_auditor_and_witness(
    exchange: Exchange, auditor: Session, witness: WitnessServer, trust: Trust, tmp_path: Path
) -> None:
    with reading(exchange.hub.engine) as conn:
        old = audit_read.head(conn)
    mirror = pulled(tmp_path / "log", auditor, witness, trust)
    publish(exchange.hub, witness)
    assert verdict(pulled(tmp_path / "log", auditor, witness, trust), trust).ok
    cut_back(exchange.hub, old)
    with pytest.raises(LogFork) as told:
        publish(exchange.hub, witness)
    assert told.value.rule == "rolled-back"
    with pytest.raises(LogFork) as told:
        pulled(tmp_path / "log", auditor, witness, trust)
    assert told.value.rule == "rolled-back"
    after = verdict(mirror, trust)
    assert (after.integrity, after.complete, after.history) == (True, True, False)
    assert set(after.counts) == {Fault.ROLLED_BACK}
    with pytest.raises(LogFork):
        pulled(tmp_path / "another", auditor, witness, trust)


def heads(hub: Hub) -> None:
    while index_some(hub):
        pass
    append_heads(hub)


def test_the_slices_of_all_agencies_are_recomputed_from_the_pulled_log(
    exchange: Exchange, auditor: Session, trust: Trust, tmp_path: Path
) -> None:
    mirror, pins = Mirror(tmp_path / "log"), auditor.profile.deployment
    bare = replace(trust, policy=None)
    exchange.joined("ngo").close()
    heads(exchange.hub)
    pull(mirror, auditor.hub, pins.audit_vkey)
    assert (verdict(mirror, bare).slices, verdict(mirror, bare).ok) == (True, True)
    assert set(mirror.salts() or {}) == {"ngo", "open-audit"}
    exchange.joined("embassy").close()
    heads(exchange.hub)
    pull(mirror, auditor.hub, pins.audit_vkey)
    assert verdict(mirror, bare).slices
    assert set(mirror.salts() or {}) == {"ngo", "open-audit", "embassy"}


def test_a_hub_that_hides_an_entry_from_an_agency_is_found_out(
    exchange: Exchange, auditor: Session, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, pins = Mirror(tmp_path / "log"), auditor.profile.deployment
    exchange.joined("ngo").close()

    def lying(entry: bytes) -> tuple[str, ...]:
        return tuple(name for name in parties_of(entry) if b"consent:list" not in entry or name != "ngo")

    monkeypatch.setattr(slices, "parties_of", lying)
    heads(exchange.hub)
    pull(mirror, auditor.hub, pins.audit_vkey)
    found = verdict(mirror, replace(trust, policy=None))
    assert (found.integrity, found.complete, found.history, found.slices) == (True, True, True, False)
    assert set(found.counts) == {Fault.HEADS_WRONG}


def test_a_salt_that_changed_is_refused_and_the_copy_stays(
    exchange: Exchange, auditor: Session, tmp_path: Path
) -> None:
    mirror, pins = Mirror(tmp_path / "log"), auditor.profile.deployment
    exchange.joined("ngo").close()
    heads(exchange.hub)
    pull(mirror, auditor.hub, pins.audit_vkey)
    before = mirror.checkpoint, mirror.salts()
    with unguarded(exchange.hub) as conn:
        conn.execute(update(slice_party).where(slice_party.c.party == "ngo").values(salt=bytes(32)))
    with pytest.raises(ProofInvalid, match="another salt"):
        pull(mirror, auditor.hub, pins.audit_vkey)
    assert (mirror.checkpoint, mirror.salts()) == before


def test_salts_are_for_an_auditor_with_an_open_pull(exchange: Exchange, auditor: Session) -> None:
    with pytest.raises(Forbidden):
        auditor.hub.get("/v1/audit/salts")
    with exchange.joined("ngo") as ngo, pytest.raises(Forbidden):
        ngo.session.hub.get("/v1/audit/salts")


def test_many_salts_come_in_pages(
    exchange: Exchange, auditor: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.hub.services.audit_pulls.SALTS_PAGE", 1)
    exchange.joined("ngo").close()
    heads(exchange.hub)
    mirror = Mirror(tmp_path / "log")
    pull(mirror, auditor.hub, auditor.profile.deployment.audit_vkey)
    assert set(mirror.salts() or {}) == {"ngo", "open-audit"}


def test_a_past_that_was_rewritten_and_signed_again_is_found_out_by_both(
    exchange: Exchange, auditor: Session, witness: WitnessServer, trust: Trust, tmp_path: Path
) -> None:
    mirror = pulled(tmp_path / "log", auditor, witness, trust)
    publish(exchange.hub, witness)
    rewrite_first_entry(exchange.hub)
    with pytest.raises(Exception, match="another history"):
        publish(exchange.hub, witness)
    with pytest.raises(LogFork) as told:
        pulled(tmp_path / "log", auditor, witness, trust)
    assert told.value.rule == "forked"
    assert verdict(mirror, trust).counts == {Fault.FORKED: 1}
    with pytest.raises(LogFork):
        pulled(tmp_path / "another", auditor, witness, trust)


# -- what somebody with the database can do ------------------------------------------------------------


@contextmanager
def unguarded(hub: Hub) -> Iterator[Connection]:
    """The file's owner: SQLite's triggers do not hold against who may drop them."""
    with writing(hub.engine) as conn:
        names = conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for name in names:
            conn.execute(text(f'DROP TRIGGER "{name}"'))
        yield conn


def cut_back(hub: Hub, tree: Frontier) -> None:
    """The database as an old backup has it."""
    with unguarded(hub) as conn:
        conn.execute(delete(log_entry).where(log_entry.c.idx >= tree.size))
        rebuild(conn)


def rewrite_first_entry(hub: Hub) -> None:
    """Another first entry, and a tree that fits it."""
    with unguarded(hub) as conn:
        first = log_entry.c.idx == 0
        data = conn.execute(select(log_entry.c.entry).where(first)).scalar_one()
        changed = bytes(data).replace(b'"ts":1', b'"ts":2', 1)
        assert changed != data
        conn.execute(update(log_entry).where(first).values(entry=changed, leaf=leaf_hash(changed)))
        rebuild(conn)


def rebuild(conn: Connection) -> None:
    """Frontiers and nodes as they must be over the leaves that are there."""
    tree = Frontier.empty()
    conn.execute(delete(log_node))
    for idx, leaf in conn.execute(select(log_entry.c.idx, log_entry.c.leaf).order_by(log_entry.c.idx)).all():
        conn.execute(update(log_entry).where(log_entry.c.idx == idx).values(frontier=tree.to_bytes()))
        tree = tree.append(leaf)
        if tree.size % 256 == 0:
            conn.execute(insert(log_node).values(level=8, idx=tree.size // 256 - 1, hash=tree.root()))


def test_the_vkey_of_a_deployment_is_that_of_the_hub_s_own_key(exchange: Exchange) -> None:
    hub = exchange.hub
    assert exchange.deployment().audit_vkey == vkey(hub.settings.audit_log, hub.keys.audit_log.public.raw)
