"""A process beside the workers for what no request waits for; it ends with the server that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from exchange.hub.db import open_engine
from exchange.hub.services.hub import Hub
from exchange.hub.services.upkeep import Upkeep

_STOP_S: Final = 5.0


@contextmanager
def upkeep_beside(hub: Hub) -> Iterator[None]:
    """Do the upkeep in a process of its own for as long as the block lasts.

    It is forked, so that it has the hub's unlocked keys; a server that is killed takes it along.
    """
    process = multiprocessing.get_context("fork").Process(
        target=_run, args=(hub, os.getpid()), name="homeward-upkeep", daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(_STOP_S)


def holder_name() -> str:
    """This process among all that may do the work."""
    return f"{os.uname().nodename}/{os.getpid()}"


def _run(hub: Hub, parent: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole group; the server ends this process when its own requests are done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait(seconds: float) -> bool:
        return stop.wait(seconds) or os.getppid() != parent

    own = replace(hub, engine=open_engine(hub.settings.database_url))
    Upkeep(own, holder_name()).run(wait)
