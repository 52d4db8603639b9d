"""Pictures made to crash, hang or fill the machine: the program says no and goes on."""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from exchange.agency import photo, photo_worker
from exchange.agency.photo import MAX_PIXELS, reencode
from exchange_schemas.errors import PhotoRefused


def png(width: int, height: int, pixels: bytes, *, more: bytes = b"") -> bytes:
    """A PNG whose header says one size, whatever its data are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk_of_text(length: int) -> bytes:
    """A compressed text chunk that grows to `length` bytes."""
    data = b"k\x00\x00" + zlib.compress(b"A" * length, 9)
    return struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))


def jpeg_of(width: int, height: int) -> bytes:
    """A whole JPEG whose frame header is changed to another size."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp() -> bytes:
    """A small WebP."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "WEBP")
    return out.getvalue()


HOSTILE = {
    "a bomb: 64 KiB that say 30,000 by 30,000": (png(30_000, 30_000, bytes(10**6)), "photo-pixels"),
    "one row more than may be": (png(MAX_PIXELS, 2, bytes(1000)), "photo-pixels"),
    "the greatest size a header can hold": (png(2**31 - 1, 2**31 - 1, b""), None),
    "less data than the header says": (png(4000, 4000, bytes(100)), "photo-decode"),
    "text that grows to 200 MB": (png(2, 2, bytes(14), more=chunk_of_text(200_000_000)), "photo-decode"),
    "a JPEG that says 65,535 by 65,535": (jpeg_of(65_535, 65_535), "photo-pixels"),
    "a JPEG that ends in its header": (jpeg_of(16, 16)[:30], None),
    "a WebP cut short": (webp()[:-20], None),
    "a WebP whose length lies": (webp()[:4] + b"\xff\xff\xff\x7f" + webp()[8:], None),
    "another format behind the right first bytes": (b"\xff\xd8\xff" + os.urandom(1000), None),
    "a format that is not taken": (b"GIF89a" + bytes(100), "photo-format"),
    "nothing": (b"", "photo-format"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_is_refused_by_its_rule(name: str, tmp_path: Path) -> None:
    data, rule = HOSTILE[name]
    path = tmp_path / "photo"
    path.write_bytes(data)
    with pytest.raises(PhotoRefused) as caught:
        reencode(path)
    assert rule in (None, caught.value.rule)


@pytest.mark.parametrize(
    "work",
    [
        f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})",
        f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})",
        "import sys; sys.stdout.write('HXPH')",
        "import sys; sys.exit(99)",
        "x = bytearray(10**13)",
    ],
    ids=["killed", "crashed", "half an answer", "an unknown code", "out of memory"],
)
def test_a_decoder_that_dies_is_a_refusal_and_nothing_else(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(webp())
    script = tmp_path / "decoder"
    script.write_text(f"#!{sys.executable}\n{work}\n")
    script.chmod(0o700)
    monkeypatch.setattr(photo.sys, "executable", str(script))
    with pytest.raises(PhotoRefused):
        reencode(path)


def test_the_decoders_own_limits_hold(tmp_path: Path) -> None:
    """What the parent allows is more than a picture needs and less than would hurt the machine."""
    assert photo_worker.CPU_SECONDS < photo.MAX_SECONDS
    assert photo_worker.MEMORY_BYTES <= 2 * 1024**3
    path = tmp_path / "photo"
    Image.new("RGB", (6000, 6000), "blue").save(path, "PNG")
    made = reencode(path)
    assert max(made.width, made.height) <= photo_worker.MAX_SIDE


def test_a_thumbnail_of_what_a_partner_sent_is_small_clean_and_made_outside(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (1200, 800), "green").save(out, "JPEG", comment=b"PLANTED-COMMENT")
    small = photo.thumbnail([out.getvalue()])
    assert (small.width, small.height) == (256, 171)
    assert b"PLANTED" not in small.jpeg
    for data, _ in HOSTILE.values():
        with pytest.raises(PhotoRefused):
            photo.thumbnail([data])


def zipped() -> bytes:
    """A small ZIP archive, which readers find from the end of a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("PLANTED.exe", b"MZ" + bytes(100))
    return out.getvalue()


def jpeg(*, comment: bytes = b"") -> bytes:
    """A small, honest JPEG."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(out, "JPEG", comment=comment)
    return out.getvalue()


POLYGLOTS = {
    "a picture and an archive": jpeg() + zipped(),
    "a picture and a page": jpeg(comment=b"<script>PLANTED()</script>") + b"<html>PLANTED</html>",
    "a picture and a program": jpeg() + b"\n<?php PLANTED(); ?>",
    "a PNG and a PDF": png(8, 8, bytes(8 * 25)) + b"%PDF-1.7 PLANTED",
    "two pictures": jpeg() + jpeg(comment=b"PLANTED"),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_of_a_file_that_is_two_things_only_the_picture_is_left(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(POLYGLOTS[name])
    for made in (reencode(path), photo.thumbnail([POLYGLOTS[name]])):
        assert b"PLANTED" not in made.jpeg
        assert not zipfile.is_zipfile(io.BytesIO(made.jpeg))
        assert made.jpeg.endswith(b"\xff\xd9")


@pytest.mark.parametrize(
    ("work", "rule"),
    [
        ("import sys; sys.stdout.buffer.write(bytes(27 * 1024 * 1024))", "photo-decode"),
        ("import time; time.sleep(60)", "photo-time"),
        ("import sys, time; sys.stdin.buffer.read(); time.sleep(60)", "photo-time"),
        ("while True: print('x' * 65536)", "photo-decode"),
    ],
    ids=["an answer that is too long", "never reads", "never answers", "answers for ever"],
)
def test_a_decoder_that_was_taken_over_neither_fills_the_memory_nor_hangs(
    work: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "decoder"
    script.write_text(f"#!{sys.executable}\n{work}\n")
    script.chmod(0o700)
    monkeypatch.setattr(photo.sys, "executable", str(script))
    monkeypatch.setattr(photo, "MAX_SECONDS", 1)
    with pytest.raises(PhotoRefused) as caught:
        photo.thumbnail([bytes(1024 * 1024)])
    assert caught.value.rule in (rule, "photo-time")
