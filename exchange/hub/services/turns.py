"""Whose turn it is at a work that one process among all may do: a lease in a table of one row.

A holder keeps its turn by taking it again; one that dies loses it when its seconds have passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, or_, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import storage_errors, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine, Table


class Turn:
    """The turn kept in `table`, in its columns `one`, `holder` and `until` (seconds since 1970).

    `first`: the row to begin with; None where a migration has made it.
    """

    def __init__(self, table: Table, *, first: Mapping[str, Any] | None) -> None:
        free = or_(table.c.holder == bindparam("me"), table.c.until < bindparam("now"))
        self._take = (
            update(table).where(table.c.one == 1, free).values(holder=bindparam("me"), until=bindparam("to"))
        )
        self._first = None if first is None else insert(table).values(dict(first)).on_conflict_do_nothing()

    def take(self, engine: Engine, holder: str, now: int, seconds: int) -> bool:
        """Take or keep the turn for some seconds; False while somebody else has it.

        Raises: Unavailable, AuditUnavailable.
        """
        with storage_errors(), writing(engine) as conn:
            if self._first is not None:
                conn.execute(self._first)
            return conn.execute(self._take, {"me": holder, "now": now, "to": now + seconds}).rowcount == 1
