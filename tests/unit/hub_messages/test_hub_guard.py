"""The guard journal: every line is on the disk before it counts, and a damaged one stops the start."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.hub.services import guard
from exchange_schemas.errors import StorageFull, StoreCorrupt
from exchange_schemas.ids import AgencyId, FamilyId, new_id


def line(number: int = 1) -> guard.Withdrawn:
    return guard.Withdrawn(FamilyId(new_id(os.urandom)), AgencyId("agency-a"), number, b'{"signed":1}')


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    newer = guard.Superseded(FamilyId(new_id(os.urandom)), AgencyId("agency-a"), 5, b'{"signed":2}')
    items = [*(line(number) for number in range(5)), newer, line(6)]
    for item in items:
        guard.append(tmp_path / "guard", item)
    assert list(guard.read(tmp_path / "guard")) == items


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert list(guard.read(tmp_path)) == []


def test_only_this_user_reads_the_journal(tmp_path: Path) -> None:
    guard.append(tmp_path / "guard", line())
    assert (tmp_path / "guard" / guard.JOURNAL).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "guard").stat().st_mode & 0o777 == 0o700


def test_a_line_is_synced_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        synced.append(path.read_bytes() if path.is_file() else b"folder")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    guard.append(tmp_path, line())
    assert synced == [(tmp_path / guard.JOURNAL).read_bytes(), b"folder"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(cut=st.integers(1, 150))
def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / guard.JOURNAL
    path.unlink(missing_ok=True)
    first, torn, last = line(1), line(2), line(3)
    guard.append(tmp_path, first)
    whole = path.stat().st_size
    guard.append(tmp_path, torn)
    os.truncate(path, max(whole, path.stat().st_size - cut))
    assert list(guard.read(tmp_path)) == [first]
    guard.append(tmp_path, last)
    assert list(guard.read(tmp_path)) == [first, last]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b'"v":1', b'"v":2'),
        lambda data: data.replace(b"agency-a", b"Agency-A"),
        lambda data: data.replace(b'"at":1', b'"at":"1"'),
        lambda data: data.replace(b'"iss"', b'"isS"'),
        lambda data: data.replace(b'"v":1', b'"v":1,"v":1'),
        lambda data: b"\n" + data,
        lambda data: data[:40] + b"\n" + data[40:],
        lambda data: bytes(20_000) + data,
    ],
)
def test_a_damaged_line_stops_the_start(tmp_path: Path, damage: object) -> None:
    for number in (1, 1):
        guard.append(tmp_path, line(number))
    path = tmp_path / guard.JOURNAL
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(StoreCorrupt):
        list(guard.read(tmp_path))


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = line(1)
    guard.append(tmp_path, first)
    before = (tmp_path / guard.JOURNAL).read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(StorageFull):
        guard.append(tmp_path, line(2))
    assert (tmp_path / guard.JOURNAL).read_bytes() == before


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "guard").write_text("a file")
    with pytest.raises(StorageFull):
        guard.append(tmp_path / "guard", line())


def test_appends_at_once_leave_whole_lines(tmp_path: Path) -> None:
    # Each append opens the file anew, so threads exclude one another as processes do.
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(guard.append, tmp_path, line(number)) for number in range(80)]
    assert [item.exception() for item in done] == [None] * 80
    assert sorted(item.at for item in guard.read(tmp_path)) == list(range(80))


def test_batches_hold_all_items_in_order() -> None:
    items = [line(number) for number in range(7)]
    found = list(guard.batches(iter(items), 3))
    assert [len(batch) for batch in found] == [3, 3, 1]
    assert [item for batch in found for item in batch] == items
