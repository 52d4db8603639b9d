"""Every round trip to the hub's database, through SQLAlchemy or on the driver's own cursor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, event

from exchange.hub import sql

Statement = tuple[str, Any]


class _Noting:
    """A driver's cursor that notes what it is asked, and asks it."""

    def __init__(self, cursor: Any, seen: list[Statement]) -> None:
        self._cursor = cursor
        self._seen = seen

    def execute(self, text: str, values: Any = ()) -> Any:
        self._seen.append((text, values))
        return self._cursor.execute(text, values)

    def executemany(self, text: str, rows: Any) -> Any:
        self._seen.append((text, rows[0]))
        return self._cursor.executemany(text, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[Statement]]:
    """The statements run meanwhile, with their parameters; an executemany is one, with its first row."""
    seen: list[Statement] = []
    cursor_of = sql._cursor

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        seen.append((statement, parameters[0] if many else parameters))

    def noting(conn: Connection) -> Any:
        cursor = cursor_of(conn)
        return _Noting(cursor, seen) if conn.engine.pool is engine.pool else cursor

    event.listen(engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(sql, "_cursor", noting):
            yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
