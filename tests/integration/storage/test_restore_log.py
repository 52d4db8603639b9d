"""Putting back a log from an auditor's copy: every entry in its place, and never over another history."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, text

from exchange.auditor.mirror import Mirror
from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.services import audit_read, highwater
from exchange.hub.services.fsck import check_stored
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import audit_log
from exchange.hub.services.recover import recover
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.restore_log import restore_log
from exchange.hub.services.startup import check_ready
from exchange.hub.witnesspolicy import check_policy
from exchange.log.checkpoint import vkey
from exchange.log.cosignature import cosign, cosigner_vkey
from exchange.log.policy import Policy
from exchange.log.tiles import tile_path, tiles_of
from exchange.log.tree import Frontier, leaf_hash
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import (
    CheckpointInvalid,
    ConfigInvalid,
    Conflict,
    EntryInvalid,
    ExchangeError,
    LogFork,
    LogIncomplete,
    ProofInvalid,
    Unavailable,
)
from tests.integration.storage import only
from tests.integration.storage.logs import check_log

TRACE = Trace(Act.INBOX_LIST)
NewCaller = Callable[..., Caller]
WITNESS = SigningKey.generate()
NAME = "w.example"


@pytest.fixture
def grow(new_caller: NewCaller) -> Callable[[Hub, int], None]:
    def answer(hub: Hub, count: int) -> None:
        for _ in range(count):
            release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))

    return answer


@pytest.fixture
def guarded(hub: Hub) -> Hub:
    """Its guard folder is there, and a policy names one witness."""
    hub.settings.guard_dir.mkdir(parents=True)
    lines = f"witness w {cosigner_vkey(NAME, WITNESS.public.raw)} https://w.example\nquorum w\n"
    policy = check_policy(Policy.from_bytes(lines.encode()), plain_allowed=False)
    return replace(hub, witnesses=policy)


def copied(hub: Hub, folder: Path, *, cosigned: bool = True) -> Mirror:
    """What an auditor's pull leaves; its checkpoint is kept with a cosignature."""
    mirror = Mirror(folder)
    with reading(hub.engine) as conn:
        tree = audit_read.head(conn)
    note = audit_log(hub).note(tree)
    folder.mkdir(parents=True, exist_ok=True)
    mirror.pin(vkey(hub.settings.audit_log, hub.keys.audit_log.public.raw))
    for tile in tiles_of(tree.size, level=None):
        mirror.write_tile(tile, audit_read.bundle(hub, tile.n, tile.width))
    line = cosign(note, WITNESS, NAME, hub.clock()) if cosigned else ""
    mirror.keep_checkpoint(tree.size, note + line)
    mirror.write_checkpoint(note)
    return mirror


def as_owner(hub: Hub, work: Callable[[Connection], Any]) -> None:
    """Whatever a database put back would hold; on SQLite the triggers against mistakes are gone after it."""
    engine = open_engine(hub.settings.owner_database_url or hub.settings.database_url)
    with writing(engine) as conn:
        if conn.dialect.name == "sqlite":
            names = conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in names.scalars().all():
                conn.execute(text(f'DROP TRIGGER "{name}"'))
        work(conn)
    engine.dispose()


def cut_back(hub: Hub, size: int) -> None:
    """The log as it was at this size."""

    def cut(conn: Connection) -> None:
        conn.execute(delete(log_entry).where(log_entry.c.idx >= size))
        conn.execute(delete(log_node).where(log_node.c.idx >= size >> 8))

    as_owner(hub, cut)


@pytest.mark.parametrize("left", [0, 255, 300])
def test_every_lost_entry_comes_back_into_its_place(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path, left: int
) -> None:
    grow(guarded, 530)
    before = check_log(guarded)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, left)
    seen: list[int] = []
    restored = restore_log(guarded, mirror.folder, lambda done, _total: seen.append(done))
    assert (restored.before, restored.size, restored.witnessed) == (left, 530, 530)
    assert check_log(guarded) == before
    assert seen[-1] == 530
    recover(guarded, "asha")
    check_ready(guarded)
    grow(guarded, 3)
    after = check_log(guarded)
    assert after.ids[:530] == before.ids
    assert Entry.from_bytes(after.entries[530]).opr == "asha"
    assert not check_stored(guarded, None).counts
    # Nothing is lost now, so that nothing is done.
    assert restore_log(guarded, mirror.folder).size == 534


@only.SQLITE
def test_a_run_that_is_cut_short_goes_on(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path
) -> None:
    grow(guarded, 256 * 9 + 10)
    before = check_log(guarded)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 100)
    size = len(before.ids)

    def stop(done: int, _total: int) -> None:
        # The first pass verifies; the first batch of the second one is committed.
        if 256 * 8 <= done < size and len(check_log(guarded).ids) > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_log(guarded, mirror.folder, stop)
    assert 100 < len(check_log(guarded).ids) < size
    with pytest.raises(LogIncomplete):
        restore_log(guarded, mirror.folder, _changes(mirror, size))
    assert 100 < len(check_log(guarded).ids) < size
    copied_again = tmp_path / "again"
    shutil.copytree(mirror.folder, copied_again)
    file = copied_again / tile_path(None, 9, 10)
    file.write_bytes(_last_bundle(before.entries))
    assert restore_log(guarded, copied_again).size == size
    assert check_log(guarded) == before


def _changes(mirror: Mirror, size: int) -> Callable[[int, int], None]:
    """Somebody writes into the copy after it was verified."""

    def change(done: int, _total: int) -> None:
        if done == size:
            (mirror.folder / tile_path(None, 9, 10)).write_bytes(b"\x00\x02{}" * 10)

    return change


