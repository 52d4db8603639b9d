"""Threads that want the same thing done: whoever comes first does it for all that wait.

A transaction costs its commit, its turn at the write lock and its place in the log's order, whether it
carries one answer or eight. Nobody is made to wait for others to come: what is there when the turn at the
lock has come is taken.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST: Final = 16
"""How many are taken at once: the longest of them is what the others wait for."""


@dataclass(slots=True, eq=False)
class _Ticket:
    item: Any
    done: bool = False
    failure: BaseException | None = None


Claim = Callable[[], Sequence[Any]]
"""Takes what waits by now, the oldest first and never more than allowed; to be called once."""


class Combiner:
    """For one process and one kind of work; threads share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._busy = False

    def run(self, item: Any, do: Callable[[Claim], None]) -> None:
        """Return when `do`, called here or in another thread, has claimed `item` and returned.

        `do` claims once, when it has what it needs: whatever came while it waited is taken as well. Every
        caller must give the same `do`. What it raises, every caller of what it claimed gets; before it has
        claimed, every caller that waits.
        """
        ticket = _Ticket(item)
        with self._changed:
            self._waiting.append(ticket)
        while self._leads(ticket):
            self._do(do)
        if ticket.failure is not None:
            raise ticket.failure

    def _leads(self, ticket: _Ticket) -> bool:
        """Whether the ticket's thread is to work, once nobody does; not when its item is done by then."""
        with self._changed:
            self._changed.wait_for(lambda: ticket.done or not self._busy)
            if not ticket.done:
                self._busy = True
            return not ticket.done

    def _do(self, do: Callable[[Claim], None]) -> None:
        batch: list[_Ticket] = []
        failure: BaseException | None = None

        def claim() -> Sequence[Any]:
            with self._changed:
                batch.extend(self._waiting[: self._most])
                del self._waiting[: self._most]
            return [one.item for one in batch]

        try:
            do(claim)
        except BaseException as error:  # noqa: BLE001  # passed on, to every thread that waits for it
            failure = error
        with self._changed:
            if not batch:
                claim()
            for one in batch:
                one.done, one.failure = True, failure
            self._busy = False
            self._changed.notify_all()
