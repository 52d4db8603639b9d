"""Blobs: whole, checked and synced, or not there at all."""

import errno
import io
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from exchange.hub import blobs
from exchange.hub.blobs import CHUNK, FolderBlobs
from exchange_schemas.codec import b64u
from exchange_schemas.errors import Malformed, NotFound, PartDigest, StorageFull, TooLarge
from exchange_schemas.ids import Digest


def digest(data: bytes) -> Digest:
    return Digest(b64u(sha256(data).digest()))


def files(store: FolderBlobs) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()] if store.root.exists() else []


@pytest.fixture
def store(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 7])
def test_what_is_put_can_be_opened_and_deleted(store: FolderBlobs, size: int) -> None:
    data = os.urandom(size)
    name = digest(data)
    assert not store.has(name)
    assert store.put(name, io.BytesIO(data), limit=size) == size
    assert store.has(name)
    with store.open(name) as stream:
        assert stream.read() == data
    assert store.delete(name)
    assert not store.delete(name)
    assert not store.has(name)
    with pytest.raises(NotFound):
        store.open(name)


def test_a_blob_lies_under_its_first_two_characters_for_its_owner_alone(store: FolderBlobs) -> None:
    store.put(digest(b"x"), io.BytesIO(b"x"), limit=1)
    (path,) = files(store)
    name = sha256(b"x").hexdigest()
    assert path == store.root / name[:2] / name
    assert path.stat().st_mode & 0o077 == 0


def test_putting_again_checks_the_bytes_and_changes_nothing(store: FolderBlobs) -> None:
    name = digest(b"data")
    store.put(name, io.BytesIO(b"data"), limit=10)
    before = files(store)[0].stat()
    assert store.put(name, io.BytesIO(b"data"), limit=10) == 4
    assert files(store)[0].stat().st_ino == before.st_ino
    with pytest.raises(PartDigest):
        store.put(name, io.BytesIO(b"other"), limit=10)
    with pytest.raises(TooLarge):
        store.put(name, io.BytesIO(b"data"), limit=3)


@pytest.mark.parametrize(
    ("data", "limit", "error"), [(b"other", 10, PartDigest), (b"", 10, PartDigest), (b"data!", 4, TooLarge)]
)
def test_refused_bytes_leave_nothing(
    store: FolderBlobs, data: bytes, limit: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store.put(digest(b"data"), io.BytesIO(data), limit=limit)
    assert files(store) == []


class Breaking(io.RawIOBase):
    """A source that fails after some bytes."""

    def __init__(self, error: OSError) -> None:
        self.error = error
        self.left = 2

    def read(self, size: int = -1, /) -> bytes:
        self.left -= 1
        if self.left:
            return b"x" * 10
        raise self.error


def test_a_source_that_breaks_leaves_nothing(store: FolderBlobs) -> None:
    with pytest.raises(ConnectionResetError):
        store.put(digest(b"x"), Breaking(ConnectionResetError("gone")), limit=100)
    assert files(store) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_answer_and_leaves_nothing(
    store: FolderBlobs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr("exchange_keys.durable.os.fsync", full)
    with pytest.raises(StorageFull):
        store.put(digest(b"x"), io.BytesIO(b"x"), limit=1)
    assert files(store) == []


def test_a_full_disk_when_the_folder_is_made_is_an_answer_too(
    store: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageFull):
        store.put(digest(b"x"), io.BytesIO(b"x"), limit=1)


def test_file_and_folders_are_synced_before_it_is_said_to_be_there(
    store: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real: Callable[[int], None] = os.fsync

    def note(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    store.put(digest(b"x"), io.BytesIO(b"x"), limit=1)
    shard = store.root / sha256(b"x").hexdigest()[:2]
    assert str(store.root) in synced
    assert str(shard) in synced
    assert any(Path(path).parent == shard for path in synced)
    synced.clear()
    store.delete(digest(b"x"))
    assert synced == [str(shard)]


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 42, "A" * 44, "=" * 43, "A" * 42 + "B"])
def test_a_name_that_is_no_digest_is_refused(store: FolderBlobs, name: str) -> None:
    for look in (store.open, store.has, store.delete):
        with pytest.raises(Malformed):
            look(Digest(name))
    with pytest.raises(Malformed):
        store.put(Digest(name), io.BytesIO(b""), limit=1)


def test_leftovers_of_killed_uploads_are_swept_and_blobs_never(store: FolderBlobs) -> None:
    store.put(digest(b"x"), io.BytesIO(b"x"), limit=1)
    (whole,) = files(store)
    half = whole.with_name(f".{whole.name[:40]}.abc")
    half.write_bytes(b"half")
    now = datetime.now(UTC)
    assert store.sweep(now - timedelta(hours=1)) == 0
    assert store.sweep(now + timedelta(hours=1)) == 1
    assert files(store) == [whole]


def test_the_module_reads_in_bounded_pieces() -> None:
    assert blobs.CHUNK <= 1024 * 1024
