"""The append: each entry exactly once, in one gapless row, the same tree in both databases as in Python."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services import audit_read
from exchange.hub.services.audit_append import Leaf, append, microseconds
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.log.tree import Frontier, leaf_hash, root_of
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act
from exchange_schemas.errors import AuditUnavailable, ExchangeError, Forbidden
from tests.integration.storage import only
from tests.integration.storage.logs import check_log, place, put
from tests.integration.storage.test_failures import as_owner

NewCaller = Callable[..., Caller]
TRACE = Trace(Act.INBOX_LIST)
ROOT = Path(__file__).resolve().parents[3]


def start_at(hub: Hub, size: int) -> Frontier:
    """Make the last entry that of a log of `size` known leaves, of which there is no other."""
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
    before = Frontier.empty().extend(leaves[:-1])
    place(hub, size - 1, leaf=leaves[-1], frontier=before.to_bytes())
    return before.append(leaves[-1])


def test_the_tree_is_the_one_of_python_over_the_first_whole_tiles(hub: Hub) -> None:
    for number in range(515):
        assert put(hub, number).index == number
    stored = check_log(hub)
    assert stored.head.size == 515
    with reading(hub.engine) as conn:
        found = conn.execute(select(log_node.c.level, log_node.c.idx).order_by(log_node.c.idx)).all()
    assert [tuple(row) for row in found] == [(8, 0), (8, 1)]


@pytest.mark.parametrize("size", [254, 65_534])
def test_the_frontier_is_the_one_of_python_around_the_edges_of_tiles(hub: Hub, size: int) -> None:
    tree = start_at(hub, size)
    for number in range(4):
        placed = put(hub, number)
        assert (placed.index, placed.before) == (size + number, tree)
        tree = tree.append(placed.leaf)
        with reading(hub.engine) as conn:
            assert audit_read.head(conn) == tree
    known = [leaf_hash(n.to_bytes(4, "big")) for n in range(size - 1)]
    with reading(hub.engine) as conn:
        known += conn.execute(select(log_entry.c.leaf).order_by(log_entry.c.idx)).scalars().all()
        nodes = {(row.level, row.idx): row.hash for row in conn.execute(select(log_node))}
    last = size // 256
    assert nodes[8, last] == root_of(known[last * 256 : (last + 1) * 256])
    if size > 60_000:
        assert nodes[16, 0] == root_of(known[:65_536])
    assert len(nodes) == (2 if size > 60_000 else 1)


@pytest.mark.parametrize("seconds", [-31, 31])
def test_an_entry_of_another_time_is_refused_and_leaves_nothing(hub: Hub, seconds: int) -> None:
    put(hub, 0)
    with pytest.raises(AuditUnavailable):
        put(hub, 1, shift=timedelta(seconds=seconds))
    assert check_log(hub).head.size == 1
    assert put(hub, 2, shift=timedelta(seconds=seconds // 2)).index == 1


def test_an_entry_long_before_the_latest_is_refused(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub()
    put(hub, 0, shift=timedelta(seconds=25))
    with pytest.raises(AuditUnavailable):
        put(hub, 1, shift=timedelta(seconds=-10))
    assert put(hub, 2).index == 1


@only.POSTGRES
def test_an_entry_without_a_time_of_its_own_is_refused_by_the_database(hub: Hub) -> None:
    now = hub.clock()
    for entry in (b'{"n":1}', b"not json", b'{"ts":"x"}', b"\xff{}"):
        with pytest.raises(AuditUnavailable), writing(hub.engine) as conn:
            append(conn, [Leaf(b64u(os.urandom(16)), entry, 0)], now=now)
    assert check_log(hub).head.size == 0


def test_a_transaction_taken_back_leaves_no_gap(hub: Hub) -> None:
    put(hub, 0)
    now = hub.clock()
    entry = f'{{"ts":{microseconds(now)}}}'.encode()
    with hub.engine.connect() as conn:
        conn.begin()
        append(conn, [Leaf(b64u(os.urandom(16)), entry, microseconds(now))], now=now)
        conn.rollback()
    assert put(hub, 1).index == 1
    check_log(hub)


@only.POSTGRES
def test_an_append_that_ends_its_transaction_is_committed_and_lets_others_append(hub: Hub) -> None:
    now = hub.clock()
    entry = f'{{"ts":{microseconds(now)}}}'.encode()
    with hub.engine.connect() as conn:
        conn.begin()
        [placed] = append(conn, [Leaf(b64u(os.urandom(16)), entry, microseconds(now))], now=now, ends=True)
        assert put(hub, 1).index == placed.index + 1
        conn.rollback()
    assert check_log(hub).head.size == 2


@only.POSTGRES
@pytest.mark.parametrize("ends", [False, True])
def test_an_entry_that_got_no_place_is_taken_back_by_the_database(hub: Hub, ends: bool) -> None:
    as_owner(hub, "ALTER TABLE log_entry DISABLE TRIGGER log_entry_append")
    now = hub.clock()
    entry = f'{{"ts":{microseconds(now)}}}'.encode()
    leaf = Leaf(b64u(os.urandom(16)), entry, microseconds(now))
    with hub.engine.connect() as conn:
        conn.begin()
        with pytest.raises(AuditUnavailable):
            append(conn, [leaf], now=now, ends=ends)
        conn.commit()
    assert check_log(hub).head.size == 0
    as_owner(hub, "ALTER TABLE log_entry ENABLE ALWAYS TRIGGER log_entry_append")
    assert put(hub, 0).index == 0


def test_an_append_outside_a_transaction_is_a_mistake(hub: Hub) -> None:
    with hub.engine.connect() as conn, pytest.raises(RuntimeError):
        append(conn, [Leaf("i" * 22, b"{}", 0)], now=hub.clock())


def test_an_id_used_twice_is_refused(hub: Hub) -> None:
    now = hub.clock()
    entry = f'{{"ts":{microseconds(now)}}}'.encode()
    with writing(hub.engine) as conn:
        append(conn, [Leaf("i" * 22, entry, microseconds(now))], now=now)
    with pytest.raises(AuditUnavailable), writing(hub.engine) as conn:
        append(conn, [Leaf("i" * 22, entry, microseconds(now))], now=now)
    assert check_log(hub).head.size == 1


def test_many_threads_at_once_leave_each_entry_exactly_once(hub: Hub, new_caller: NewCaller) -> None:
    def work(number: int) -> str:
        def serve(_unit: object) -> Answer:
            if number % 5 == 0:
                raise Forbidden("no")
            return Answer({}, TRACE)

        try:
            receipt = release(hub, new_caller(), TRACE, serve).receipt
        except ExchangeError as error:
            receipt = vars(error)["receipt"]
        assert receipt is not None
        return receipt.entry_id

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(work, range(160)))
    assert sorted(check_log(hub).ids) == sorted(answered)


def test_one_proof_sent_many_times_at_once_is_served_once(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()

    def work(_number: int) -> Released | ExchangeError:
        try:
            return release(hub, caller, TRACE, lambda _unit: Answer({}, TRACE))
        except ExchangeError as error:
            return error

    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(work, range(24)))
    assert len([item for item in results if isinstance(item, Released)]) == 1
    assert check_log(hub).head.size == 24


def start_writers(hub: Hub, folder: Path, *, count: int, processes: int) -> "subprocess.Popen[str]":
    seed = hub.keys.audit_log.seed.hex()
    arguments = [hub.settings.database_url, str(folder), seed, str(count), str(processes)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.storage.writer", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_many_processes_at_once_leave_each_entry_exactly_once(hub: Hub, tmp_path: Path) -> None:
    writers = start_writers(hub, tmp_path, count=40, processes=3)
    answered = writers.communicate(timeout=60)[0].split()
    assert writers.returncode == 0
    assert len(answered) == 120
    assert sorted(check_log(hub).ids) == sorted(answered)


def test_killed_processes_lose_nothing_that_they_answered(hub: Hub, tmp_path: Path) -> None:
    writers = start_writers(hub, tmp_path, count=100_000, processes=3)
    assert writers.stdout is not None
    answered = [writers.stdout.readline().strip() for _ in range(25)]
    os.killpg(writers.pid, signal.SIGKILL)
    answered += writers.communicate(timeout=60)[0].split()
    assert writers.returncode == -signal.SIGKILL
    assert len(set(answered)) == len(answered) >= 25
    # The log is whole, and another process goes on in it.
    assert set(answered) <= set(check_log(hub).ids)
    put(hub, 1)
    check_log(hub)


@only.POSTGRES
def test_a_killed_backend_loses_nothing_that_was_answered(
    hub: Hub, new_caller: NewCaller, postgres_server: object
) -> None:
    def kill(unit: object) -> Answer:
        own = text("SELECT pg_terminate_backend(pg_backend_pid())")
        unit.conn.execute(own)  # type: ignore[attr-defined]
        return Answer({}, TRACE)

    before = release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE)).receipt
    with pytest.raises(AuditUnavailable):
        release(hub, new_caller(), TRACE, kill)
    after = release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE)).receipt
    assert before is not None
    assert after is not None
    assert check_log(hub).ids == [before.entry_id, after.entry_id]


def test_the_same_entries_give_the_same_bytes_in_both_databases(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub()
    for number in range(20):
        put(hub, number)
    stored = check_log(hub)
    tree = Frontier.empty().extend(leaf_hash(entry) for entry in stored.entries)
    assert tree == stored.head
    with reading(hub.engine) as conn:
        kept = conn.execute(
            select(log_entry.c.entry).where(log_entry.c.entry_id == stored.ids[7])
        ).scalar_one()
    assert kept == stored.entries[7]


@only.SQLITE
def test_nothing_is_put_behind_an_entry_that_is_damaged(hub: Hub) -> None:
    put(hub, 0)
    place(hub, 1, frontier=b"short")
    with pytest.raises(AuditUnavailable, match="damaged"):
        put(hub, 1)


def test_a_place_is_given_once(hub: Hub) -> None:
    put(hub, 0)
    with pytest.raises(IntegrityError):
        place(hub, 0)
    assert check_log(hub).head.size == 1


def test_proofs_of_one_agency_do_not_collide_with_anothers(hub: Hub, new_caller: NewCaller) -> None:
    first = new_caller("agency-a")
    release(hub, first, TRACE, lambda _unit: Answer({}, TRACE))
    other = new_caller("agency-b")
    same = replace(other, proof=replace(other.proof, jti_hash=bytes(31) + b"\x01"))
    assert release(hub, same, TRACE, lambda _unit: Answer({}, TRACE)).receipt is not None


@only.SQLITE
def test_every_commit_is_synced_to_the_disk(hub: Hub, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not here: it counts the syncs of a process")
    trace = tmp_path / "syncs"
    arguments = [hub.settings.database_url, str(tmp_path), hub.keys.audit_log.seed.hex(), "20", "1"]
    watch = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    done = subprocess.run(
        [*watch, sys.executable, "-m", "tests.integration.storage.writer", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert len(done.stdout.split()) == 20
    assert sum("sync(" in line for line in trace.read_text().splitlines()) >= 20
