"""Fetching a sealed attachment, so that neither a broken line nor a killed program begins it again.

What has come lies in the spool folder, ciphertext alone, under the grant's and the part's id, and every piece
is written as it comes. The next attempt, in this run or a later one, asks for the rest (Range, with the
digest as the entity tag). The digest of the whole is proved before any of it is opened. Each attempt is a
request of its own: the hub decides again, and logs it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from exchange.member.files import PRIVATE_FILE, disk_errors
from exchange.member.transport import Transport
from exchange_keys.attachments import digest_of
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import HubUnreachable, PartDigest
from exchange_schemas.ids import GrantId

SUFFIX = ".fetch"
KEPT_FOR = timedelta(days=7)
PAUSES_SECONDS = (0.25, 1.0, 4.0)
"""Waited after cuts between which next to nothing came; then the command ends, and the next one goes on."""
WORTH_BYTES = 64 * 1024
OnBytes = Callable[[str, int, int], None]


@contextmanager
def begun(spool: Path, gid: GrantId, ref: PartRef) -> Iterator[BinaryIO]:
    """The file of one part with what has come of it; it stays after the block while bytes are missing.

    Where another command of this agency fetches the same part, a file of this block alone.
    """
    path = spool / f"{gid}.{ref.p}{SUFFIX}"
    with disk_errors("photo"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(handle, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with tempfile.TemporaryFile(dir=spool) as alone:
                yield alone
            return
        try:
            yield file
        finally:
            if _size(file) in (0, ref.len):
                path.unlink(missing_ok=True)


def fetch(hub: Transport, path: str, ref: PartRef, file: BinaryIO, on_bytes: OnBytes) -> None:
    """Bring the part at `path` into `file`, whole and proved.

    What an earlier run left is thrown away when the whole is not what the grant names: the machine may have
    lost power while it was written.
    Raises: PartDigest, HubUnreachable (what arrived is not lost), the hub's refusal.
    """
    had = _size(file)
    if had < ref.len:
        download(hub, path, file, tag=ref.sha256, limit=ref.len, on_bytes=on_bytes)
    if had > 0 and not _is_whole(file, ref):
        file.truncate(0)
        download(hub, path, file, tag=ref.sha256, limit=ref.len, on_bytes=on_bytes)
    _prove(file, ref)


def take(ciphertext: bytes, ref: PartRef, file: BinaryIO) -> None:
    """Put a part that came with its grant into `file`. Raises: PartDigest."""
    file.seek(0)
    file.truncate()
    file.write(ciphertext)
    _prove(file, ref)


def download(
    hub: Transport,
    path: str,
    file: BinaryIO,
    *,
    tag: str,
    limit: int,
    on_bytes: OnBytes = lambda what, done, total: None,
) -> None:
    """Append to `file` what it lacks of the bytes at `path`, going on after cuts.

    Raises: PartDigest over `limit` bytes, HubUnreachable, the hub's refusal.
    """
    pauses, mark = iter(PAUSES_SECONDS), _size(file)
    while True:
        try:
            return _attempt(hub, path, file, tag=tag, limit=limit, on_bytes=on_bytes)
        except HubUnreachable:
            if _size(file) - mark >= WORTH_BYTES:
                pauses = iter(PAUSES_SECONDS)
            pause, mark = next(pauses, None), _size(file)
            if pause is None:
                raise
            hub.wire.pause(pause)


def sweep(spool: Path, now: datetime, gid: GrantId | None = None) -> None:
    """Delete what nobody has gone on with for a week; with `gid` what is there of that grant."""
    for path in spool.glob(f"{'*' if gid is None else gid}.*{SUFFIX}"):
        try:
            if gid is not None or path.stat().st_mtime < (now - KEPT_FOR).timestamp():
                path.unlink()
        except FileNotFoundError:
            continue  # another command was faster


def _attempt(hub: Transport, path: str, file: BinaryIO, *, tag: str, limit: int, on_bytes: OnBytes) -> None:
    with hub.download(path, start=file.seek(0, os.SEEK_END), tag=tag) as coming:
        done = file.seek(coming.start)
        file.truncate()
        for piece in coming.pieces:
            done += len(piece)
            if done > limit:
                file.truncate(0)
                raise PartDigest("photo: the part is longer than it may be", field="photo")
            file.write(piece)
            file.flush()
            on_bytes("downloading", done, limit)


def _prove(file: BinaryIO, ref: PartRef) -> None:
    if not _is_whole(file, ref):
        file.truncate(0)
        raise PartDigest("photo: the part is not the one that the grant names", field="photo")


def _is_whole(file: BinaryIO, ref: PartRef) -> bool:
    if _size(file) != ref.len:
        return False
    file.seek(0)
    return digest_of(file) == ref.sha256


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
