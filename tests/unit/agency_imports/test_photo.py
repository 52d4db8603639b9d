"""Photos: metadata never survives, and a hostile image is refused by a bounded child process."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from exchange.agency import photo
from exchange_schemas.errors import PhotoRefused


def jpeg_with_exif(folder: Path) -> Path:
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate by a quarter
    exif[0x010E] = "PLANTED-DESCRIPTION"
    path = folder / "in.jpg"
    image.save(path, exif=exif, comment=b"PLANTED-COMMENT")
    return path


def bomb(folder: Path) -> Path:
    """A PNG that declares 50,000 x 50,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    path = folder / "bomb.png"
    path.write_bytes(data)
    return path


def test_no_metadata_survives_and_the_picture_stands_upright(tmp_path: Path) -> None:
    result = photo.reencode(jpeg_with_exif(tmp_path))
    assert b"PLANTED" not in result.jpeg
    assert b"Exif" not in result.jpeg
    assert (result.width, result.height) == (40, 60)
    again = Image.open(io.BytesIO(result.jpeg))
    assert again.format == "JPEG"
    assert len(again.getexif()) == 0


def test_a_large_photo_is_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (4000, 1000)).save(path)
    result = photo.reencode(path)
    assert (result.width, result.height) == (2048, 512)


def test_an_image_that_declares_too_many_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused) as caught:
        photo.reencode(bomb(tmp_path))
    assert caught.value.rule == "photo-pixels"


@pytest.mark.parametrize("content", [b"", b"no image", b"GIF89a" + b"\0" * 40, b"%PDF-1.7\n", b"<svg/>"])
def test_other_formats_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(PhotoRefused) as caught:
        photo.reencode(path)
    assert caught.value.rule == "photo-format"


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    whole = jpeg_with_exif(tmp_path).read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PhotoRefused):
        photo.reencode(path)


def test_a_photo_of_30_mebibytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.truncate(30 * 1024 * 1024)
    with pytest.raises(PhotoRefused) as caught:
        photo.reencode(path)
    assert caught.value.rule == "photo-bytes"


def test_a_missing_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused) as caught:
        photo.reencode(tmp_path / "none.jpg")
    assert caught.value.rule == "photo-read"


def test_a_decoder_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "MAX_SECONDS", 0.001)
    with pytest.raises(PhotoRefused) as caught:
        photo.reencode(jpeg_with_exif(tmp_path))
    assert caught.value.rule == "photo-time"
