"""Whoever keeps the slices is killed again and again: each time all or nothing of a piece was done."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from exchange.hub.db import reading
from exchange.hub.models.slices import slice_party, slice_state
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Caller
from exchange.hub.services.slices import append_heads, index_some
from exchange.log.slices import Heads, Slice, parties_of
from exchange.log.tree import Frontier, leaf_hash
from tests.integration.storage.logs import check_log
from tests.integration.storage.test_faults import ROOT
from tests.integration.storage.test_fsck import owned
from tests.integration.storage.test_slices import check_slices, fill
from tests.soak import rounds

NewCaller = Callable[..., Caller]
LONGEST_S = 0.03


@contextmanager
def slicer(hub: Hub, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    arguments = [hub.settings.database_url, str(folder), hub.keys.audit_log.seed.hex()]
    command = [sys.executable, "-m", "tests.integration.storage.slicer", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def work_and_kill(hub: Hub, process: "subprocess.Popen[str]", after_s: float) -> None:
    """Let it begin, see that it has done something, and kill it a moment later."""
    before = covered(hub)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    worker = int(said(process))
    end = time.monotonic() + 60
    while covered(hub) == before:
        assert time.monotonic() < end, "the slices stand still"
        time.sleep(0.005)
    time.sleep(after_s)
    os.kill(worker, signal.SIGKILL)
    assert said(process) == "gone"
    settle(hub)


def covered(hub: Hub) -> int:
    with reading(hub.engine) as conn:
        return int(conn.execute(select(slice_state.c.covers)).scalar_one())


def settle(hub: Hub) -> None:
    """PostgreSQL: until it has noticed that the one who asked is gone."""
    if hub.settings.is_sqlite:
        return
    busy = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    end = time.monotonic() + 60
    while True:
        with reading(hub.engine) as conn:
            if conn.execute(busy).scalar_one() == 0:
                return
        assert time.monotonic() < end, "the database still works for a dead process"
        time.sleep(0.01)


def check_heads(hub: Hub) -> int:
    """Every heads entry of the log against the entries that it covers; how many there are."""
    entries = check_log(hub).entries
    with reading(hub.engine) as conn:
        salts = {row.party: bytes(row.salt) for row in conn.execute(select(slice_party))}
    trees: dict[str, Frontier] = {}
    done, found = 0, 0
    for entry in entries:
        heads = Heads.of_entry(entry)
        if heads is None:
            continue
        for covered_entry in entries[done : heads.covers]:
            for party in parties_of(covered_entry):
                tree = trees.get(party, Frontier.empty())
                trees[party] = tree.append(leaf_hash(covered_entry))
        done, found = heads.covers, found + 1
        slices = [Slice(name, tree.size, tree.root(), salts[name]) for name, tree in trees.items()]
        assert heads == Heads.over(heads.covers, slices)
    return found


@pytest.mark.soak
def test_slices_hold_however_often_their_keeper_is_killed(
    hub: Hub, new_caller: NewCaller, tmp_path: Path
) -> None:
    chosen = random.Random(hub.settings.database_url)
    with slicer(hub, tmp_path) as process:
        for _ in range(rounds(4)):
            fill(hub, new_caller, 30)
            work_and_kill(hub, process, chosen.uniform(0, LONGEST_S))
            check_slices(hub)
            check_heads(hub)
    while index_some(hub):
        pass
    append_heads(hub)
    assert set(check_slices(hub)) == {"agency-a", "agency-b"}
    assert check_heads(hub) >= 1
    # The control: had a killed keeper left one number behind the others, it would have been seen.
    with owned(hub) as conn:
        conn.execute(update(slice_party).values(size=slice_party.c.size + 1))
    with pytest.raises(AssertionError):
        check_slices(hub)