def _last_bundle(entries: list[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries[256 * 9 :])


def test_a_log_that_went_on_by_itself_is_never_written_over(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path
) -> None:
    grow(guarded, 20)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 10)
    grow(guarded, 2)
    before = check_log(guarded)
    with pytest.raises(LogFork):
        restore_log(guarded, mirror.folder)
    assert check_log(guarded) == before


def altered(mirror: Mirror) -> None:
    file = mirror.folder / tile_path(None, 0, 20)
    file.write_bytes(file.read_bytes().replace(b'"ts":1', b'"ts":2', 1))


def malformed(mirror: Mirror) -> None:
    file = mirror.folder / tile_path(None, 0, 20)
    file.write_bytes(file.read_bytes().replace(b'"allow"', b'"alloy"', 1))


def truncated(mirror: Mirror) -> None:
    file = mirror.folder / tile_path(None, 0, 20)
    file.write_bytes(file.read_bytes()[:-1])


def missing(mirror: Mirror) -> None:
    (mirror.folder / tile_path(None, 0, 20)).unlink()


def unsigned(mirror: Mirror) -> None:
    note = (mirror.folder / "checkpoint").read_text()
    (mirror.folder / "checkpoint").write_text(note.replace("\n20\n", "\n19\n"))


def unwitnessed(mirror: Mirror) -> None:
    shutil.rmtree(mirror.folder / "checkpoints")


def no_copy(mirror: Mirror) -> None:
    (mirror.folder / "checkpoint").unlink()


def no_text(mirror: Mirror) -> None:
    (mirror.folder / "checkpoint").write_bytes(b"\xff\xfe")


SPOILED: list[tuple[Callable[[Mirror], None], type[ExchangeError]]] = [
    (altered, ProofInvalid),
    (malformed, EntryInvalid),
    (truncated, EntryInvalid),
    (missing, LogIncomplete),
    (unsigned, CheckpointInvalid),
    (unwitnessed, CheckpointInvalid),
    (no_copy, ConfigInvalid),
    (no_text, CheckpointInvalid),
]


@only.SQLITE
@pytest.mark.parametrize(("spoil", "error"), SPOILED, ids=[one.__name__ for one, _ in SPOILED])
def test_a_copy_that_does_not_verify_puts_nothing_back(
    guarded: Hub,
    grow: Callable[[Hub, int], None],
    tmp_path: Path,
    spoil: Callable[[Mirror], None],
    error: type[ExchangeError],
) -> None:
    grow(guarded, 20)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 10)
    spoil(mirror)
    with pytest.raises(error):
        restore_log(guarded, mirror.folder)
    assert len(check_log(guarded).ids) == 10


@only.SQLITE
def test_a_copy_of_another_hub_or_with_another_past_puts_nothing_back(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path, make_hub: Callable[..., Hub]
) -> None:
    grow(guarded, 20)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 10)
    highwater.path_of(guarded).unlink()
    stranger = replace(guarded, keys=replace(guarded.keys, audit_log=SigningKey.generate()))
    with pytest.raises(CheckpointInvalid):
        restore_log(stranger, mirror.folder)
    # The log's own key signed another tree too, and the copy kept it.
    other = Frontier.empty().extend(leaf_hash(bytes([n])) for n in range(5))
    note = audit_log(guarded).note(other)
    (mirror.folder / "checkpoints" / "5").write_text(note)
    with pytest.raises(LogFork):
        restore_log(guarded, mirror.folder)
    assert len(check_log(guarded).ids) == 10


@only.SQLITE
def test_a_copy_that_ends_before_the_mark_is_too_old(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path
) -> None:
    grow(guarded, 12)
    old = copied(guarded, tmp_path / "old")
    grow(guarded, 8)
    newer = copied(guarded, tmp_path / "newer")
    highwater.write(highwater.path_of(guarded), audit_log(guarded).note(_tree(guarded)), guarded.clock())
    cut_back(guarded, 10)
    with pytest.raises(Unavailable) as told:
        check_ready(guarded)
    assert told.value.rule == "S7-guard"
    with pytest.raises(LogIncomplete):
        restore_log(guarded, old.folder)
    assert len(check_log(guarded).ids) == 10
    restore_log(guarded, newer.folder)
    check_ready(guarded)


@only.SQLITE
def test_a_log_that_is_written_meanwhile_is_left_alone(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path
) -> None:
    grow(guarded, 20)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 10)

    def meanwhile(done: int, _total: int) -> None:
        if len(check_log(guarded).ids) == 10:
            grow(guarded, 1)

    with pytest.raises(Conflict):
        restore_log(guarded, mirror.folder, meanwhile)
    assert len(check_log(guarded).ids) == 11


@only.POSTGRES
def test_only_the_owner_of_the_tables_may_put_back(
    guarded: Hub, grow: Callable[[Hub, int], None], tmp_path: Path
) -> None:
    grow(guarded, 20)
    mirror = copied(guarded, tmp_path / "log")
    cut_back(guarded, 10)
    worker = replace(guarded, settings=replace(guarded.settings, owner_database_url=None))
    with pytest.raises(ConfigInvalid) as told:
        restore_log(worker, mirror.folder)
    assert told.value.field == "HOMEWARD_OWNER_DATABASE_URL"


def _tree(hub: Hub) -> Frontier:
    with reading(hub.engine) as conn:
        return audit_read.head(conn)
