"""What is counted instead of logged one by one: an entry a minute says how many there were.

Else anybody could make the hub write to its disk for nothing. A count that cannot be logged is kept for the
next time; it never turns a refusal into another answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from exchange.hub.services.operators import HUB
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange_schemas.entry import Act
from exchange_schemas.errors import ServiceError

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_schemas.ids import AgencyId

PERIOD_S: Final = 60.0
FAILED: Final = "unauthenticated"
LIMITED: Final = "limited"


class Counter:
    """Events of one kind since the last entry about them, for each agency or for nobody known.

    One for each process and kind.
    """

    def __init__(self, hub: Hub, kind: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._kind = kind
        self._seconds = seconds
        self._lock = threading.Lock()
        # By agency: how many, and when the next entry may be written. Only members stand here.
        self._counts: dict[AgencyId | None, tuple[int, float]] = {}

    def add(self, agency: AgencyId | None = None) -> None:
        """Count one; at most once a minute an entry says how many there were."""
        with self._lock:
            count, due = self._counts.get(agency, (0, 0.0))
            count += 1
            now = self._seconds()
            if now < due:
                self._counts[agency] = count, due
                return
            self._counts[agency] = 0, now + PERIOD_S
        own = () if agency is None else (agency,)
        trace = Trace(act=Act.REQUEST_COUNT, own=own, pol=f"{self._kind}:{count}")

        def work(_unit: Unit) -> Answer:
            return Answer({}, trace)

        try:
            release_admin(self._hub, HUB, trace, work)
        except ServiceError:
            with self._lock:
                newer, due = self._counts[agency]
                self._counts[agency] = newer + count, due
