"""Pulling: only what is missing is fetched, and a fork or a roll-back is refused and kept as evidence."""

from pathlib import Path

import pytest

from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import pull
from exchange.auditor.verdict import Fault
from exchange.auditor.verify import verify_mirror
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, LogFork, NotFound, StorageFull
from tests.unit.auditor.logs import TRUST, VKEY, Hub, entry


def entries(count: int, *, start: int = 0) -> list[bytes]:
    return [entry(number) for number in range(start, start + count)]


def test_a_first_pull_is_whole_and_verifies(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    result = pull(mirror, Hub(entries(300)), VKEY)
    assert (result.before, result.size, result.files) == (0, 300, 5)
    assert verify_mirror(mirror, TRUST).ok


def test_the_next_pull_fetches_only_what_is_new(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    pull(mirror, Hub(entries(600)), VKEY)
    hub = Hub(entries(610))
    pull(mirror, hub, VKEY)
    assert hub.fetched == ["tile/0/002.p/98", "tile/entries/002.p/98"]
    assert verify_mirror(mirror, TRUST).ok
    again = Hub(entries(610))
    pull(mirror, again, VKEY)
    assert again.fetched == []


def test_an_interrupted_pull_is_resumed(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    hub = Hub(entries(600))
    hub.break_after = 3
    with pytest.raises(NotFound):
        pull(mirror, hub, VKEY)
    assert not mirror.has_checkpoint()
    hub.break_after = None
    pull(mirror, hub, VKEY)
    full = [path for path in hub.fetched if ".p/" not in path]
    assert len(full) == len(set(full))
    assert verify_mirror(mirror, TRUST).ok


class Breaking(Mirror):
    """A copy whose disk fails at one moment."""

    def write_checkpoint(self, note: str) -> None:
        raise StorageFull("the disk is full")


class BreakingLater(Mirror):
    def keep_checkpoint(self, size: int, note: str) -> None:
        if size > 300:
            raise StorageFull("the disk is full")
        super().keep_checkpoint(size, note)


@pytest.mark.parametrize("broken", [Breaking, BreakingLater])
def test_a_pull_that_breaks_at_its_last_steps_leaves_a_copy_that_holds(
    tmp_path: Path, broken: type[Mirror]
) -> None:
    pull(Mirror(tmp_path), Hub(entries(300)), VKEY)
    with pytest.raises(StorageFull):
        pull(broken(tmp_path), Hub(entries(310)), VKEY)
    assert verify_mirror(Mirror(tmp_path), TRUST).ok
    pull(Mirror(tmp_path), Hub(entries(320)), VKEY)
    assert verify_mirror(Mirror(tmp_path), TRUST).ok
    kept = {int(path.name) for path in (tmp_path / "checkpoints").iterdir()}
    assert kept >= {300, 320}
    assert (310 in kept) is (broken is BreakingLater)


def test_a_shorter_log_is_a_roll_back(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    pull(mirror, Hub(entries(300)), VKEY)
    with pytest.raises(LogFork) as caught:
        pull(mirror, Hub(entries(299)), VKEY)
    assert caught.value.rule == "rolled-back"
    verdict = verify_mirror(mirror, TRUST)
    assert (verdict.integrity, verdict.complete) == (True, True)
    assert verdict.counts == {Fault.ROLLED_BACK: 1}


@pytest.mark.parametrize("size", [301, 700])
def test_a_longer_log_with_another_past_is_a_fork(tmp_path: Path, size: int) -> None:
    mirror = Mirror(tmp_path)
    pull(mirror, Hub(entries(300)), VKEY)
    with pytest.raises(LogFork) as caught:
        pull(mirror, Hub([*entries(299), *entries(size - 299, start=5_000)]), VKEY)
    assert caught.value.rule == "forked"


def test_a_checkpoint_of_another_key_is_refused(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    other = VKEY.replace("test.example", "mock.example")
    with pytest.raises((CheckpointInvalid, ConfigInvalid)):
        pull(mirror, Hub(entries(3)), other)
    assert not mirror.has_checkpoint()
