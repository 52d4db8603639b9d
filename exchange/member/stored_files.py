"""Files in the local store that may be too long for the memory: kept in pieces, each sealed by itself.

A head says how long the whole is and what its digest is; it is written last. Reading proves both at the end,
so that a piece that was lost, doubled or left from another time is an error and never a picture.
Nothing here may hold a whole file, or write a piece of it outside the store.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from exchange.member.files import write_private_pieces
from exchange.member.store import Store
from exchange_schemas.codec import Encodable
from exchange_schemas.errors import StoreCorrupt

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: `size` in bytes, `sha256` in hexadecimal. It is read from the store each time anew."""

    size: int
    sha256: str
    _store: Store
    _collection: str
    _ident: str

    def pieces(self) -> Iterator[bytes]:
        """All of it in order. Raises: StoreCorrupt, at the latest when the last piece was given."""
        digest, left, number = hashlib.sha256(), self.size, 0
        while left > 0:
            piece = self._store.get_bytes(_pieces_of(self._collection), f"{self._ident}/{number}")
            if not piece or len(piece) > left:
                raise StoreCorrupt("a file in the local store has lost a piece")
            digest.update(piece)
            left, number = left - len(piece), number + 1
            yield piece
        if digest.hexdigest() != self.sha256:
            raise StoreCorrupt("a file in the local store is not the one that was kept")

    def open(self) -> BinaryIO:
        """All of it as a stream, to be read and closed."""
        return cast("BinaryIO", io.BufferedReader(_Reader(self.pieces()), PIECE_BYTES))

    def read(self) -> bytes:
        """All of it in memory. Raises: StoreCorrupt."""
        return b"".join(self.pieces())

    def save(self, path: Path) -> None:
        """Write it to a file that only its owner may read; whole or not at all.

        Raises: StoreCorrupt, StorageFull, ConfigInvalid.
        """
        write_private_pieces(path, self.pieces())


class Writer:
    """Writes one file into the store; within `store.writing()`, so that an error takes all of it back."""

    def __init__(self, store: Store, collection: str, ident: str) -> None:
        """An older file under that id goes."""
        delete(store, collection, ident)
        self._store, self._collection, self._ident = store, collection, ident
        self._held, self._digest = bytearray(), hashlib.sha256()
        self._size, self._number = 0, 0

    def write(self, data: bytes, /) -> None:
        """Take the next bytes."""
        self._held += data
        while len(self._held) >= PIECE_BYTES:
            self._put(PIECE_BYTES)

    def finish(self) -> StoredFile:
        """Keep what is left, and the head."""
        if self._held:
            self._put(len(self._held))
        sha256 = self._digest.hexdigest()
        head: dict[str, Encodable] = {"size": self._size, "sha256": sha256, "pieces": self._number}
        self._store.put(self._collection, self._ident, head)
        return StoredFile(self._size, sha256, self._store, self._collection, self._ident)

    def _put(self, size: int) -> None:
        piece = bytes(self._held[:size])
        del self._held[:size]
        self._store.put_bytes(_pieces_of(self._collection), f"{self._ident}/{self._number}", piece)
        self._digest.update(piece)
        self._size, self._number = self._size + size, self._number + 1


def keep(store: Store, collection: str, ident: str, data: bytes) -> StoredFile:
    """Keep bytes that are in memory anyway."""
    with store.writing():
        writer = Writer(store, collection, ident)
        writer.write(data)
        return writer.finish()


def find(store: Store, collection: str, ident: str) -> StoredFile | None:
    """The file under an id, or None. Raises: StoreCorrupt."""
    head = store.get(collection, ident)
    if head is None:
        return None
    size, sha256 = head.get("size"), head.get("sha256")
    if not isinstance(size, int) or not isinstance(sha256, str):
        raise StoreCorrupt("a file in the local store cannot be read")
    return StoredFile(size, sha256, store, collection, ident)


def delete(store: Store, collection: str, ident: str) -> None:
    """Forget a file; the pages it lay on are overwritten."""
    with store.writing():
        head = store.get(collection, ident)
        if head is None:
            return
        count = head.get("pieces")
        if not isinstance(count, int):
            raise StoreCorrupt("a file in the local store cannot be read")
        for number in range(count):
            store.delete(_pieces_of(collection), f"{ident}/{number}")
        store.delete(collection, ident)


def _pieces_of(collection: str) -> str:
    return f"{collection}_piece"


class _Reader(io.RawIOBase):
    """Pieces as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._held = pieces, memoryview(b"")

    def readable(self) -> bool:
        """It can be read, and nothing else."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """The next bytes; 0 at the end."""
        if not self._held:
            self._held = memoryview(next(self._pieces, b""))
        target = memoryview(buffer)
        count = min(len(target), len(self._held))
        target[:count] = self._held[:count]
        self._held = self._held[count:]
        return count
