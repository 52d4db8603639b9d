"""The high-water mark: a log that was put back, or replaced by another, may not serve."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from exchange.hub.db import open_engine
from exchange.hub.services import highwater
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.logs import audit_log
from exchange.hub.services.recover import recover
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.startup import check_ready
from exchange.hub.services.witnessed import checkpoint
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import Unavailable
from tests.integration.storage import only

TRACE = Trace(Act.INBOX_LIST)
NewCaller = Callable[..., Caller]


@pytest.fixture
def guarded(hub: Hub) -> Hub:
    """A hub whose guard volume is there, as `init` makes it; as strict as in production."""
    hub.settings.guard_dir.mkdir(parents=True)
    return replace(hub, settings=replace(hub.settings, environment="production", insecure_kdf=False))


def answer(hub: Hub, new_caller: NewCaller, count: int = 1) -> None:
    for _ in range(count):
        assert release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE)).receipt is not None


def later(hub: Hub, seconds: float) -> Hub:
    return replace(hub, clock=lambda: utc_now() + timedelta(seconds=seconds))


def mark(hub: Hub) -> Path:
    return hub.settings.guard_dir / highwater.MARK


def refusal(hub: Hub) -> str:
    with pytest.raises(Unavailable) as caught:
        check_ready(hub)
    assert caught.value.rule == "S7-guard"
    assert caught.value.hint is not None
    return caught.value.message


def test_the_mark_follows_the_log_some_seconds_behind(guarded: Hub, new_caller: NewCaller) -> None:
    check_ready(guarded)
    assert highwater.read(guarded) is None
    answer(guarded, new_caller)
    assert mark(guarded).read_text() == checkpoint(guarded, audit_log(guarded))
    assert mark(guarded).stat().st_mode & 0o077 == 0
    answer(guarded, new_caller, 3)
    found = highwater.read(guarded)
    assert found is not None
    assert found[0].size == 1
    answer(later(guarded, 11), new_caller)
    found = highwater.read(guarded)
    assert found is not None
    assert found[0].size == 5
    check_ready(guarded)


def test_a_mark_from_the_future_is_kept_anew(guarded: Hub, new_caller: NewCaller) -> None:
    answer(guarded, new_caller)
    os.utime(mark(guarded), (2e9, 2e9))
    answer(guarded, new_caller)
    found = highwater.read(guarded)
    assert found is not None
    assert found[0].size == 2


@only.SQLITE
def test_a_database_put_back_may_not_serve(guarded: Hub, new_caller: NewCaller, tmp_path: Path) -> None:
    path = Path(f"{make_url(guarded.settings.database_url).database}")
    answer(guarded, new_caller, 2)
    backup = tmp_path / "backup"
    guarded.engine.dispose()
    shutil.copy(path, backup)
    answer(later(guarded, 11), new_caller, 3)
    check_ready(guarded)
    guarded.engine.dispose()
    shutil.copy(backup, path)
    restored = replace(guarded, engine=open_engine(guarded.settings.database_url))
    assert "shorter" in refusal(restored)
    # Growing on does not help: it is another log now.
    behind = later(restored, 25)
    answer(behind, new_caller, 5)
    assert "another" in refusal(behind)
    # Only an operator who looked at it takes it as it is, and the log says who.
    entry = (
        Entry.from_bytes(recovered.entry) if (recovered := recover(behind, "operator-1").receipt) else None
    )
    assert entry is not None
    assert (entry.act, entry.opr) == (Act.HUB_RECOVER, "operator-1")
    check_ready(behind)
    restored.engine.dispose()


def test_a_missing_or_damaged_mark_may_not_serve(guarded: Hub, new_caller: NewCaller) -> None:
    answer(guarded, new_caller)
    note = mark(guarded).read_text()
    mark(guarded).write_text(note.replace("exchange.example/audit\n1", "exchange.example/audit\n2"))
    assert "damaged" in refusal(guarded)
    mark(guarded).write_bytes(b"\xff")
    assert "damaged" in refusal(guarded)
    mark(guarded).unlink()
    mark(guarded).mkdir()
    assert "cannot be read" in refusal(guarded)
    mark(guarded).rmdir()
    assert "mounted" in refusal(guarded)
    development = replace(guarded, settings=replace(guarded.settings, environment="development"))
    check_ready(development)


def test_a_mark_that_cannot_be_kept_stops_no_answer_and_is_found_out(
    guarded: Hub, new_caller: NewCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(guarded, new_caller)

    def full(*_args: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(highwater, "write", full)
    kept = mark(guarded).stat().st_mtime
    os.utime(mark(guarded), (kept - 70, kept - 70))
    answer(guarded, new_caller)
    assert "not being kept" in refusal(guarded)


def test_without_the_guard_folder_no_mark_is_kept_and_no_folder_made(hub: Hub, new_caller: NewCaller) -> None:
    answer(hub, new_caller)
    assert not hub.settings.guard_dir.exists()
