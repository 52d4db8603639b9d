"""Answers that lie in the inbox unopened, so that no agency is called silent that has answered.

The listing tells kind, sender and thread of a message. What exactly it answers is known once it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property

from exchange.agency.model import InboxItem
from exchange_schemas.errors import Replay
from exchange_schemas.ids import AgencyId, ThreadId


class Unopened:
    """The messages that wait, listed at most once and only when somebody asks for one."""

    def __init__(self, waiting: Callable[[], Iterator[InboxItem]]) -> None:
        """`waiting` lists them, oldest first: `Receiver.inbox(waiting_only=True)`."""
        self._list = waiting
        self.alarms: list[str] = []
        """Sentences on what the listing itself showed."""

    def answer(
        self, sender: AgencyId, kinds: Collection[str], threads: Collection[ThreadId]
    ) -> InboxItem | None:
        """The oldest message that may be the sender's answer, or None. Raises: HubUnreachable."""
        return next(
            (
                item
                for item in self._waiting
                if item.sender == sender and item.kind in kinds and item.thread in threads
            ),
            None,
        )

    @cached_property
    def _waiting(self) -> list[InboxItem]:
        found: list[InboxItem] = []
        try:
            found.extend(self._list())
        except Replay as error:
            # Opening refuses it in the same words; what else `sync` does must not depend on it.
            self.alarms.append(f"the inbox: {error.message}: it may have been changed; tell the operator")
        return found


def unopened_words(item: InboxItem) -> str:
    """The sentence on an answer that somebody has to open."""
    return f"{item.sender}'s {item.kind} waits unopened: `exchange-agency open {item.gid}`"
