"""Faults that must be survived or named: killed processes and databases, two hubs, a wrong clock, no room.

Each has a control: the same hub without the fault, or the same check on a log that did lose something.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.log import log_entry
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.startup import check_ready
from exchange.hub.services.writable import LEAST_FREE, disk_fault
from exchange_schemas.entry import Act
from exchange_schemas.errors import AuditUnavailable, Unavailable
from tests.integration.storage import only
from tests.integration.storage.logs import check_log
from tests.integration.storage.test_failures import as_owner
from tests.integration.storage.test_fsck import owned
from tests.soak import rounds

NewCaller = Callable[..., Caller]
TRACE = Trace(Act.INBOX_LIST)
ROOT = Path(__file__).resolve().parents[3]
ANSWERS_EACH = 12


def ready(hub: Hub) -> str | None:
    """The rule that fails; None when the hub may serve."""
    try:
        check_ready(hub)
    except Unavailable as error:
        return error.rule
    return None


def answer(hub: Hub, new_caller: NewCaller) -> str:
    receipt = release(hub, new_caller(), TRACE, lambda _unit: Answer({"secret": 1}, TRACE)).receipt
    assert receipt is not None
    return receipt.entry_id


# -- killed --------------------------------------------------------------------------------------------


def start_writers(hub: Hub, folder: Path) -> "subprocess.Popen[str]":
    arguments = [hub.settings.database_url, str(folder), hub.keys.audit_log.seed.hex(), "1000000", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.storage.writer", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def some(writers: "subprocess.Popen[str]") -> list[str]:
    assert writers.stdout is not None
    return [writers.stdout.readline().strip() for _ in range(ANSWERS_EACH)]


def kill(writers: "subprocess.Popen[str]") -> list[str]:
    """End them at once; what they had answered until then."""
    os.killpg(writers.pid, signal.SIGKILL)
    said = writers.communicate(timeout=60)[0]
    # A last line without its end was never written whole.
    return said[: said.rfind("\n") + 1].split()


@pytest.mark.soak
def test_workers_killed_again_and_again_lose_nothing_that_they_answered(hub: Hub, tmp_path: Path) -> None:
    answered: list[str] = []
    for _ in range(rounds(3)):
        writers = start_writers(hub, tmp_path)
        answered += some(writers) + kill(writers)
        assert set(answered) <= set(check_log(hub).ids)
    assert len(set(answered)) == len(answered)
    # The control: had one of them been lost, it would have been seen.
    with owned(hub) as conn:
        conn.execute(delete(log_entry).where(log_entry.c.entry_id == answered[0]))
    with reading(hub.engine) as conn:
        assert answered[0] not in conn.execute(text("SELECT entry_id FROM log_entry")).scalars().all()
    with pytest.raises(AssertionError):
        check_log(hub)


@pytest.mark.soak
@only.POSTGRES
def test_a_database_killed_again_and_again_loses_nothing_that_was_answered(
    hub: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server")
    name = make_url(hub.settings.database_url).database
    writers = start_writers(hub, tmp_path)
    answered: list[str] = []
    try:
        for _ in range(rounds(2)):
            answered += some(writers)
            # One backend that is in the middle of something: the whole server falls and recovers.
            os.kill(backend_of(server, f"{name}"), signal.SIGKILL)
            answered += some(writers)
    finally:
        answered += kill(writers)
    hub.engine.dispose()
    # The last answers may have been given before it fell.
    wait_for(server)
    assert set(answered) <= set(check_log(hub).ids)
    assert len(set(answered)) == len(answered) >= 2 * ANSWERS_EACH
    check_ready(hub)


def wait_for(server: Any) -> None:
    """Until the server has recovered and takes connections."""
    end = time.monotonic() + 60
    while True:
        try:
            with server.admin.connect():
                return
        except SQLAlchemyError:
            assert time.monotonic() < end, "the server did not recover"
            time.sleep(0.05)


def backend_of(server: Any, database: str) -> int:
    query = text("SELECT pid FROM pg_stat_activity WHERE datname = :name AND usename = 'homeward_worker'")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with server.admin.connect() as conn:
                pids = conn.execute(query, {"name": database}).scalars().all()
        except SQLAlchemyError:
            # The server is still recovering.
            pids = []
        if pids:
            return int(pids[0])
        time.sleep(0.05)
    raise AssertionError("no backend of the writers came")


# -- two hubs ------------------------------------------------------------------------------------------


def test_two_hubs_on_one_database_leave_each_entry_exactly_once(hub: Hub, new_caller: NewCaller) -> None:
    other = replace(hub, engine=open_engine(hub.settings.database_url))
    answered: list[str] = []

    def work(one: Hub) -> None:
        for _ in range(20):
            answered.append(answer(one, new_caller))

    threads = [threading.Thread(target=work, args=(one,)) for one in (hub, other, hub, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.engine.dispose()
    assert len(answered) == 80
    assert sorted(check_log(hub).ids) == sorted(answered)
    check_ready(hub)


# -- the clock -----------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_an_hour_gives_no_answer_and_no_readiness(
    hub: Hub, new_caller: NewCaller
) -> None:
    first = answer(hub, new_caller)
    behind = replace(hub, clock=lambda: utc_now() - timedelta(hours=1))
    with pytest.raises(AuditUnavailable):
        answer(behind, new_caller)
    assert ready(behind) == "S6-clock"
    # The clock is right again: nothing was written meanwhile, and it goes on.
    assert ready(hub) is None
    assert check_log(hub).ids == [first]
    answer(hub, new_caller)


# -- no room, no rights --------------------------------------------------------------------------------


@only.POSTGRES
@pytest.mark.parametrize(
    ("statement", "undo"),
    [
        (
            "REVOKE INSERT (entry_id, entry) ON log_entry FROM homeward_worker",
            "GRANT INSERT (entry_id, entry) ON log_entry TO homeward_worker",
        ),
    ],
)
def test_without_rights_there_is_no_answer_and_readiness_says_why(
    hub: Hub, new_caller: NewCaller, statement: str, undo: str
) -> None:
    assert ready(hub) is None
    as_owner(hub, statement)
    with pytest.raises(AuditUnavailable):
        answer(hub, new_caller)
    assert ready(hub) == "S9-writable"
    as_owner(hub, undo)
    assert ready(hub) is None
    answer(hub, new_caller)


@only.POSTGRES
def test_a_role_that_may_only_read_is_named(hub: Hub, new_caller: NewCaller, request: Any) -> None:
    server, name = request.getfixturevalue("postgres_server"), make_url(hub.settings.database_url).database
    setting = f"ALTER ROLE homeward_worker IN DATABASE {name}"
    server.execute(f"{setting} SET default_transaction_read_only = on")
    fresh = replace(hub, engine=open_engine(hub.settings.database_url))
    with pytest.raises(Exception, match=r"read-only|cannot be written"):
        answer(fresh, new_caller)
    assert ready(fresh) == "S9-writable"
    server.execute(f"{setting} RESET default_transaction_read_only")
    fresh.engine.dispose()
    again = replace(hub, engine=open_engine(hub.settings.database_url))
    assert ready(again) is None
    answer(again, new_caller)
    again.engine.dispose()


@only.SQLITE
@pytest.mark.parametrize("pragma", ["query_only=ON", "max_page_count={pages}"])
def test_a_file_that_cannot_be_written_gives_no_answer_and_readiness_says_why(
    hub: Hub, new_caller: NewCaller, pragma: str
) -> None:
    answer(hub, new_caller)
    assert ready(hub) is None
    with reading(hub.engine) as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    engine = open_engine(hub.settings.database_url)
    event.listen(
        engine, "connect", lambda driver, _record: driver.execute(f"PRAGMA {pragma.format(pages=pages)}")
    )
    spoiled = replace(hub, engine=engine)
    before = check_log(hub).ids

    def fill() -> None:
        for _ in range(200):
            before.append(answer(spoiled, new_caller))

    with pytest.raises(AuditUnavailable):
        fill()
    assert ready(spoiled) == "S9-writable"
    engine.dispose()
    # Every answer that left is in the log, and the hub without the fault goes on.
    assert check_log(hub).ids == before
    assert ready(hub) is None
    answer(hub, new_caller)


def test_a_full_disk_and_one_for_reading_only_are_named() -> None:
    assert disk_fault(read_only=False, free=LEAST_FREE) is None
    assert "full" in f"{disk_fault(read_only=False, free=LEAST_FREE - 1)}"
    assert "reading only" in f"{disk_fault(read_only=True, free=LEAST_FREE)}"


@only.SQLITE
def test_a_database_that_is_not_there_is_no_new_and_empty_log(hub: Hub, new_caller: NewCaller) -> None:
    answer(hub, new_caller)
    hub.engine.dispose()
    path = Path(f"{make_url(hub.settings.database_url).database}")
    kept = path.rename(path.with_name("away"))
    with pytest.raises(AuditUnavailable):
        answer(hub, new_caller)
    assert not path.exists()
    kept.rename(path)
    assert ready(hub) is None
    with writing(hub.engine):
        pass
