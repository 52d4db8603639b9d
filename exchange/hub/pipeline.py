"""Several statements to PostgreSQL in one round trip, on libpq itself (libpq's "Pipeline Mode").

psycopg's cursors take six times as long for the same, a third of a request. Each text is prepared once for
a connection. Values are str, bytes, int, bool or None; the server says of which type a parameter is. A
statement that fails takes all that follow with it: none of them is run. Errors are psycopg's.
"""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from select import POLLIN, POLLOUT, poll
from typing import Any, Final

import psycopg
from psycopg.errors import lookup
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Asked = tuple[str, Mapping[str, Any]]
"""A statement, its parameters written as `%(name)s`, and the parameters' values."""
_PARAMETER: Final = re.compile(r"%(?:%|\((\w+)\)s)")
_PREPARED: Final = "homeward_prepared"
_TEXT, _BINARY = 0, 1


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _words(data: bytes) -> str:
    return data.decode()


# By the number that the type has in every PostgreSQL (pg_type.dat).
_LOADERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    16: lambda data: data == b"\x01",
    17: bytes,
    **dict.fromkeys((20, 21, 23, 26), _integer),
    **dict.fromkeys((19, 25, 1043), _words),
    2278: lambda _data: None,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement gave: its rows, and how many rows it changed or gave."""

    rows: list[Any]
    count: int


@dataclass(slots=True)
class _Prepared:
    """The names of what a connection has prepared, by its text; a name is never used again."""

    names: dict[str, bytes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)


def run(driver: Any, info: MutableMapping[Any, Any], asked: Sequence[Asked]) -> list[Outcome]:
    """Run the statements in their order, in the transaction that there is or is begun for them.

    `driver`: psycopg's connection; one that commits by itself gets no transaction. `info`: what is remembered
    of the connection as long as it is open. Raises: psycopg.Error; TypeError for a value or a column of
    another type than those above.
    """
    pq, known = driver.pgconn, info.get(_PREPARED)
    if known is None:
        known = info[_PREPARED] = _Prepared()
    new: dict[str, bytes] = {}
    bound = [(text, *_bound(text, values)) for text, values in asked]
    pq.enter_pipeline_mode()
    try:
        # Whether each thing that is sent gives an outcome.
        gives: list[bool] = []
        if not driver.autocommit and pq.transaction_status == TransactionStatus.IDLE:
            pq.send_query_params(_begin(driver), None)
            gives.append(False)
        for text, sql, values, formats in bound:
            name = known.names.get(text) or new.get(text)
            if name is None:
                name = new[text] = b"hw_%d" % next(known.numbers)
                pq.send_prepare(name, sql)
                gives.append(False)
            pq.send_query_prepared(name, values, formats, _BINARY)
            gives.append(True)
        pq.pipeline_sync()
        results = _results(pq)
    finally:
        if pq.status == ConnStatus.OK:
            pq.exit_pipeline_mode()
    known.names.update(new)
    return [_outcome(one) for one, given in zip(results, gives, strict=True) if given]


def _begin(driver: Any) -> bytes:
    level = driver.isolation_level
    return b"BEGIN" if level is None else b"BEGIN ISOLATION LEVEL " + level.name.replace("_", " ").encode()


# -- what is sent --------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with its parameters as `$1`, `$2`…, and their names in this order."""
    names: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return _PARAMETER.sub(place, text).encode(), tuple(names)


def _bound(text: str, values: Mapping[str, Any]) -> tuple[bytes, list[bytes | None], list[int]]:
    sql, names = _numbered(text)
    data: list[bytes | None] = []
    formats: list[int] = []
    for name in names:
        value = values[name]
        # A text goes as it is, with its length: a NUL in it would else be its end, and is refused like this.
        if isinstance(value, str):
            data.append(value.encode())
            formats.append(_BINARY)
        elif value is None or isinstance(value, bytes):
            data.append(value)
            formats.append(_BINARY)
        elif isinstance(value, int):
            # True and False as well: 1 and 0 are spelled so.
            data.append(b"%d" % value)
            formats.append(_TEXT)
        else:
            raise TypeError(f"a {type(value).__name__} is no value of a statement")
    return sql, data, formats


# -- what comes back -----------------------------------------------------------------------------------


def _results(pq: PGconn) -> list[PGresult]:
    """One result for each thing that was sent. Raises: psycopg.Error, the first one's that failed."""
    waiter, found = poll(), list[PGresult]()
    waiter.register(pq.socket, POLLIN | POLLOUT)
    while pq.flush():
        # What comes meanwhile is taken, or the server would wait for us as we for it.
        if any(event & ~POLLOUT for _, event in waiter.poll()):
            pq.consume_input()
    waiter.modify(pq.socket, POLLIN)
    while True:
        while pq.is_busy():
            waiter.poll()
            pq.consume_input()
        result = pq.get_result()
        if result is None:
            # The end of one statement, or of the connection.
            if pq.status != ConnStatus.OK:
                raise psycopg.OperationalError(pq.get_error_message())
        elif result.status == ExecStatus.PIPELINE_SYNC:
            break
        else:
            found.append(result)
    for result in found:
        if result.status == ExecStatus.FATAL_ERROR:
            raise _error(result)
    return found


def _error(result: PGresult) -> psycopg.Error:
    state = result.error_field(DiagnosticField.SQLSTATE) or b""
    try:
        kind: type[psycopg.Error] = lookup(state.decode())
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(result.get_error_message())


def _outcome(result: PGresult) -> Outcome:
    rows: list[Any] = []
    if result.status == ExecStatus.TUPLES_OK:
        columns = [(at, _loader(result.ftype(at))) for at in range(result.nfields)]
        rows = [
            tuple(_loaded(result.get_value(row, at), load) for at, load in columns)
            for row in range(result.ntuples)
        ]
    return Outcome(rows, result.command_tuples or 0)


def _loader(number: int) -> Callable[[bytes], Any]:
    try:
        return _LOADERS[number]
    except KeyError:
        raise TypeError(f"a column has the type {number}, which no statement may give") from None


def _loaded(data: bytes | None, load: Callable[[bytes], Any]) -> Any:
    return None if data is None else load(data)
