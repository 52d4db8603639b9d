"""Writing a file so that it is whole and on the disk, or not there at all.

Key files, sealed attachments and opened ones are written with this. A half-written file must never
appear under its final name, and nobody but its owner may read it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from exchange_schemas.errors import Conflict, StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def durable_file(target: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Open a new file (mode 0600, read and write) that becomes `target` when the block ends well.

    Written beside the target, synced, renamed, and the folder synced. With `replace` False an existing
    target is never touched, which is looked at before the block too: making what is written may take long.
    What is no plain file (a device, a pipe) is never replaced. After an error nothing is left behind.
    Raises: Conflict (it exists), StorageFull, OSError.
    """
    with disk_errors():
        _check_free(target, replace=replace)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(temporary, target, replace=replace)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    sync_folder(target.parent)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Name a full disk as what it is. Raises: StorageFull; any other OSError as it came."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("the disk is full", hint="free some space and try again") from None
        raise


def _check_free(target: Path, *, replace: bool) -> None:
    if not replace and os.path.lexists(target):
        raise _taken(target)
    if replace and target.exists() and not (target.is_file() or target.is_dir()):
        raise Conflict(f"{target.name} is no plain file, and is not written over")


def _taken(target: Path) -> Conflict:
    return Conflict(f"the file {target.name} exists already")


def _put_in_place(temporary: Path, target: Path, *, replace: bool) -> None:
    if replace:
        temporary.replace(target)
        return
    try:
        # A link fails when the name is taken, with no moment in between.
        target.hardlink_to(temporary)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _reserve(target)
        temporary.replace(target)


def _reserve(target: Path) -> None:
    """Take the name where there are no links (a FAT stick); a crash here leaves an empty file."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise _taken(target) from None


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk: what was made, renamed or removed in it stays so."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
