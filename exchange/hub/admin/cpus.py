"""One processor for each worker, whose threads take turns at the interpreter: never two of them run at once.

Spread over several processors each turn wakes another one, with cold caches: a quarter of all throughput. A
place is a byte of a file that the server opened and nobody else knows. The lock on it is gone with the worker
that held it, however it ended, and the next one takes it.
"""

import fcntl
import os
import tempfile
from typing import Final

_MOST: Final = 256


class Places:
    """Made by the server before it forks; each worker takes one for itself."""

    def __init__(self) -> None:
        # Open as long as the server or one of its workers lives.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        # Of several servers on one machine not all begin with the first.
        self._first = os.getpid()

    def take(self) -> int | None:
        """Bind the calling thread, and all that it starts, to one of its processors; gives it.

        None where there is nothing to choose: one processor, or a system that binds nobody.
        """
        if not hasattr(os, "sched_setaffinity"):
            return None
        processors = sorted(os.sched_getaffinity(0))
        if len(processors) == 1:
            return None
        processor = processors[(self._first + self._free()) % len(processors)]
        os.sched_setaffinity(0, {processor})
        return processor

    def close(self) -> None:
        """Close the file here; places that others have taken stay theirs."""
        self._file.close()

    def _free(self) -> int:
        for place in range(_MOST):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except (BlockingIOError, PermissionError):
                continue
            return place
        return 0
