"""Uploads that have begun and are not whole yet: one file for each agency and digest, grown piece by piece.

States: nothing → begun (its first bytes are here) → whole (as many bytes as were announced; the caller then
proves the digest and takes them away) or given up. A piece counts only where the file ends, so that any piece
may come again; two hosts of one agency that send the same part help each other. Nobody else can see, complete
or spoil it, and nothing of it can be used by an envelope.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from exchange_keys.durable import disk_errors
from exchange_schemas.codec import unb64u
from exchange_schemas.ids import DIGEST_BYTES, AgencyId, Digest


@dataclass(frozen=True, slots=True)
class Added:
    """How many bytes were here before a piece, and how many are now."""

    before: int
    received: int


@dataclass(frozen=True, slots=True)
class Begun:
    """What an agency has begun, beside one digest: how many uploads, and their bytes."""

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files `agency/hex of the digest` under `root`, of which each ends with the last whole piece."""

    root: Path

    def add(self, agency: AgencyId, digest: Digest, offset: int, piece: bytes) -> Added:
        """Append the piece when it begins where the file ends; durable when this returns.

        A piece that begins elsewhere changes nothing. Raises: StorageFull; then nothing of it is kept.
        """
        path = self._path(agency, digest)
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(path) as file:
                before = file.seek(0, os.SEEK_END)
                if offset != before:
                    return Added(before, before)
                try:
                    file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
        return Added(before, before + len(piece))

    def cut(self, agency: AgencyId, digest: Digest, size: int) -> None:
        """Take back what was added beyond `size` bytes."""
        path = self._path(agency, digest)
        if size == 0:
            path.unlink(missing_ok=True)
        elif path.exists():
            with disk_errors(), _locked(path) as file:
                file.truncate(min(size, file.seek(0, os.SEEK_END)))

    def open(self, agency: AgencyId, digest: Digest) -> BinaryIO:
        """What is here so far, to be read and closed. Raises: FileNotFoundError."""
        return self._path(agency, digest).open("rb")

    def discard(self, agency: AgencyId, digest: Digest) -> None:
        """Forget one upload."""
        self.cut(agency, digest, 0)

    def begun(self, agency: AgencyId, besides: Digest) -> Begun:
        """What the agency has begun and not finished, `besides` not counted."""
        own = self._path(agency, besides)
        sizes = [path.stat().st_size for path in self.root.glob(f"{agency}/*") if path != own]
        return Begun(len(sizes), sum(sizes))

    def give_up(self, older_than: datetime) -> int:
        """Forget every agency's uploads that have not grown since then; how many."""
        gone = 0
        for path in self.root.glob("*/*"):
            try:
                if path.stat().st_mtime < older_than.timestamp():
                    path.unlink()
                    gone += 1
            except FileNotFoundError:
                continue  # another worker was faster
        return gone

    def _path(self, agency: AgencyId, digest: Digest) -> Path:
        return self.root / agency / unb64u(digest, field="sha256", length=DIGEST_BYTES).hex()


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file for one writer at a time, over all workers; nobody holds it while a line is slow."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
