"""Statements of the busiest requests: written in SQLAlchemy Core, compiled once, run on the driver itself.

SQLAlchemy prepares each execution anew, which takes several times as long as a small statement itself. A
`Statement` keeps what compiling gave, for each database, and hands the driver plain values: SQLite's cursor,
libpq's pipeline on PostgreSQL. It runs inside the connection's own transaction and must never commit or undo
one. The drivers' errors pass through; `db.storage_errors` knows them.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import Connection, Select, TextClause, TextualSelect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert, Update

from exchange.hub import pipeline
from exchange.hub.pipeline import Asked, Outcome

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
        (done,) = together(conn, Call(self, values))
        return done.rows

    def one(self, conn: Connection, values: Values) -> Any | None:
        """The first row; None when there is none."""
        rows = self.rows(conn, values)
        return rows[0] if rows else None

    def only(self, conn: Connection, values: Values) -> Any:
        """The row that is always there. Raises: RuntimeError when it is not."""
        row = self.one(conn, values)
        if row is None:
            raise RuntimeError("a row that is always there is missing")
        return row

    def run(self, conn: Connection, values: Values) -> int:
        """Run it; the number of rows that it changed."""
        (done,) = together(conn, Call(self, values))
        return done.count

    def asked(self, dialect: Dialect, call: Call) -> list[Asked]:
        """What a call of it sends to the driver, one text for each of its rows. For `together`."""
        known = self._for(dialect)
        return [self._bound(known, values) for values in ((call.values,) if call.rows is None else call.rows)]

    def done(self, dialect: Dialect, outcomes: Sequence[Outcome]) -> Done:
        """What a call of it gave, from what each of its texts did. For `together`."""
        known = self._for(dialect)
        rows = [self._as_row(row, known) for one in outcomes for row in one.rows] if self._columns else []
        return Done(rows, sum(one.count for one in outcomes))

    def _bound(self, known: _Compiled, values: Values) -> Asked:
        text = known.text
        if known.lists:
            text, values = self._expand(known, values)
        return text, {**known.fixed, **values} if known.fixed else values

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
    dialect = conn.dialect
    asked = [call.statement.asked(dialect, call) for call in calls]
    if dialect.name == "postgresql":
        outcomes = iter(pipeline.run(_driver(conn), conn.connection.info, list(chain(*asked))))
        groups = [list(islice(outcomes, len(some))) for some in asked]
    else:
        driver = _driver(conn)
        groups = [[_run_on_sqlite(driver, some)] for some in asked]
    return [call.statement.done(dialect, group) for call, group in zip(calls, groups, strict=True)]


def _run_on_sqlite(driver: Any, asked: Sequence[Asked]) -> Outcome:
    cursor = driver.cursor()
    if len(asked) == 1:
        cursor.execute(*asked[0])
        return Outcome(cursor.fetchall(), cursor.rowcount)
    cursor.executemany(asked[0][0], [values for _, values in asked])
    return Outcome([], cursor.rowcount)


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
