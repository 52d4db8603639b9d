"""Every round trip to the hub's database, through SQLAlchemy or on the driver's own cursor."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, event

from exchange.hub import pipeline, sql

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


class _NotingDriver:
    """A driver's connection with such cursors."""

    def __init__(self, driver: Any, seen: list[Statement]) -> None:
        self._driver = driver
        self._seen = seen

    def cursor(self) -> _Noting:
        return _Noting(self._driver.cursor(), self._seen)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[Statement]]:
    """The statements run meanwhile, with their parameters; an executemany is one, with its first row."""
    seen: list[Statement] = []
    driver_of, run = sql._driver, pipeline.run

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        seen.append((statement, parameters[0] if many else parameters))

    def noting(conn: Connection) -> Any:
        driver = driver_of(conn)
        return _NotingDriver(driver, seen) if conn.engine.pool is engine.pool else driver

    def running(driver: Any, info: Any, asked: Any) -> Any:
        if isinstance(driver, _NotingDriver):
            seen.extend(next(rows) for _, rows in groupby(asked, itemgetter(0)))
        return run(driver, info, asked)

    event.listen(engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(sql, "_driver", noting), mock.patch.object(pipeline, "run", running):
            yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
