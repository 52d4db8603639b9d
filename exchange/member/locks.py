"""A lock between processes on one machine, so that two commands never change the same thing at once.

The lock belongs to the open file: it ends with the process, whatever happens. It must never be used
between machines; there the hub's compare-and-set decides.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange.member.files import PRIVATE_FILE, disk_errors
from exchange_schemas.errors import StoreLocked

WAIT_SECONDS = 30.0
_PAUSE_SECONDS = 0.05


@contextmanager
def hold(path: Path, *, what: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the exclusive lock of `path` (made when missing) for the block.

    Raises: StoreLocked when another process keeps it for longer than `wait_seconds`.
    """
    with disk_errors(f"lock for {what}"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        _acquire(handle, what, wait_seconds)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, what: str, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreLocked(
                    f"another command of this agency is busy with {what}",
                    hint="wait until it has finished, then try again",
                ) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return
