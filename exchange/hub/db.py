"""The database: engines for SQLite and PostgreSQL, units of reading and writing, failures.

This file and the migrations are the only places that know which database it is, with the append to the
audit log. It must never open a SQLite file on a network file system, nor leave a transaction without a limit.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from exchange.hub.filesystems import refuse_network
from exchange.hub.gate import WriteGate
from exchange_schemas.errors import AuditUnavailable, ExchangeError, Unavailable

TIMEOUT_S: Final = 10
"""The longest statement or transaction (PostgreSQL) and the longest wait for a connection."""
BUSY_S: Final = 5
"""The longest wait for another writer (SQLite)."""
RETRY_AFTER_S: Final = 2
_READING: Final = "homeward_reading"
_GATE: Final = "homeward_gate"
_KEPT: Final = "homeward_kept"
_KEPT_READERS: Final = "homeward_kept_readers"
_POOL: Final[dict[str, Any]] = {"pool_size": 8, "max_overflow": 8, "pool_timeout": TIMEOUT_S}
# PostgreSQL: lock not available, serialization failure, deadlock, out of time, too many connections.
_BUSY_STATES: Final = frozenset({"55P03", "40001", "40P01", "57014", "25P03", "25P04", "53300"})
_BUSY_SQLITE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def open_engine(url: str) -> Engine:
    """An engine with a small pool; nothing is connected yet.

    Raises: ConfigInvalid when a SQLite file lies on a network file system.
    """
    parsed, kept = make_url(url), {_KEPT: _Kept(), _KEPT_READERS: _Kept()}
    if parsed.drivername == "sqlite":
        engine = _open_sqlite(parsed, kept)
    else:
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
            execution_options=kept,
            **_POOL,
        )
        event.listen(engine, "connect", _limit_postgres)
    for each in kept.values():
        event.listen(engine, "engine_disposed", lambda _engine, each=each: each.close())
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write, committed at the end, rolled back on any error.

    Raises: Unavailable when other threads or processes write for too long (SQLite).
    """
    options = engine.get_execution_options()
    gate, kept = options.get(_GATE), options.get(_KEPT, _NOTHING)
    if gate is not None and not gate.acquire(BUSY_S):
        raise busy()
    try:
        conn = kept.take() or engine.connect()
        try:
            with conn.begin():
                yield conn
        except BaseException:
            # The database may have gone away, and then it has for all.
            conn.close()
            kept.close()
            raise
        kept.give(conn)
    finally:
        if gate is not None:
            gate.release()


class _Kept:
    """Connections that have just done their work, kept for the next: the pool's own care costs as much.

    A few of those that write, and of those that read, because nobody else can have them. Threads share them.
    """

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._free: deque[Connection] = deque()

    def take(self) -> Connection | None:
        try:
            return self._free.pop()
        except IndexError:
            return None

    def give(self, conn: Connection) -> None:
        if len(self._free) < self._most:
            self._free.append(conn)
        else:
            conn.close()

    def close(self) -> None:
        # Not back into the pool: whatever they are connected to may be gone.
        while (conn := self.take()) is not None:
            conn.invalidate()
            conn.close()


