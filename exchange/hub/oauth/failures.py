"""Counting those who could not prove who they are: one entry a minute, never one for each.

Else anybody could make the hub write to its disk for nothing. A counter that cannot be logged is kept for
the next time; it never turns a refusal into another answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.unit import Unit
from exchange_schemas.entry import Act
from exchange_schemas.errors import ServiceError

PERIOD_S: Final = 60.0
_OPERATOR: Final = "hub"


class FailureCounter:
    """Failed authentications since the last entry about them; one for each process."""

    def __init__(self, hub: Hub, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._seconds = seconds
        self._lock = threading.Lock()
        self._count = 0
        self._next = 0.0

    def add(self) -> None:
        """Count one; at most once a minute an entry says how many there were."""
        with self._lock:
            self._count += 1
            now = self._seconds()
            if now < self._next:
                return
            self._next = now + PERIOD_S
            count, self._count = self._count, 0
        trace = Trace(act=Act.REQUEST_COUNT, pol=f"unauthenticated:{count}")

        def work(_unit: Unit) -> Answer:
            return Answer({}, trace)

        try:
            release_admin(self._hub, _OPERATOR, trace, work)
        except ServiceError:
            with self._lock:
                self._count += count
