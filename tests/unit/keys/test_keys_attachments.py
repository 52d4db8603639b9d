"""Attachments: streamed, digest first, whole or not at all."""

import errno
import io
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys import durable
from exchange_keys.attachments import open_file, open_stream, seal_file, seal_stream
from exchange_keys.durable import disk_errors, durable_file
from exchange_keys.padding import padme
from exchange_keys.parts import PartContext, encryptor, open_part, sealed_length
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import (
    Conflict,
    DecryptFailed,
    ExchangeError,
    Malformed,
    PartDigest,
    PartMissing,
    StorageFull,
    TooLarge,
)
from exchange_schemas.ids import Digest, EnvelopeId, PartId
from exchange_schemas.limits import LIMITS
from tests.unit.keys.keys_factory import ORIGIN, A, an_id, flip, seed

CTX = PartContext(ORIGIN, EnvelopeId(an_id("envelope 1")), PartId(an_id("part 1")), "photo", 1, A.id)
KEY = seed("photo key")


def test_the_longest_sealed_part_is_that_of_the_longest_attachment() -> None:
    longest = sealed_length(padme(LIMITS.attachment_bytes + 1))
    assert longest == LIMITS.sealed_part_bytes
    # One PADMÉ step more is no attachment that this exchange seals.
    assert padme(padme(LIMITS.attachment_bytes + 1) + 1) > padme(LIMITS.attachment_bytes + 1)


def sealed_bytes(value: bytes) -> bytes:
    out = io.BytesIO()
    seal_stream(KEY, io.BytesIO(value), out, len(value), CTX)
    return out.getvalue()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 200_000), st.sampled_from([b"x", b"\0", b"\x80", b"\x80\0"]))
def test_a_stream_comes_back_at_every_size(size: int, pattern: bytes) -> None:
    value = (pattern * size)[:size]
    out = io.BytesIO()
    sealed = seal_stream(KEY, io.BytesIO(value), out, size, CTX)
    ciphertext = out.getvalue()
    assert sealed.length == len(ciphertext) == sealed_length(padme(size + 1))
    assert sealed.sha256 == b64u(sha256(ciphertext))
    back = io.BytesIO()
    assert open_stream(KEY, io.BytesIO(ciphertext), back, CTX) == size
    assert back.getvalue() == value
    assert open_part(KEY, ciphertext, CTX, None) == value


def test_a_source_that_is_shorter_or_longer_than_it_says_is_malformed() -> None:
    for size in (4, 6):
        with pytest.raises(Malformed):
            seal_stream(KEY, io.BytesIO(b"12345"), io.BytesIO(), size, CTX)


def test_an_attachment_over_25_mib_is_too_large_before_anything_is_read() -> None:
    source = io.BytesIO()
    with pytest.raises(TooLarge):
        seal_stream(KEY, source, io.BytesIO(), LIMITS.attachment_bytes + 1, CTX)


