"""A hub that lies to a pull: nothing of it gets into the copy, and what proves the lie is kept."""

from pathlib import Path
from typing import Any

import pytest

from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import pull
from exchange.auditor.verdict import Fault
from exchange.auditor.verify import verify_mirror
from exchange.member.witnessed import LOG_PREFIX
from exchange_schemas.errors import ExchangeError, HubRefused, LogFork
from tests.unit.auditor.logs import TRUST, VKEY, Hub, entry, note


def entries(count: int, *, changed: int | None = None) -> list[bytes]:
    """Entries 0 to `count`; entry number `changed` is another one."""
    return [entry(9_000 if number == changed else number) for number in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "evidence" not in path.parts
    }


@pytest.mark.parametrize("changed", [5, 299])
@pytest.mark.parametrize("size", [300, 301, 512, 700])
def test_a_fork_is_named_and_the_copy_stays_untouched(tmp_path: Path, size: int, changed: int) -> None:
    pull(Mirror(tmp_path), Hub(entries(300)), VKEY)
    before = contents(tmp_path)
    with pytest.raises(LogFork) as caught:
        pull(Mirror(tmp_path), Hub(entries(size, changed=changed)), VKEY)
    assert caught.value.rule == "forked"
    assert contents(tmp_path) == before
    verdict = verify_mirror(Mirror(tmp_path), TRUST)
    assert (verdict.integrity, verdict.complete) == (True, True)
    assert verdict.counts == {Fault.FORKED: 1}


@pytest.mark.parametrize(("size", "changed"), [(300, 5), (700, 5), (299, None)])
def test_the_note_that_proves_a_lie_is_kept(tmp_path: Path, size: int, changed: int | None) -> None:
    mirror = Mirror(tmp_path)
    pull(mirror, Hub(entries(300)), VKEY)
    shown = entries(size, changed=changed)
    for _ in range(2):
        with pytest.raises(LogFork):
            pull(mirror, Hub(shown), VKEY)
    kept = list((tmp_path / "evidence").iterdir())
    assert [path.read_text("utf-8") for path in kept] == [note(shown)]


class Endless(Hub):
    """Shows the same page of salts again and again."""

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        return {"salts": [{"party": "ngo-a", "salt": "A" * 43}], "more": True}


def test_pages_of_salts_that_never_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HubRefused, match="do not go on"):
        pull(Mirror(tmp_path), Endless(entries(3)), VKEY)
    assert not Mirror(tmp_path).has_checkpoint()


class Damaged(Hub):
    """Answers one path with other bytes, as often as it is asked."""

    def __init__(self, served: list[bytes], path: str, answer: bytes) -> None:
        super().__init__(served)
        self.path, self.answer = path, answer

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        honest = super().get_bytes(path, limit=limit)
        return self.answer if path == LOG_PREFIX + self.path else honest


TREE = entries(600)


@pytest.mark.parametrize(
    "path",
    [
        "tile/entries/000",
        "tile/entries/002.p/88",
        "tile/0/000",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ],
)
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "longer"])
def test_an_answer_that_does_not_fit_the_tree_is_not_stored(tmp_path: Path, path: str, damage: str) -> None:
    honest = Hub(TREE).get_bytes(LOG_PREFIX + path, limit=10**9)
    answer = {
        "flipped": honest[:40] + bytes([honest[40] ^ 1]) + honest[41:],
        "cut": honest[:-32],
        "empty": b"",
        "longer": honest + honest[:32],
    }[damage]
    mirror = Mirror(tmp_path)
    with pytest.raises(ExchangeError):
        pull(mirror, Damaged(TREE, path, answer), VKEY)
    assert not mirror.has_checkpoint()
    assert not (tmp_path / path).exists()
    pull(mirror, Hub(TREE), VKEY)
    assert verify_mirror(mirror, TRUST).ok


def test_a_file_that_went_bad_on_the_disk_is_fetched_again(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    hub = Hub(TREE)
    hub.break_after = 5
    with pytest.raises(ExchangeError):
        pull(mirror, hub, VKEY)
    stored = [path for path in (tmp_path / "tile").rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        path.write_bytes(b"")
    pull(mirror, Hub(TREE), VKEY)
    assert verify_mirror(mirror, TRUST).ok


def test_a_rewritten_log_between_an_interrupted_pull_and_the_next_leaves_no_trace(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    hub = Hub(entries(600, changed=5))
    hub.break_after = 5
    with pytest.raises(ExchangeError):
        pull(mirror, hub, VKEY)
    pull(mirror, Hub(TREE), VKEY)
    assert verify_mirror(mirror, TRUST).ok


def test_a_checkpoint_that_is_not_text_is_refused(tmp_path: Path) -> None:
    class Wrong(Hub):
        def post(
            self, path: str, body: dict[str, Any], *, repeatable: bool = True
        ) -> tuple[int, dict[str, Any]]:
            return 201, {"checkpoint": 7}

    with pytest.raises(ExchangeError):
        pull(Mirror(tmp_path), Wrong(TREE), VKEY)
