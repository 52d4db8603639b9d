"""Statements of the busiest requests: written in SQLAlchemy Core, compiled once, run on the driver's cursor.

SQLAlchemy prepares each execution anew, which takes several times as long as a small statement itself. A
`Statement` keeps what compiling gave, for each database, and hands the driver plain values. It runs inside
the connection's own transaction and must never commit or undo one. The drivers' errors pass through;
`db.storage_errors` knows them.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import Connection, Select, TextClause, TextualSelect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert, Update

Values = Mapping[str, Any]
# By name on both databases: the drivers look the values up themselves.
_STYLES: Final = {"sqlite": "named", "postgresql": "pyformat"}


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What compiling gave. `fixed`: the values that stand in the statement itself; `lists`: its INs.

    `texts`: for each lengths of the lists, the statement and the names of each list's values.
    """

    compiler: SQLCompiler
    text: str
    fixed: Values
    lists: tuple[str, ...]
    processes: tuple[Callable[[Any], Any] | None, ...] | None
    texts: dict[tuple[int, ...], tuple[str, Mapping[str, list[str]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A statement with its values, or run for each of `rows`, for `together`."""

    statement: "Statement"
    values: Values
    rows: Sequence[Values] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What a call gave: its rows, and how many rows it changed."""

    rows: list[Any]
    count: int


class Statement:
    """One statement with named parameters, shared by all threads.

    `fills`: the columns that an INSERT fills, each a parameter. The parameter of an IN takes a list of one
    value at least. Rows are tuples with the columns' names.
    """

    def __init__(
        self,
        core: Select[Any] | TextualSelect | TextClause | Insert | Update,
        *,
        fills: Sequence[str] | None = None,
    ) -> None:
        self._core = core
        self._fills = None if fills is None else list(fills)
        self._columns = tuple(core.selected_columns) if isinstance(core, Select | TextualSelect) else ()
        self._row = _row_type([f"{column.key}" for column in self._columns])
        self._compiled: dict[str, _Compiled] = {}

    def call(self, **values: Any) -> Call:
        """The statement with these values, for `together`."""
        return Call(self, values)

    def for_each(self, rows: Sequence[Values]) -> Call:
        """The statement run for each of these, at least one, for `together`."""
        return Call(self, {}, rows)

    def rows(self, conn: Connection, values: Values) -> list[Any]:
        """Every row."""
        known = self._for(conn.dialect)
        return self._fetch(self._execute(_driver(conn), known, values), known)

    def one(self, conn: Connection, values: Values) -> Any | None:
        """The first row; None when there is none."""
        known = self._for(conn.dialect)
        found = self._execute(_driver(conn), known, values).fetchone()
        return None if found is None else self._as_row(found, known)

    def only(self, conn: Connection, values: Values) -> Any:
        """The row that is always there. Raises: RuntimeError when it is not."""
        row = self.one(conn, values)
        if row is None:
            raise RuntimeError("a row that is always there is missing")
        return row

    def run(self, conn: Connection, values: Values) -> int:
        """Run it; the number of rows that it changed."""
        return cast("int", self._execute(_driver(conn), self._for(conn.dialect), values).rowcount)

    def start(self, driver: Any, dialect: Dialect, call: Call) -> Callable[[], Done]:
        """Send a call of it; what is given fetches the result once there is one. For `together`."""
        known = self._for(dialect)
        rows = call.rows
        if rows is not None and len(rows) != 1:
            each = self._execute_each(driver, known, rows)
            return lambda: Done([], each.rowcount)
        # A driver makes more of many rows than of one statement, also where they are one.
        cursor = self._execute(driver, known, call.values if rows is None else rows[0])
        return lambda: Done(self._fetch(cursor, known) if self._columns else [], cursor.rowcount)

    def _execute_each(self, driver: Any, known: _Compiled, rows: Sequence[Values]) -> Any:
        cursor = driver.cursor()
        cursor.executemany(known.text, [{**known.fixed, **row} for row in rows] if known.fixed else rows)
        return cursor

    def _execute(self, driver: Any, known: _Compiled, values: Values) -> Any:
        text = known.text
        if known.lists:
            text, values = self._expand(known, values)
        return driver.cursor().execute(text, {**known.fixed, **values} if known.fixed else values)

    def _expand(self, known: _Compiled, values: Values) -> tuple[str, Values]:
        """The text for these lists, and each value of a list under a name of its own."""
        plain = dict(values)
        for name in known.lists:
            plain[name] = _padded(plain[name])
        lengths = tuple(len(plain[name]) for name in known.lists)
        found = known.texts.get(lengths)
        if found is None:
            expanded = known.compiler.construct_expanded_state(plain)
            found = expanded.statement, expanded.parameter_expansion
            known.texts[lengths] = found
        for name, parameters in found[1].items():
            plain.update(zip(parameters, plain.pop(name), strict=True))
        return found[0], plain

    def _fetch(self, cursor: Any, known: _Compiled) -> list[Any]:
        return [self._as_row(row, known) for row in cursor.fetchall()]

    def _as_row(self, row: Sequence[Any], known: _Compiled) -> Any:
        if known.processes is None:
            return self._row(*row)
        pairs = zip(row, known.processes, strict=True)
        return self._row(*[value if process is None else process(value) for value, process in pairs])

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = self._compile(dialect)
        return known

    def _compile(self, dialect: Dialect) -> _Compiled:
        # Each dialect takes it, though their common base does not say so.
        kind: Any = type(dialect)
        named: Dialect = kind(paramstyle=_STYLES[dialect.name])
        compiler = self._core.compile(dialect=named, column_keys=self._fills)
        if not isinstance(compiler, SQLCompiler):
            raise TypeError("only a statement with parameters can be run")
        types = [column.type.dialect_impl(named) for column in self._columns]
        processes = tuple(one.result_processor(named, None) for one in types)
        lists = dict.fromkeys(bind.key for bind in compiler.binds.values() if bind.expanding)
        fixed = {
            name: bind.effective_value
            for bind, name in compiler.bind_names.items()
            if not (bind.required or bind.expanding)
        }
        changed = any(process is not None for process in processes)
        return _Compiled(compiler, compiler.string, fixed, tuple(lists), processes if changed else None)


def together(conn: Connection, *calls: Call) -> list[Done]:
    """Run several statements, none of which needs another's result: one round trip on PostgreSQL.

    They run in their order, each seeing what the ones before it did.
    """
    driver, dialect = _driver(conn), conn.dialect
    if dialect.name != "postgresql":
        return [call.statement.start(driver, dialect, call)() for call in calls]
    with driver.pipeline():
        results = [call.statement.start(driver, dialect, call) for call in calls]
    return [result() for result in results]


def _row_type(names: Sequence[str]) -> Any:
    return namedtuple("Row", names)


def _driver(conn: Connection) -> Any:
    if not conn.in_transaction():
        # As SQLAlchemy does; the driver alone would commit each statement by itself.
        conn.begin()
    return conn.connection.driver_connection


def _padded(values: Sequence[Any]) -> list[Any]:
    """The list made as long as the next power of two by its last value, so that there are few texts."""
    found = list(values)
    missing = (1 << (len(found) - 1).bit_length()) - len(found)
    return found + found[-1:] * missing
