"""The processes beside the workers: a keeper that only waits, and under it one process for each work.

The keeper is forked before the server starts any thread, with the keys that the parent unlocked. It starts a
work again that ended or was killed, and ends them all when the server is gone, however it went. The server
starts a keeper again that was killed: its works end with it. A work that finds that this hub may serve no
longer says so by its exit code; the keeper then ends the server.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Final, TypeAlias

END_THE_SERVER: Final = 3
"""The exit code of a work with proof that this hub may not serve."""
AGAIN_S: Final = 5.0
"""How long after its end a work is started again."""
_LOOK_S: Final = 0.25
_STOP_S: Final = 10.0
# Requests go first where both want the processor.
_NICE: Final = 5
_FORKED: Final = multiprocessing.get_context("fork")
_FRESH: Final = multiprocessing.get_context("spawn")

Wait: TypeAlias = Callable[[float], bool]
"""Sleeps for some seconds; True as soon as it is time to end."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one process does until its `Wait` says that it is time to end; `run` gives its exit code.

    `fresh`: in an interpreter of its own, which has none of the hub's keys; `run` must be a function that can
    be pickled.
    """

    name: str
    run: Callable[[Wait], int]
    fresh: bool = False


def start_beside(works: Sequence[Work]) -> Callable[[], None]:
    """Start them under a keeper; gives what ends them all."""
    guarded = _Guarded(works, _keeper_of(works))
    threading.Thread(target=guarded.watch, name="keeper's", daemon=True).start()
    return guarded.stop


def _keeper_of(works: Sequence[Work]) -> BaseProcess:
    keeper = _FORKED.Process(target=_keep, args=(works, os.getpid()), name="homeward-keeper")
    keeper.start()
    return keeper


@dataclass(slots=True)
class _Guarded:
    """The keeper, as the server sees it."""

    works: Sequence[Work]
    keeper: BaseProcess
    told: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        """Start it again when it was killed, until it is told to end or has ended the server."""
        while True:
            self.keeper.join()
            if self.keeper.exitcode == 0 or self.told.wait(AGAIN_S):
                return
            logging.getLogger(__name__).warning("the keeper beside the workers ended and is started again")
            with self.turn:
                if self.told.is_set():
                    return
                self.keeper = _keeper_of(self.works)

    def stop(self) -> None:
        """End it and what it keeps."""
        with self.turn:
            self.told.set()
        self.keeper.terminate()
        self.keeper.join(_STOP_S)
        self.keeper.kill()


@dataclass(slots=True)
class _Kept:
    work: Work
    process: BaseProcess | None = None
    due: float = 0.0


def _keep(works: Sequence[Work], server: int) -> None:
    """Have each of them run as long as the server lives."""
    wait = _told_to_end(server)
    os.nice(_NICE)
    kept = [_Kept(work) for work in works]
    while not wait(_LOOK_S):
        for one in kept:
            if _look(one) == END_THE_SERVER:
                logging.getLogger(__name__).error("the server stops: it may not serve any more")
                os.kill(server, signal.SIGTERM)
                _end(kept)
                return
    _end(kept)


def _look(one: _Kept) -> int | None:
    """Start what is not there and is due; the exit code of one that has just ended."""
    process = one.process
    if process is None:
        if time.monotonic() >= one.due:
            one.process = _started(one.work)
        return None
    code = process.exitcode
    if code is not None:
        one.process, one.due = None, time.monotonic() + AGAIN_S
        if code != END_THE_SERVER:
            said = "the %s beside the workers ended (%s) and is started again"
            logging.getLogger(__name__).warning(said, one.work.name, code)
    return code


def _started(work: Work) -> BaseProcess:
    made = (_FRESH if work.fresh else _FORKED).Process
    process = made(target=_run, args=(work.run, os.getpid()), name=f"homeward-{work.name}", daemon=True)
    process.start()
    return process


def _run(run: Callable[[Wait], int], keeper: int) -> None:
    sys.exit(run(_told_to_end(keeper)))


def _end(kept: Sequence[_Kept]) -> None:
    """End all, the patient way first."""
    running = [one.process for one in kept if one.process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + _STOP_S / 2
    for process in running:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()


def _told_to_end(parent: int) -> Wait:
    """Ended by SIGTERM or by the parent's end; an interrupt from the terminal is the server's to answer."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not stop.is_set() and os.getppid() == parent:
            left = until - time.monotonic()
            if left <= 0:
                return False
            stop.wait(min(_LOOK_S, left))
        return True

    return wait
