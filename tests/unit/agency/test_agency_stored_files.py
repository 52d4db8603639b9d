"""Files in the store in pieces: what was kept comes back; a lost or strange piece is an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.member import stored_files
from exchange.member.store import Store
from exchange.member.stored_files import PIECE_BYTES, Writer
from exchange_keys.box import StoreKey
from exchange_schemas.errors import StoreCorrupt

DATA = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"end"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db", StoreKey.generate()) as opened:
        yield opened


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 2 * PIECE_BYTES), max_size=5))
def test_what_is_written_in_any_steps_comes_back(
    sizes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = b"".join(bytes([number]) * size for number, size in enumerate(sizes, 1))
    with Store(tmp_path_factory.mktemp("store") / "store.db", StoreKey.generate()) as store:
        with store.writing():
            writer, at = Writer(store, "photo", "a"), 0
            for size in sizes:
                writer.write(whole[at : at + size])
                at += size
            kept = writer.finish()
        found = stored_files.find(store, "photo", "a")
        assert found == kept
        assert (kept.size, kept.sha256) == (len(whole), sha256(whole).hexdigest())
        with kept.open() as stream:
            assert stream.read() == kept.read() == whole
        assert all(len(piece) <= PIECE_BYTES for piece in kept.pieces())


def test_another_file_under_the_same_id_leaves_nothing_of_the_first(store: Store) -> None:
    stored_files.keep(store, "photo", "a", DATA)
    assert stored_files.keep(store, "photo", "a", b"short").read() == b"short"
    assert store.count("photo_piece") == 1
    stored_files.delete(store, "photo", "a")
    stored_files.delete(store, "photo", "a")
    assert (store.count("photo"), store.count("photo_piece")) == (0, 0)
    assert stored_files.find(store, "photo", "a") is None


def test_an_error_on_the_way_takes_all_of_it_back(store: Store) -> None:
    stored_files.keep(store, "photo", "a", b"before")

    def fail() -> None:
        with store.writing():
            Writer(store, "photo", "a").write(DATA)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    found = stored_files.find(store, "photo", "a")
    assert found is not None
    assert found.read() == b"before"


def test_a_piece_that_is_lost_or_from_another_time_is_an_error(store: Store, tmp_path: Path) -> None:
    kept = stored_files.keep(store, "photo", "a", DATA)
    for number, piece in ((1, None), (0, b""), (3, b"END"), (3, b"longer"), (0, DATA[:5])):
        was = store.get_bytes("photo_piece", f"a/{number}")
        assert was is not None
        if piece is None:
            store.delete("photo_piece", f"a/{number}")
        else:
            store.put_bytes("photo_piece", f"a/{number}", piece)
        with pytest.raises(StoreCorrupt):
            kept.read()
        with pytest.raises(StoreCorrupt):
            kept.save(tmp_path / "out")
        assert not (tmp_path / "out").exists()
        store.put_bytes("photo_piece", f"a/{number}", was)
    kept.save(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA


def test_pieces_cannot_be_exchanged_on_the_disk(store: Store, tmp_path: Path) -> None:
    kept = stored_files.keep(store, "photo", "a", DATA)
    with sqlite3.connect(tmp_path / "store.db") as raw:
        rows = raw.execute(
            "SELECT ord, box FROM item WHERE collection = 'photo_piece' ORDER BY ord"
        ).fetchall()
        raw.execute("UPDATE item SET box = ? WHERE ord = ?", (rows[1][1], rows[0][0]))
    raw.close()
    with pytest.raises(StoreCorrupt):
        kept.read()


@pytest.mark.parametrize("head", [{"size": "1"}, {"size": 1, "sha256": 1}, {}])
def test_a_head_that_cannot_be_read_is_an_error(store: Store, head: dict[str, str | int]) -> None:
    store.put("photo", "a", head)
    with pytest.raises(StoreCorrupt):
        stored_files.find(store, "photo", "a")
    with pytest.raises(StoreCorrupt):
        stored_files.delete(store, "photo", "a")
