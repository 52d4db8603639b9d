"""A photo made safe to seal: decoded by a bounded child process and written anew as plain JPEG.

EXIF, GPS, comments, thumbnails and colour profiles do not survive: only pixels do. The decoder never
runs inside the agency program, so that a crafted image can neither crash nor hang it.
"""

import hashlib
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exchange_schemas.errors import PhotoRefused

MAX_SOURCE_BYTES = 25 * 1024 * 1024
MAX_SECONDS = 20
MAX_PIXELS = 40_000_000
MAX_ANSWER_BYTES = MAX_SOURCE_BYTES
THUMBNAIL_SIDE = 256

NOT_AN_IMAGE, TOO_MANY_PIXELS, BROKEN_IMAGE = 10, 11, 12
ANSWER_REASONS = {
    NOT_AN_IMAGE: ("photo-format", "the file is no JPEG, PNG or WebP image"),
    TOO_MANY_PIXELS: ("photo-pixels", f"the photo has more than {MAX_PIXELS} pixels"),
    BROKEN_IMAGE: ("photo-decode", "the photo is damaged and cannot be decoded"),
}
_STOPPED = ("photo-decode", "the decoder stopped while reading the photo")
_HEADER = struct.Struct(">4sII")
_MAGIC = b"HXPH"
_HEADER_BYTES = _HEADER.size
_BLOCK_BYTES = 64 * 1024


def write_header(width: int, height: int) -> bytes:
    """The worker's answer begins with this: a magic word, width and height in pixels."""
    return _HEADER.pack(_MAGIC, width, height)


def read_header(answer: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from the worker's answer, None when it is not one."""
    if len(answer) <= _HEADER_BYTES:
        return None
    magic, width, height = _HEADER.unpack_from(answer)
    return (width, height) if magic == _MAGIC else None


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG without metadata: its bytes, its size in pixels, and SHA-256 of the bytes."""

    jpeg: bytes
    width: int
    height: int

    @property
    def sha256(self) -> bytes:
        """Digest of the JPEG bytes, 32 bytes."""
        return hashlib.sha256(self.jpeg).digest()


def reencode(path: Path) -> Photo:
    """The image at `path` as an upright JPEG without metadata, at most 2,048 pixels a side.

    Raises: PhotoRefused when the file is too large, is no JPEG, PNG or WebP image, has too many
    pixels, or takes too long.
    """
    try:
        size = path.stat().st_size
        if size > MAX_SOURCE_BYTES:
            raise PhotoRefused(
                f"the photo has {size} bytes; the limit is {MAX_SOURCE_BYTES}",
                field="photo",
                rule="photo-bytes",
                hint="save it smaller and try again",
            )
        with path.open("rb") as source:
            return _from_answer(_run_worker(iter(lambda: source.read(_BLOCK_BYTES), b"")))
    except OSError as error:
        raise PhotoRefused(
            f"the photo cannot be read: {error.strerror}", field="photo", rule="photo-read"
        ) from error


def thumbnail(jpeg: Iterable[bytes], side: int = THUMBNAIL_SIDE) -> Photo:
    """A small copy of a picture that came from elsewhere, at most `side` pixels wide and high.

    `jpeg` gives its bytes in pieces. The copy is made by the bounded child process too: what a partner sent
    is no safer than any other file.
    Raises: PhotoRefused.
    """
    return _from_answer(_run_worker(jpeg, str(side)))


def _run_worker(source: Iterable[bytes], *more: str) -> bytes:
    """What the decoder answers. Its answer is bounded: a decoder that was taken over cannot fill our memory.

    `source` is read here, in this thread, since a store may be read by its own thread only.
    """
    worker = subprocess.Popen(
        [sys.executable, "-I", "-m", "exchange.agency.photo_worker", *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    too_late = threading.Event()

    def give_up() -> None:
        too_late.set()
        worker.kill()

    timer = threading.Timer(MAX_SECONDS, give_up)
    timer.start()
    try:
        answer = _exchange(worker, source)
        worker.wait()
    finally:
        timer.cancel()
        worker.kill()
        worker.wait()
    if too_late.is_set():
        text = f"the photo took longer than {MAX_SECONDS} seconds to decode"
        raise PhotoRefused(text, field="photo", rule="photo-time")
    if worker.returncode != 0:
        rule, text = ANSWER_REASONS.get(worker.returncode, _STOPPED)
        raise PhotoRefused(text, field="photo", rule=rule)
    return answer


def _exchange(worker: subprocess.Popen[bytes], source: Iterable[bytes]) -> bytes:
    """Feed the worker all of its input, then read its answer. It answers nothing before it has all."""
    if worker.stdin is None or worker.stdout is None:
        raise TypeError("the worker has no pipes")
    with worker.stdout as out:
        with suppress(BrokenPipeError), worker.stdin as feed:
            for piece in source:
                feed.write(piece)
        answer = out.read(MAX_ANSWER_BYTES + 1)
        if len(answer) > MAX_ANSWER_BYTES:
            worker.kill()
            raise PhotoRefused("the decoder gave too much", field="photo", rule="photo-decode")
    return answer


def _from_answer(answer: bytes) -> Photo:
    header = read_header(answer)
    if header is None:
        raise PhotoRefused("the decoder gave no picture", field="photo", rule="photo-decode")
    width, height = header
    return Photo(jpeg=answer[_HEADER_BYTES:], width=width, height=height)
