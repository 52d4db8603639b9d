"""Since when this member's copy of the key directory holds events that no quorum of witnesses has cosigned.

A fresh cosignature on an old checkpoint vouches for the events before it alone. A hub that keeps its
witnesses at an old tree could have that one cosigned for ever, and show each member another continuation of
it. So every size of the copy is remembered with when it was first seen, until a quorum has cosigned a tree
that is as large.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import StoreCorrupt

_ROW: Final = "directory"
_NAME: Final = "unwitnessed"
_STEP: Final = timedelta(minutes=10)
"""Sizes first seen within this time wait together: the row stays small however fast the log grows."""


@dataclass(frozen=True, slots=True)
class Unwitnessed:
    """The sizes that wait, in one row of the store."""

    store: Store

    def note(self, size: int, witnessed: int, now: datetime) -> None:
        """The copy holds `size` events now, and a quorum has cosigned a tree of `witnessed`."""
        waiting = [(one, at) for one, at in self._waiting() if one > witnessed]
        if size > max([witnessed, *(one for one, _ in waiting)]):
            if waiting and timedelta(0) <= now - waiting[-1][1] < _STEP:
                waiting[-1] = (size, waiting[-1][1])
            else:
                waiting.append((size, now))
        rows: list[JsonValue] = [[one, format_time(at.replace(microsecond=0))] for one, at in waiting]
        self.store.put(_ROW, _NAME, {"sizes": rows})

    def since(self) -> datetime | None:
        """When the oldest of them was first seen; None when a quorum has cosigned everything."""
        waiting = self._waiting()
        return waiting[0][1] if waiting else None

    def _waiting(self) -> list[tuple[int, datetime]]:
        found = self.store.get(_ROW, _NAME)
        rows = [] if found is None else found["sizes"]
        return [_read(row) for row in rows] if isinstance(rows, list) else []


def _read(row: JsonValue) -> tuple[int, datetime]:
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], int):
        raise StoreCorrupt("the local store holds a size of the key directory that cannot be read")
    return row[0], parse_time(row[1], field="at")
