"""What lies in a bundle: frames, each a strict JSON head and a body, read one by one in constant memory.

A frame: length of the head (4 bytes) ‖ head ‖ length of the body (8 bytes) ‖ body. Kinds:
  want    where the office stands: what it has of the directory and the inbox, whose receipts it waits for
  call    a request of the office: method, path, content type; its body as it is to be sent
  answer  the hub's answer to a call, or to a question that was asked for the office
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exchange_schemas.codec import Encodable, JsonValue, decode, encode
from exchange_schemas.errors import BundleBroken, Malformed

WANT, CALL, ANSWER = "want", "call", "answer"
HEAD_BYTES = 512 * 1024
BODY_BYTES = 64 * 1024**2
_HEAD = struct.Struct(">I")
_BODY = struct.Struct(">Q")
_CHUNK = 64 * 1024
_SHORT = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; a body over 4 MiB is a file in the folder that the reader was given."""

    what: str
    head: Mapping[str, JsonValue]
    body: bytes | Path

    def text(self, name: str) -> str:
        """A text member of the head. Raises: Malformed."""
        value = self.head.get(name)
        if not isinstance(value, str):
            raise Malformed(f"{name}: a text is needed", field=name)
        return value

    def number(self, name: str) -> int:
        """A whole number of the head. Raises: Malformed."""
        value = self.head.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Malformed(f"{name}: a number is needed", field=name)
        return value


def write_frame(file: BinaryIO, what: str, head: Mapping[str, Encodable], body: bytes | Path = b"") -> None:
    """Append a frame."""
    encoded = encode({"what": what, **head}, limit=HEAD_BYTES)
    file.write(_HEAD.pack(len(encoded)) + encoded)
    if isinstance(body, bytes):
        file.write(_BODY.pack(len(body)) + body)
        return
    file.write(_BODY.pack(body.stat().st_size))
    with body.open("rb") as source:
        while chunk := source.read(_CHUNK):
            file.write(chunk)


def read_frames(file: BinaryIO, folder: Path) -> Iterator[Frame]:
    """All frames; files that are made in `folder` belong to the caller. Raises: BundleBroken, Malformed."""
    number = 0
    while begun := file.read(_HEAD.size):
        (length,) = _HEAD.unpack(_whole(begun, _HEAD.size))
        if length > HEAD_BYTES:
            raise Malformed("bundle: a frame's head is too long")
        head = decode(_whole(file.read(length), length), limit=HEAD_BYTES)
        (size,) = _BODY.unpack(_whole(file.read(_BODY.size), _BODY.size))
        if size > BODY_BYTES:
            raise Malformed("bundle: a frame's body is too long")
        what = head.get("what")
        if what not in (WANT, CALL, ANSWER):
            raise Malformed("what: no such frame", field="what")
        number += 1
        yield Frame(str(what), head, _body(file, size, folder / f"{number}.frame"))


def _body(file: BinaryIO, size: int, path: Path) -> bytes | Path:
    if size <= _SHORT:
        return _whole(file.read(size), size)
    with path.open("wb") as target:
        left = size
        while left > 0:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise BundleBroken("the bundle ends in the middle of a frame")
            left -= len(chunk)
            target.write(chunk)
    return path


def _whole(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise BundleBroken("the bundle ends in the middle of a frame")
    return data
