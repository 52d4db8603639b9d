"""Forked processes that are told to end before they can say themselves what they do then.

A forked process begins with its parent's signal handlers: they would note the wish in its own copy of the
parent's state, where nobody looks, and whoever waits for its end would wait in vain until it is killed.
"""

import os
import signal
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def end_forked_at_once() -> None:
    """From now on a process that this one forks ends at once when it is told to, until it sets handlers.

    For good: it is for a program that does nothing else. What is sent while it forks is not lost.
    """
    os.register_at_fork(before=_hold, after_in_parent=_take, after_in_child=_begin)


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _take() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _begin() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    _take()
