"""Threads that want the same thing done: whoever comes first does it for all that wait.

A transaction costs its commit, its turn at the write lock and its place in the log's order, whether it
carries one answer or eight. Nobody is made to wait for others to come: what is there is taken.
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


class Combiner:
    """For one process and one kind of work; threads share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._busy = False

    def run(self, item: Any, do: Callable[[Sequence[Any]], None]) -> None:
        """Return when `do` was called, here or in another thread, with a list that holds `item`.

        Every caller must give the same `do`. What it raises, every caller of that list gets.
        """
        ticket = _Ticket(item)
        with self._changed:
            self._waiting.append(ticket)
        while not ticket.done:
            batch = self._take(ticket)
            if batch:
                self._do(batch, do)
        if ticket.failure is not None:
            raise ticket.failure

    def _take(self, ticket: _Ticket) -> list[_Ticket]:
        """The oldest tickets, once nobody is at work; none when this one is done by then."""
        with self._changed:
            self._changed.wait_for(lambda: ticket.done or not self._busy)
            if ticket.done:
                return []
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._busy = True
            return batch

    def _do(self, batch: list[_Ticket], do: Callable[[Sequence[Any]], None]) -> None:
        failure: BaseException | None = None
        try:
            do([one.item for one in batch])
        except BaseException as error:  # noqa: BLE001  # passed on, to every thread that waits for it
            failure = error
        with self._changed:
            for one in batch:
                one.done, one.failure = True, failure
            self._busy = False
            self._changed.notify_all()
