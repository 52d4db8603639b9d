"""Large sealed parts: one small interface, and its implementation in a local folder.

A blob is named by its SHA-256 and never changes. What is there is whole: it was checked, synced and renamed
into place. The store knows nothing of agencies or consents; it must never be asked before they were.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from exchange_keys.durable import disk_errors, durable_file, sync_folder
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.errors import NotFound, PartDigest, TooLarge
from exchange_schemas.ids import DIGEST_BYTES, Digest

CHUNK: Final = 256 * 1024
_NAME: Final = re.compile(r"[0-9a-f]{64}")


class Readable(Protocol):
    """What a blob is read from: a request's body or a file."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; b"" at the end."""


class BlobStore(Protocol):
    """Where large sealed parts lie. Every method may be called by several workers at once."""

    def put(self, digest: Digest, source: Readable, *, limit: int) -> int:
        """Keep the bytes of `source` durably under their digest; the count of bytes.

        The source is read to its end and checked even when the blob is there already.
        Raises: TooLarge over `limit` bytes; PartDigest when the digest is another; StorageFull.
        """

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes, to be read and closed. Raises: NotFound."""

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there, whole."""

    def delete(self, digest: Digest) -> bool:
        """Take the blob away; False when it was not there."""

    def older_than(self, when: datetime) -> Iterator[Digest]:
        """The blobs that were put before `when`."""


@dataclass(frozen=True, slots=True)
class FolderBlobs:
    """Blobs as files `ab/abcdef…` (the digest in hex, which any file system keeps apart) under `root`."""

    root: Path

    def put(self, digest: Digest, source: Readable, *, limit: int) -> int:
        """As `BlobStore.put`; no half-written file is left behind on any error."""
        target = self._path(digest)
        if target.exists():
            return _copy(source, None, digest, limit)
        with disk_errors():
            self._make_shard(target.parent)
        with durable_file(target, replace=True) as out:
            return _copy(source, out, digest, limit)

    def open(self, digest: Digest) -> BinaryIO:
        """As `BlobStore.open`."""
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound("the part is not there") from None

    def has(self, digest: Digest) -> bool:
        """As `BlobStore.has`."""
        return self._path(digest).is_file()

    def delete(self, digest: Digest) -> bool:
        """As `BlobStore.delete`; durable when it returns."""
        path = self._path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_folder(path.parent)
        return True

    def older_than(self, when: datetime) -> Iterator[Digest]:
        """As `BlobStore.older_than`; what is no blob's name is left out."""
        for path in self.root.glob("??/*"):
            name = path.name
            if _NAME.fullmatch(name) is not None and path.stat().st_mtime < when.timestamp():
                yield Digest(b64u(bytes.fromhex(name)))

    def sweep(self, older_than: datetime) -> int:
        """Delete what killed uploads left behind before `older_than`; the count of files."""
        gone = 0
        for path in self.root.glob("??/.*"):
            if path.stat().st_mtime < older_than.timestamp():
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    def _make_shard(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(self.root)

    def _path(self, digest: Digest) -> Path:
        name = unb64u(digest, field="sha256", length=DIGEST_BYTES).hex()
        return self.root / name[:2] / name


def _copy(source: Readable, out: BinaryIO | None, digest: Digest, limit: int) -> int:
    expected = unb64u(digest, field="sha256", length=DIGEST_BYTES)
    count, state = 0, sha256()
    while chunk := source.read(CHUNK):
        count += len(chunk)
        if count > limit:
            raise TooLarge(f"the part is over {limit} bytes")
        state.update(chunk)
        if out is not None:
            out.write(chunk)
    if state.digest() != expected:
        raise PartDigest("the bytes do not have the digest they were sent under", field="sha256")
    return count
