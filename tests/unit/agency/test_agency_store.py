"""The local store: sealed values, blinded names, durable or refused."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from exchange.member.store import Store
from exchange_keys.box import StoreKey
from exchange_schemas.errors import ConfigInvalid, StorageFull, StoreCorrupt, StoreLocked

NAME = "Planted Nameperson"


def test_what_is_put_is_given_back_by_id_and_by_lookup(store: Store) -> None:
    store.put("record", "a", {"name": NAME}, lookups=[("source", "x/1")])
    assert store.get("record", "a") == {"name": NAME}
    assert store.found("record", "source", "x/1") == [("a", {"name": NAME})]
    assert store.found("record", "source", "x/2") == []
    assert store.get("record", "b") is None


def test_a_second_put_replaces_value_and_lookups(store: Store) -> None:
    store.put("record", "a", {"n": 1}, lookups=[("source", "old")])
    store.put("record", "a", {"n": 2}, lookups=[("source", "new")])
    assert store.get("record", "a") == {"n": 2}
    assert store.found("record", "source", "old") == []
    assert [ident for ident, _ in store.found("record", "source", "new")] == ["a"]
    assert store.count("record") == 1


def test_nothing_readable_stands_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store(path, StoreKey.generate()) as store:
        store.put("record", "visible-reference", {"name": NAME}, lookups=[("source", "person.1000")])
        store.put_bytes("photo", "visible-reference", NAME.encode())
        for file in tmp_path.iterdir():
            data = file.read_bytes()
            for word in (NAME, "visible-reference", "person.1000"):
                assert word.encode() not in data


def test_each_gives_all_in_order_across_pages(store: Store) -> None:
    with store.writing():
        for number in range(1203):
            store.put("record", str(number), {"n": number})
    assert [value["n"] for _, value in store.each("record")] == list(range(1203))


def test_another_key_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "store.db", StoreKey.generate()).close()
    with pytest.raises(StoreCorrupt):
        Store(tmp_path / "store.db", StoreKey.generate())


def test_rows_cannot_be_swapped(tmp_path: Path) -> None:
    key = StoreKey.generate()
    with Store(tmp_path / "store.db", key) as store:
        store.put("record", "a", {"n": 1})
        store.put("record", "b", {"n": 2})
    db = sqlite3.connect(tmp_path / "store.db")
    boxes = [row[0] for row in db.execute("SELECT box FROM item ORDER BY ord")]
    db.execute("UPDATE item SET box = ? WHERE ord = 1", (boxes[1],))
    db.commit()
    db.close()
    with Store(tmp_path / "store.db", key) as store, pytest.raises(StoreCorrupt):
        store.get("record", "a")


def test_a_file_that_is_no_database_is_store_corrupt(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreCorrupt):
        Store(tmp_path / "store.db", StoreKey.generate())


def test_a_failed_block_changes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.writing():
            store.put("record", "a", {"n": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.get("record", "a") is None


def test_a_full_disk_is_said_plainly_and_nothing_is_changed(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db", StoreKey.generate()) as store:
        store._db.execute("PRAGMA max_page_count=30")
        with pytest.raises(StorageFull) as caught:
            store.put_bytes("photo", "a", bytes(500_000))
        assert "full" in caught.value.message
        assert store.get_bytes("photo", "a") is None
        store.put("record", "a", {"n": 1})


def test_a_writer_that_never_ends_is_store_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.member.store._WAIT_SECONDS", 0.05)
    key = StoreKey.generate()
    begun, done = threading.Event(), threading.Event()

    def busy() -> None:
        with Store(tmp_path / "store.db", key) as other, other.writing():
            begun.set()
            done.wait(20)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert begun.wait(20)
        with pytest.raises(StoreLocked):
            Store(tmp_path / "store.db", key)
    finally:
        done.set()
        thread.join()


def test_pseudonyms_differ_by_purpose_and_store(store: Store, tmp_path: Path) -> None:
    assert store.pseudonym("user", "amal") == store.pseudonym("user", "amal")
    assert store.pseudonym("user", "amal") != store.pseudonym("other", "amal")
    with Store(tmp_path / "second.db", StoreKey.generate()) as second:
        assert second.pseudonym("user", "amal") != store.pseudonym("user", "amal")


def test_a_disk_without_room_for_the_first_write_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = sqlite3.OperationalError("disk I/O error")
    refused.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    def connect(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(StoreCorrupt):
        Store(tmp_path / "store.db", StoreKey.generate())
    monkeypatch.setattr("exchange.member.store._ROOM", 2**80)
    with pytest.raises(StorageFull):
        Store(tmp_path / "store.db", StoreKey.generate())
    refused.sqlite_errorcode = sqlite3.SQLITE_READONLY
    with pytest.raises(ConfigInvalid, match="may not write"):
        Store(tmp_path / "store.db", StoreKey.generate())
