"""The hub's listings, a page at a time: the inbox, the outbox, the consents, the notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exchange.member.transport import Transport
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import HubRefused

PAGE = 100
MAX_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """What one page lists; `next`: where to go on, also later, None where the listing says no place."""

    items: list[JsonValue]
    next: str | None
    more: bool


def pages(hub: Transport, path: str, cursor: str | None = None) -> Iterator[Page]:
    """Every page from a cursor on, the last one with `more` False.

    A listing ends where it says that there is no more, or no place to go on.
    Raises: HubRefused for an answer without items; HubUnreachable.
    """
    for _ in range(MAX_PAGES):
        params: dict[str, str | int] = {"limit": PAGE}
        if cursor is not None:
            params["cursor"] = cursor
        answer = hub.get(path, params)
        items, following = answer.get("items"), answer.get("next")
        if not isinstance(items, list):
            raise HubRefused("the hub's listing lacks its items", field="items")
        cursor = following if isinstance(following, str) else None
        more = cursor is not None and answer.get("more", True) is True
        yield Page(items, cursor, more)
        if not more:
            return
