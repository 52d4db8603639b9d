"""What is done behind the requests, again and again, by one process at a time.

The slices of the log, the heads over them, and the forgetting of old proofs. A hub that nobody uses writes
nothing: the turn is taken only when there is work. A failure of the database is waited out and never ends
the work; nothing here may make a request wait.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from exchange.hub.services.audit_disclosures import forget_old_proofs
from exchange.hub.services.slices import append_heads, has_work, index_some, take_lease
from exchange_schemas.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exchange.hub.services.hub import Hub

PAUSE_S: Final = 2.0
HEADS_S: Final = 60.0
FORGET_S: Final = 600.0
FORGET_STEPS: Final = 64


class Upkeep:
    """One process's share of the work; `holder` names it among those that may do it."""

    def __init__(self, hub: Hub, holder: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._holder = holder
        self._seconds = seconds
        self._heads_due = self._forget_due = seconds()

    def run(self, wait: Callable[[float], bool]) -> None:
        """Work until `wait(seconds)` says that it is time to stop."""
        while not wait(PAUSE_S):
            try:
                self.once(stopped=lambda: wait(0))
            except ServiceError as error:
                logging.getLogger(__name__).warning("the slices wait: %s", error.message)

    def once(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Bring the slices up to the log's present end, and write heads when a minute has passed.

        Gives how many entries it took; 0 also when it is another process's turn.
        Raises: Unavailable, AuditUnavailable.
        """
        now, taken = self._seconds(), 0
        heads, forget = now >= self._heads_due, now >= self._forget_due
        if not (forget or has_work(self._hub, heads=heads)):
            return 0
        while take_lease(self._hub, self._holder) and not stopped():
            some = index_some(self._hub)
            taken += some
            if some == 0:
                if heads and append_heads(self._hub) is not None:
                    self._heads_due = now + HEADS_S
                if forget:
                    self._forget(stopped)
                break
        return taken

    def _forget(self, stopped: Callable[[], bool]) -> None:
        """Some of the proofs that are too old; the rest at the next turn."""
        for _ in range(FORGET_STEPS):
            if stopped():
                return
            if forget_old_proofs(self._hub) == 0:
                self._forget_due = self._seconds() + FORGET_S
                return
