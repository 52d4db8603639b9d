"""The token keys as their file has them now: a running worker takes up a rotation without a restart.

The file is looked at once a second at most, and read only when it was replaced. A file that cannot be read
changes nothing: the worker goes on with the keys it has, and the operator who rotated has seen the error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from exchange_schemas.errors import ExchangeError

EVERY_S: Final = 1.0
"""How old what a worker knows of the file may be."""
Keys = TypeVar("Keys")
_Mark = tuple[int, int, int]


class Watched(Generic[Keys]):
    """What `read` makes of a file, read anew when the file is another one; one for each process.

    The value is the very same object until then, so that who keeps something by it can compare by identity.
    """

    def __init__(
        self, path: Path, read: Callable[[], Keys], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads at once. Raises: what `read` raises."""
        self._path = path
        self._read = read
        self._seconds = seconds
        self._lock = threading.Lock()
        # Before the reading: a file that is replaced meanwhile is read again.
        self._mark = _mark(path)
        self._value = read()
        self._next = seconds() + EVERY_S

    def __call__(self) -> Keys:
        """The value now."""
        if self._seconds() >= self._next:
            # Whoever finds another thread looking waits for what it sees: a stolen key has no grace.
            with self._lock:
                if self._seconds() >= self._next:
                    self._look()
        return self._value

    def _look(self) -> None:
        try:
            mark = _mark(self._path)
            if mark != self._mark:
                self._value, self._mark = self._read(), mark
        except (ExchangeError, OSError) as error:
            kind = type(error).__name__
            logging.getLogger(__name__).warning("%s cannot be read (%s)", self._path.name, kind)
        # Last, so that nobody passes by while the file is being read.
        self._next = self._seconds() + EVERY_S


def _mark(path: Path) -> _Mark | None:
    """What tells one file from the one that replaces it; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
