"""Files that only their owner may read: bounded reads, atomic durable writes, a full disk said plainly.

It must never leave half a file under its final name, and never widen the permissions of what is there.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange_keys.durable import durable_file
from exchange_schemas.errors import ConfigInvalid, StorageFull

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the system's refusals about `what` into our errors; `what` names a file's job, not its content.

    Raises: StorageFull when the disk is full, ConfigInvalid for every other OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(what) from error
        raise ConfigInvalid(
            f"{what}: {error.strerror or 'the system refused'}",
            hint="check that the folder is there and that this account may use it",
        ) from error


def disk_full(what: str) -> StorageFull:
    """The one message for a full disk; nothing was changed."""
    return StorageFull(
        f"{what}: the disk of this machine is full, nothing was changed",
        hint="free some space, then run the same command again",
    )


def private_folder(path: Path) -> None:
    """Make a folder (and its parents) that only its owner may enter."""
    with disk_errors(f"folder {path.name}"):
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.chmod(PRIVATE_FOLDER)


def write_private(path: Path, data: bytes) -> None:
    """Write `data` under `path` so that after a crash the old or the new content is there, never a mixture.

    Raises: StorageFull, ConfigInvalid.
    """
    with disk_errors(f"file {path.name}"), durable_file(path, replace=True) as file:
        file.write(data)


def write_private_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """As `write_private`, in constant memory; an error of `pieces` leaves nothing behind and comes through.

    Raises: StorageFull, ConfigInvalid.
    """
    with disk_errors(f"file {path.name}"), durable_file(path, replace=True) as file:
        for piece in pieces:
            file.write(piece)


def read_bounded(path: Path, *, limit: int, what: str) -> bytes:
    """The whole file, at most `limit` bytes.

    Raises: ConfigInvalid when it is missing, unreadable or longer.
    """
    with disk_errors(what), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigInvalid(f"{what}: longer than {limit} bytes")
    return data
