"""Turns at SQLite's write lock, among all threads and processes of this machine that write one database.

SQLite waits for another writer by sleeping longer and longer, up to a tenth of a second, while the lock comes
and goes unseen. Here writers take turns: each looks for the end of the one before it every fraction of a
millisecond, and nobody who has just written gets in ahead of one who waits. The lock itself stays SQLite's: a
gate that fails or is left out costs time and never lets two writers in. A process that dies leaves its turn.
"""

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Final

_POLL_S: Final = 0.0002
# Two single bytes of one file: the turn of whoever is next, and the lock of whoever writes.
_NEXT, _WRITER = 0, 1


class WriteGate:
    """One for each engine. `path`: a file beside the database, made when it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file = -1
        self._process = 0

    def acquire(self, timeout_s: float) -> bool:
        """Wait for the turn, at most this long; False when it did not come."""
        deadline = time.monotonic() + timeout_s
        if not self._threads.acquire(timeout=timeout_s):
            return False
        try:
            file = self._descriptor()
            if _take(file, _NEXT, deadline):
                taken = _take(file, _WRITER, deadline)
                _give(file, _NEXT)
                if taken:
                    return True
        except BaseException:
            self._threads.release()
            raise
        self._threads.release()
        return False

    def release(self) -> None:
        """Give the turn to whoever waits."""
        try:
            _give(self._file, _WRITER)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the file; a later `acquire` opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _descriptor(self) -> int:
        # A forked process starts without the locks and must not share the place in the file.
        if self._file < 0 or self._process != os.getpid():
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._process = os.getpid()
        return self._file


def _take(file: int, byte: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            return True
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= deadline:
                return False
        time.sleep(_POLL_S)


def _give(file: int, byte: int) -> None:
    fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
