"""The salts of the slices come back with a log: without them no heads entry in it could be checked again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, update

from exchange.auditor.history import Trust
from exchange.auditor.verdict import Fault
from exchange.auditor.verify import verify_mirror
from exchange.hub.db import reading
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.services import audit_read
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import audit_log
from exchange.hub.services.recover import recover
from exchange.hub.services.release import Answer, Caller, release
from exchange.hub.services.restore_log import restore_log
from exchange.hub.services.slices import append_heads, index_some
from exchange.log.tiles import Tile, tiles_of
from exchange_schemas.errors import LogIncomplete
from tests.integration.storage.logs import check_log
from tests.integration.storage.test_restore_log import TRACE, as_owner, copied, cut_back, guarded

__all__ = ["guarded"]

NewCaller = Callable[..., Caller]


def salts_of(hub: Hub) -> dict[str, bytes]:
    with reading(hub.engine) as conn:
        return {row.party: bytes(row.salt) for row in conn.execute(select(slice_party))}


def put_back(hub: Hub, size: int, parties: int) -> None:
    """The log and the slices as a backup had them: so many entries, so many parties, nothing indexed."""

    def slices(conn: Connection) -> None:
        conn.execute(delete(slice_leaf))
        conn.execute(delete(slice_party).where(slice_party.c.number >= parties))
        conn.execute(update(slice_party).values(size=0, frontier=b"", head_size=0, head_frontier=b""))
        nothing = {"covers": 0, "head_covers": 0, "head_entry": "", "head_leaves": b""}
        conn.execute(update(slice_state).values(nothing))

    cut_back(hub, size)
    as_owner(hub, slices)


@pytest.mark.parametrize("known", [0, 1])
def test_parties_that_are_new_since_the_backup_keep_the_salts_that_auditors_have(
    guarded: Hub, new_caller: NewCaller, tmp_path: Path, known: int
) -> None:
    for number in range(300):
        name = ("agency-a", "agency-b", "agency-c")[number // 100]
        release(guarded, new_caller(name), TRACE, lambda _unit: Answer({}, TRACE))
        if number % 100 == 99:
            index_some(guarded)
            append_heads(guarded)
    before = salts_of(guarded)
    assert len(before) == 3
    mirror = copied(guarded, tmp_path / "log")
    # What is pulled later names parties that the restored log has not: they get no row.
    mirror.write_salts(before | {"agency-z": bytes(32)})
    put_back(guarded, 101 if known else 50, known)
    assert restore_log(guarded, mirror.folder).unsalted == ()
    recover(guarded, "asha")
    index_some(guarded)
    append_heads(guarded)
    assert salts_of(guarded) == before
    assert verified(guarded, tmp_path / "next") == (True, {})


def test_without_its_salts_a_copy_brings_back_the_log_and_says_who_gets_another(
    guarded: Hub, new_caller: NewCaller, tmp_path: Path
) -> None:
    release(guarded, new_caller("agency-a"), TRACE, lambda _unit: Answer({}, TRACE))
    index_some(guarded)
    append_heads(guarded)
    mirror = copied(guarded, tmp_path / "log")
    before = salts_of(guarded)
    put_back(guarded, 0, 0)
    assert restore_log(guarded, mirror.folder).unsalted == ("agency-a",)
    index_some(guarded)
    append_heads(guarded)
    # The control: the heads entry that came back was made with another salt.
    assert salts_of(guarded).keys() == before.keys()
    assert verified(guarded, tmp_path / "next") == (False, {Fault.HEADS_WRONG: 1})


@pytest.mark.parametrize("data", [b"[]", b'{"agency-a":"AA"}', b'{"Not an agency!":"AA"}', b"x"])
def test_salts_that_cannot_be_read_put_nothing_back(
    guarded: Hub, new_caller: NewCaller, tmp_path: Path, data: bytes
) -> None:
    for _ in range(3):
        release(guarded, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    mirror = copied(guarded, tmp_path / "log")
    (mirror.folder / "salts.json").write_bytes(data)
    cut_back(guarded, 1)
    with pytest.raises(LogIncomplete):
        restore_log(guarded, mirror.folder)
    assert len(check_log(guarded).ids) == 1


def verified(hub: Hub, folder: Path) -> tuple[bool | None, dict[Fault, int]]:
    """What an auditor says of the slices who pulls now."""
    made = copied(hub, folder)
    with reading(hub.engine) as conn:
        size = audit_read.head(conn).size
        for tile in tiles_of(size):
            made.write_tile(tile, audit_read.read_tile(conn, tile))
        if size >= 256:
            tile = Tile(1, 0, size // 256)
            made.write_tile(tile, audit_read.read_tile(conn, tile))
    made.write_salts(salts_of(hub))
    verdict = verify_mirror(made, Trust(audit_log(hub).pins, "given", hub.clock()))
    assert (verdict.integrity, verdict.complete, verdict.history) == (True, True, True)
    return verdict.slices, verdict.counts
