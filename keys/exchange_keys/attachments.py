"""Attachments: a part of up to 25 MiB, sealed and opened as a stream in constant memory.

Padded to the PADMÉ length with 0x80 and zeros. The digest of the whole ciphertext is proved before a byte
is decrypted, and the opened file gets its name only when everything about it was right. Nothing here may
hold a whole attachment in memory or leave a half-opened one behind.
Sources: C2SP chunked-encryption v1; protocol.md "Attachments".
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from cryptography.exceptions import InvalidTag

from exchange_keys.durable import durable_file
from exchange_keys.padding import MARK, padded_length, padme
from exchange_keys.parts import PartContext, decryptor, encryptor
from exchange_schemas.codec import b64u
from exchange_schemas.errors import DecryptFailed, Malformed, PartDigest, PartMissing, TooLarge
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS

BLOCK_BYTES = 64 * 1024
_ZEROS = bytes(BLOCK_BYTES)


class Source(Protocol):
    """What an attachment is sealed from, besides a file: `size` bytes, read from the start when opened."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def open(self) -> BinaryIO:
        """All of it, to be read and closed."""


class Sink(Protocol):
    """What an opened attachment is written to, piece by piece."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


@dataclass(frozen=True, slots=True)
class SealedStream:
    """What a sealed stream came to: ciphertext length in bytes, and its SHA-256."""

    length: int
    sha256: Digest


def seal_stream(key: bytes, src: BinaryIO, dst: BinaryIO, size: int, ctx: PartContext) -> SealedStream:
    """Seal exactly `size` bytes of `src` into `dst`; length and digest of the ciphertext come back.

    `key` is 32 bytes from `parts.new_part_key` and used only here.
    Raises: TooLarge (over 25 MiB), Malformed (`src` is shorter or longer than `size`).
    """
    if size > LIMITS.attachment_bytes:
        raise TooLarge(
            f"{ctx.field}: an attachment is at most {LIMITS.attachment_bytes} bytes", field=ctx.field
        )
    sealing, digest, length = encryptor(key, ctx), hashlib.sha256(), 0

    def put(ciphertext: bytes) -> None:
        nonlocal length
        dst.write(ciphertext)
        digest.update(ciphertext)
        length += len(ciphertext)

    left = size
    while left > 0:
        block = src.read(min(BLOCK_BYTES, left))
        if not block:
            raise Malformed(f"{ctx.field}: the file is shorter than it was", field=ctx.field)
        left -= len(block)
        put(sealing.update(block))
    if src.read(1):
        raise Malformed(f"{ctx.field}: the file is longer than it was", field=ctx.field)
    put(sealing.update(MARK))
    zeros = padded_length(size, None) - size - 1
    while zeros > 0:
        put(sealing.update(_ZEROS[:zeros]))
        zeros -= BLOCK_BYTES
    put(sealing.finalize())
    return SealedStream(length, Digest(b64u(digest.digest())))


def open_stream(key: bytes, src: BinaryIO, dst: Sink, ctx: PartContext) -> int:
    """Open all of `src` into `dst`, its padding held back; the plaintext's size comes back.

    Until this returns, what `dst` was given must be shown to nobody: a missing end is found only at the end.
    Raises: DecryptFailed.
    """
    opening, plain = decryptor(key, ctx), _Unpadding(dst)
    try:
        while block := src.read(BLOCK_BYTES):
            plain.take(opening.update(block))
        plain.take(opening.finalize())
    except InvalidTag:
        raise DecryptFailed(f"{ctx.field}: the part does not open", field=ctx.field) from None
    if not plain.is_padded():
        raise DecryptFailed(f"{ctx.field}: the part does not open", field=ctx.field)
    return plain.size


def seal_file(key: bytes, source: Path | Source, spool: Path, ctx: PartContext) -> tuple[Path, SealedStream]:
    """Seal `source` into a new file of the folder `spool`, synced and named by its part id.

    Raises: TooLarge, Malformed (the file changed meanwhile), StorageFull, OSError.
    """
    target = spool / f"{ctx.part_id}.part"
    with _opened(source) as src, durable_file(target, replace=False) as dst:
        size = os.fstat(src.fileno()).st_size if isinstance(source, Path) else source.size
        sealed = seal_stream(key, src, dst, size, ctx)
    return target, sealed


def open_file(
    key: bytes, source: Path, target: Path, ctx: PartContext, *, length: int, sha256: Digest
) -> int:
    """Open the ciphertext file `source` into `target`; the plaintext's size in bytes comes back.

    Steps: (1) length and digest of the whole ciphertext (2) decrypt beside the target (3) strip the padding
    (4) sync and rename. An existing target is replaced only by a whole one.
    Raises: PartMissing, PartDigest, DecryptFailed, StorageFull, OSError.
    """
    try:
        src = source.open("rb")
    except FileNotFoundError:
        raise PartMissing(f"{ctx.field}: the part is not there", field=ctx.field) from None
    with src:
        if os.fstat(src.fileno()).st_size != length or digest_of(src) != sha256:
            raise PartDigest(f"{ctx.field}: the part is not the one that the grant names", field=ctx.field)
        src.seek(0)
        with durable_file(target, replace=True) as dst:
            return open_stream(key, src, dst, ctx)


def digest_of(src: BinaryIO) -> Digest:
    """SHA-256 of what `src` still holds, b64u."""
    return Digest(b64u(hashlib.file_digest(cast("BufferedReader", src), "sha256").digest()))


def _opened(source: Path | Source) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else source.open()


class _Unpadding:
    """Hands on what is certainly content; holds back what may be the padding: the mark and zeros after it.

    The padding may be as long as it likes; only its length is held.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._marked, self._zeros = False, 0
        self._taken = 0
        self.size = 0

    def take(self, block: bytes) -> None:
        """The next padded bytes."""
        self._taken += len(block)
        body = block.rstrip(b"\0")
        if body:
            self._give_held()
            self._marked = body.endswith(MARK)
            self._give(body[:-1] if self._marked else body)
        self._zeros += len(block) - len(body)

    def is_padded(self) -> bool:
        """Whether what is held back is exactly the padding of what was handed on."""
        return self._marked and padme(self.size + 1) == self._taken

    def _give_held(self) -> None:
        if self._marked:
            self._give(MARK)
        while self._zeros > 0:
            zeros = _ZEROS[: self._zeros]
            self._give(zeros)
            self._zeros -= len(zeros)

    def _give(self, data: bytes) -> None:
        self._sink.write(data)
        self.size += len(data)