def test_a_25_mib_attachment_takes_constant_memory(tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    with source.open("wb") as file:
        file.truncate(LIMITS.attachment_bytes)
    tracemalloc.start()
    try:
        path, sealed = seal_file(KEY, source, tmp_path, CTX)
        size = open_file(KEY, path, tmp_path / "back", CTX, length=sealed.length, sha256=sealed.sha256)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == LIMITS.attachment_bytes
    assert peak < 2 * 1024 * 1024


def sealed_with(padded: bytes) -> bytes:
    """An authentic ciphertext of bytes that our own padding did not make."""
    sealing = encryptor(KEY, CTX)
    return sealing.update(padded) + sealing.finalize()


@pytest.mark.parametrize(
    "padded", [b"", bytes(64), b"x" * 64, b"\x80" + bytes(100), b"x\x80" + bytes(70_000), bytes(70_000)]
)
def test_a_padding_that_is_not_ours_fails_to_open(padded: bytes) -> None:
    with pytest.raises(DecryptFailed):
        open_stream(KEY, io.BytesIO(sealed_with(padded)), io.BytesIO(), CTX)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_no_bit_of_a_stream_can_be_turned_and_none_cut(data: st.DataObject) -> None:
    sealed = sealed_bytes(b"photo" * 5000)
    turned = flip(sealed, data.draw(st.integers(0, len(sealed) * 8 - 1)))
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for bad in (turned, cut, sealed + b"\0"):
        with pytest.raises(DecryptFailed):
            open_stream(KEY, io.BytesIO(bad), io.BytesIO(), CTX)


# -- files ----------------------------------------


class Sealed:
    """A sealed photo in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.value = bytes(range(256)) * 300
        (folder / "photo.jpg").write_bytes(self.value)
        self.path, self.stream = seal_file(KEY, folder / "photo.jpg", folder, CTX)
        self.target = folder / "opened.jpg"

    def open(self, ctx: PartContext = CTX, key: bytes = KEY, digest: Digest | None = None) -> int:
        return open_file(
            key,
            self.path,
            self.target,
            ctx,
            length=self.stream.length,
            sha256=self.stream.sha256 if digest is None else digest,
        )

    def leftovers(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {"photo.jpg", self.path.name}


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path)


def test_an_attachment_file_comes_back_private_and_alone(sealed: Sealed) -> None:
    assert sealed.open() == len(sealed.value)
    assert sealed.target.read_bytes() == sealed.value
    assert sealed.target.stat().st_mode & 0o777 == 0o600
    assert sealed.path.stat().st_mode & 0o777 == 0o600
    assert sealed.leftovers() == {"opened.jpg"}


def test_a_file_that_is_not_the_one_named_is_refused_before_it_is_opened(sealed: Sealed) -> None:
    original = sealed.path.read_bytes()
    for bad in (flip(original, 800), original[:-1], original + b"\0", b""):
        sealed.path.write_bytes(bad)
        with pytest.raises(PartDigest):
            sealed.open(key=b"not even a key")
    assert sealed.leftovers() == set()


def test_a_missing_file_is_named(sealed: Sealed) -> None:
    sealed.path.unlink()
    with pytest.raises(PartMissing):
        sealed.open()


def test_a_file_of_another_context_or_key_leaves_nothing_behind(sealed: Sealed) -> None:
    with pytest.raises(DecryptFailed):
        sealed.open(ctx=replace(CTX, field="marks"))
    with pytest.raises(DecryptFailed):
        sealed.open(key=seed("another"))
    assert sealed.leftovers() == set()


def test_a_failed_opening_keeps_what_was_there(sealed: Sealed) -> None:
    sealed.target.write_bytes(b"older")
    with pytest.raises(DecryptFailed):
        sealed.open(key=seed("another"))
    assert sealed.target.read_bytes() == b"older"
    assert sealed.open() == len(sealed.value)
    assert sealed.target.read_bytes() == sealed.value


def test_a_sealed_file_never_replaces_another(sealed: Sealed) -> None:
    with pytest.raises(Conflict):
        seal_file(KEY, sealed.folder / "photo.jpg", sealed.folder, CTX)


# -- durable files ----------------------------------------


def test_a_full_disk_has_its_own_error_and_leaves_nothing(tmp_path: Path) -> None:
    def fill(number: int) -> None:
        with durable_file(tmp_path / "file", replace=True) as file:
            file.write(b"half")
            raise OSError(number, "no space")

    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(StorageFull):
            fill(number)
    assert list(tmp_path.iterdir()) == []


def test_another_disk_error_comes_through_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken") as caught, disk_errors():
        raise OSError(errno.EIO, "broken")
    assert not isinstance(caught.value, ExchangeError)
    with pytest.raises(FileNotFoundError), durable_file(tmp_path / "no" / "file", replace=True):
        pass


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"first")
    with pytest.raises(Conflict), durable_file(target, replace=False) as file:
        file.write(b"second")
    assert target.read_bytes() == b"first"
    with durable_file(target, replace=True) as file:
        file.write(b"third")
    assert target.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [target]


def _write_while_it_appears(target: Path) -> None:
    with durable_file(target, replace=False) as file:
        file.write(b"second")
        target.write_bytes(b"first")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_stick_without_links_works_and_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(_self: Path, _target: Path) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(durable.Path, "hardlink_to", no_links)
    target = tmp_path / "file"
    with durable_file(target, replace=False) as file:
        file.write(b"first")
    target.unlink()
    with pytest.raises(Conflict):
        _write_while_it_appears(target)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_appears_while_another_is_written_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(Conflict):
        _write_while_it_appears(target)
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_that_is_taken_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.symlink_to("nowhere")
    with pytest.raises(Conflict), durable_file(target, replace=False):
        pytest.fail("what takes an hour was begun")
    assert target.is_symlink()


def test_a_pipe_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    target = tmp_path / "pipe"
    os.mkfifo(target)
    with pytest.raises(Conflict, match="no plain file"), durable_file(target, replace=True) as file:
        file.write(b"first")
    assert target.is_fifo()
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Path, _target: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(durable.Path, "hardlink_to", broken)
    with pytest.raises(OSError, match="broken"), durable_file(tmp_path / "file", replace=False) as file:
        file.write(b"first")
    assert list(tmp_path.iterdir()) == []