_NOTHING: Final = _Kept(0)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads; it blocks no writer and is blocked by none."""
    kept = engine.get_execution_options().get(_KEPT_READERS, _NOTHING)
    conn = kept.take() or _reader(engine).connect()
    try:
        with conn.begin():
            yield conn
    except ExchangeError:
        # What was read was refused: the connection is as good as before.
        kept.give(conn)
        raise
    except BaseException:
        conn.close()
        kept.close()
        raise
    kept.give(conn)


@lru_cache(maxsize=64)
def _reader(engine: Engine) -> Engine:
    """The same pool for what only reads; made once, because each making costs as much as a use.

    PostgreSQL's READ COMMITTED gives each statement a view of its own, so there it needs no transaction
    around them, which would be two round trips.
    """
    options: dict[str, Any] = {_READING: True, "postgresql_readonly": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "AUTOCOMMIT"
    return engine.execution_options(**options)


# -- SQLite --------------------------------------------------------------------------------------------


def _open_sqlite(url: URL, kept: Mapping[str, _Kept]) -> Engine:
    path = Path(f"{url.database}")
    refuse_network(path.parent, Path("/proc/mounts"))

    def connect() -> sqlite3.Connection:
        # mode=rw: a file that is missing is an error, never a new and empty log.
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )

    # SQLite waits by sleeping ever longer, which starves its writers: they take turns here instead.
    options = {_GATE: WriteGate(path.with_name(f"{path.name}-gate")), **kept}
    engine = create_engine(url, creator=connect, hide_parameters=True, execution_options=options, **_POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # FULL: a commit is on the disk before it is answered. secure_delete: what is erased is overwritten.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "trusted_schema=OFF",
        # Pages: fewer and longer moves from the WAL to the file, each page once for many commits.
        "wal_autocheckpoint=4000",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(conn: Connection) -> None:
    # A transaction that reads first and writes later cannot be retried by SQLite (SQLITE_BUSY_SNAPSHOT), so
    # whoever may write takes the write lock at once.
    reads = conn.get_execution_options().get(_READING, False)
    driver: Any = conn.connection.driver_connection
    driver.execute("BEGIN" if reads else "BEGIN IMMEDIATE").close()


def overwrite_erased(engine: Engine) -> bool:
    """Have what was deleted gone from the disk too: SQLite's file and its WAL keep older pages until then.

    False where readers did not let it in time; it comes with the next checkpoint. True on other databases.
    """
    gate = engine.get_execution_options().get(_GATE)
    if gate is None:
        return True
    if not gate.acquire(BUSY_S):
        return False
    try:
        with engine.connect() as conn:
            driver: Any = conn.connection.driver_connection
            busy_now, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy_now
    finally:
        gate.release()


# -- PostgreSQL ----------------------------------------------------------------------------------------


def _limit_postgres(connection: Any, _record: object) -> None:
    limit_ms = TIMEOUT_S * 1000
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    if connection.info.server_version >= 170000:
        names.append("transaction_timeout")
    # psycopg forgets with a rollback whatever was prepared, also by `exchange.hub.pipeline`; if it prepares
    # nothing itself it does not.
    connection.prepare_threshold = None
    connection.autocommit = True
    for name in names:
        connection.execute(f"SET {name} = {limit_ms}")
    connection.autocommit = False


# -- failures ------------------------------------------------------------------------------------------


def is_busy(error: BaseException | None) -> bool:
    """Whether a driver's error may go away by itself: another writer was first, or time ran out."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY_SQLITE
    return getattr(error, "sqlstate", None) in _BUSY_STATES


def busy() -> Unavailable:
    """The answer to a request that may be tried again; `retry_after_s` is for the Retry-After header."""
    return Unavailable("the database is busy, try again", detail={"retry_after_s": RETRY_AFTER_S})


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn failures of the database, not of the program, into answers that carry no payload.

    Raises: Unavailable (try again) when it is busy; AuditUnavailable when it cannot be written or reached.
    Anything else passes through.
    """
    try:
        yield
    except PoolTimeout as error:
        raise busy() from error
    except DBAPIError as error:
        if is_busy(error.orig):
            raise busy() from error
        if isinstance(error, OperationalError) or error.connection_invalidated:
            raise _unwritable() from error
        raise
    except (sqlite3.Error, psycopg.Error) as error:
        # A statement on the driver's own cursor, see `exchange.hub.sql`.
        if is_busy(error):
            raise busy() from error
        if isinstance(error, sqlite3.OperationalError | psycopg.OperationalError):
            raise _unwritable() from error
        raise


def _unwritable() -> AuditUnavailable:
    return AuditUnavailable("the database cannot be written, so nothing is answered")
