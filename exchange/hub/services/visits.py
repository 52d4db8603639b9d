"""Asking several witnesses at the same time, each in a thread that nobody has to wait for.

A witness that answers one byte a minute keeps its own thread and nothing else: what has come when the time is
over is used, and it is not visited again while a visit to it lasts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from exchange.net.wire import Patience, Wire
from exchange.net.witnesses import WitnessClient

T = TypeVar("T")
PATIENCE = Patience(connect=3, read=5)
THREAD = "visit-to-a-witness"
"""The name of the threads that may outlast an `ask`."""


@dataclass(slots=True)
class Visits:
    """The visits under way, by witness.

    `seconds`: how long `ask` waits for answers. `ending`: how long, in seconds, it first lets each visit end
    that is still under way.
    """

    seconds: float = 12.0
    ending: float = 0.05
    _threads: dict[str, threading.Thread] = field(default_factory=dict)

    def ask(self, work: Mapping[str, Callable[[Callable[[T], None]], None]], count: int) -> list[T]:
        """Start each piece of work, and give what they put, `count` things or as many as come in time."""
        queue: SimpleQueue[T] = SimpleQueue()
        for name, visit in work.items():
            busy = self._threads.get(name)
            if busy is not None:
                # One that has put all that it had is about to end.
                busy.join(self.ending)
            if busy is None or not busy.is_alive():
                thread = threading.Thread(target=visit, args=(queue.put,), name=THREAD, daemon=True)
                self._threads[name] = thread
                thread.start()
        return list(_until(queue, count, time.monotonic() + self.seconds))


def _until(queue: SimpleQueue[T], count: int, deadline: float) -> Iterator[T]:
    for _ in range(count):
        try:
            yield queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return


def client_for(url: str) -> WitnessClient:
    """A client that waits some seconds and never asks twice; its wire is the caller's to close."""
    return WitnessClient(url, Wire(patience=PATIENCE, sleep=lambda _seconds: None))
