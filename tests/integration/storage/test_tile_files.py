"""The log's files: each as C2SP says, whole or not there, and mended by the next run whatever went wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exchange.hub.services.hub import Hub
from exchange.hub.services.tile_files import completed_by, write_tiles, written_bundles
from exchange.hub.tilestore import MARK, FolderTiles, TileStore
from exchange.log.tiles import Tile, split_bundle, tile_path
from exchange.log.tree import leaf_hash
from exchange_schemas.errors import LogFork, StorageFull, StoreCorrupt
from tests.integration.storage import only
from tests.integration.storage.logs import check_log, put


def grown(hub: Hub, count: int) -> Hub:
    for number in range(count):
        put(hub, number)
    return hub


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def whole(hub: Hub, root: Path) -> None:
    """Every file is what the log says, and there is no other."""
    entries = check_log(hub).entries
    bundles = len(entries) // 256
    expected = {tile_path(level, n) for level in (None, 0) for n in range(bundles)} | {MARK}
    found = files_of(root)
    assert set(found) == expected
    for n in range(bundles):
        part = entries[n * 256 : (n + 1) * 256]
        assert split_bundle(found[tile_path(None, n)]) == part
        assert found[tile_path(0, n)] == b"".join(leaf_hash(entry) for entry in part)


def test_full_bundles_and_tiles_are_written_once(hub: Hub, tmp_path: Path) -> None:
    store = FolderTiles(tmp_path / "tiles")
    assert write_tiles(grown(hub, 255), store).files == 0
    grown(hub, 300)
    written = write_tiles(hub, store)
    assert (written.entries, written.files) == (512, 4)
    whole(hub, store.root)
    assert write_tiles(hub, store).files == 0
    for path in store.root.rglob("*"):
        assert path.stat().st_mode & 0o007 == 0
        assert path.stat().st_mode & 0o040


@dataclass
class Failing:
    """A store that fails at its `at`th write, before it, or after it was done (a lost answer)."""

    store: TileStore
    at: int
    after: bool
    done: list[str] = field(default_factory=list)

    def create(self, name: str, data: bytes) -> bool:
        return bool(self._once(name, lambda: self.store.create(name, data)))

    def set_mark(self, text: str) -> None:
        self._once("mark", lambda: self.store.set_mark(text))

    def read(self, name: str) -> bytes | None:
        return self.store.read(name)

    def mark(self) -> str | None:
        return self.store.mark()

    def _once(self, name: str, write: Callable[[], object]) -> object:
        self.done.append(name)
        if len(self.done) == self.at + 1 and not self.after:
            raise StorageFull("the disk is full")
        found = write()
        if len(self.done) == self.at + 1:
            raise StorageFull("the answer was lost")
        return found


@only.SQLITE
def test_a_failure_at_any_write_heals_on_the_next_run(hub: Hub, tmp_path: Path) -> None:
    grown(hub, 520)
    counted = Failing(FolderTiles(tmp_path / "counted"), at=-1, after=False)
    write_tiles(hub, counted)
    assert len(counted.done) == 5
    for at in range(len(counted.done)):
        for after in (False, True):
            root = tmp_path / f"{at}-{after}"
            with pytest.raises(StorageFull):
                write_tiles(hub, Failing(FolderTiles(root), at, after))
            assert written_bundles(FolderTiles(root)) in (0, 2)
            write_tiles(hub, FolderTiles(root))
            whole(hub, root)


@only.SQLITE
def test_a_lost_mark_or_lost_files_are_written_again(hub: Hub, tmp_path: Path) -> None:
    store = FolderTiles(tmp_path / "tiles")
    write_tiles(grown(hub, 512), store)
    (store.root / MARK).unlink()
    (store.root / tile_path(0, 1)).unlink()
    assert write_tiles(hub, store).files == 1
    whole(hub, store.root)


@only.SQLITE
def test_files_of_another_history_are_never_written_over(hub: Hub, tmp_path: Path) -> None:
    store = FolderTiles(tmp_path / "tiles")
    write_tiles(grown(hub, 512), store)
    file = store.root / tile_path(None, 1)
    file.chmod(0o600)
    file.write_bytes(b"another")
    (store.root / MARK).write_text("1\n")
    with pytest.raises(LogFork) as told:
        write_tiles(hub, store)
    assert (told.value.rule, told.value.field) == ("forked", tile_path(None, 1))
    assert file.read_bytes() == b"another"


@only.SQLITE
def test_files_that_hold_more_than_the_log_are_an_alarm(make_hub: Callable[..., Hub], tmp_path: Path) -> None:
    store = FolderTiles(tmp_path / "tiles")
    write_tiles(grown(make_hub(), 512), store)
    with pytest.raises(LogFork) as told:
        write_tiles(grown(make_hub(), 300), store)
    assert told.value.rule == "rolled-back"


@only.SQLITE
def test_a_damaged_mark_is_named(hub: Hub, tmp_path: Path) -> None:
    store = FolderTiles(tmp_path / "tiles")
    write_tiles(grown(hub, 256), store)
    for text in ("", "01\n", "-1\n", "two\n", "9" * 40):
        (store.root / MARK).write_text(text)
        with pytest.raises(StoreCorrupt):
            write_tiles(hub, store)


def test_the_tiles_above_come_with_the_bundle_that_completes_them() -> None:
    assert list(completed_by(0)) == [Tile(None, 0), Tile(0, 0)]
    assert list(completed_by(255)) == [Tile(None, 255), Tile(0, 255), Tile(1, 0)]
    assert list(completed_by(511))[2:] == [Tile(1, 1)]
    assert list(completed_by(65_535))[2:] == [Tile(1, 255), Tile(2, 0)]
