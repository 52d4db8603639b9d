"""The database layer apart from a database: failures, engines."""

import errno
import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from exchange.hub.db import is_busy, open_engine, storage_errors
from exchange_schemas.errors import AuditUnavailable, Unavailable


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


def test_busy_is_what_may_go_away_by_itself() -> None:
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY))
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT))
    assert not is_busy(sqlite_error(sqlite3.SQLITE_FULL))
    assert is_busy(psycopg.errors.DeadlockDetected())
    assert is_busy(psycopg.errors.LockNotAvailable())
    assert is_busy(psycopg.errors.QueryCanceled())
    assert not is_busy(psycopg.errors.UniqueViolation())
    assert not is_busy(None)


def test_failures_of_the_database_become_answers_without_payload() -> None:
    with pytest.raises(Unavailable), storage_errors():
        raise PoolTimeout("no connection")
    with pytest.raises(Unavailable), storage_errors():
        raise OperationalError("s", {}, sqlite_error(sqlite3.SQLITE_BUSY))
    with pytest.raises(AuditUnavailable), storage_errors():
        raise OperationalError("s", {}, sqlite_error(sqlite3.SQLITE_FULL))
    with pytest.raises(AuditUnavailable), storage_errors():
        raise IntegrityError("s", {}, psycopg.errors.AdminShutdown(), connection_invalidated=True)
    with pytest.raises(IntegrityError), storage_errors():
        raise IntegrityError("s", {}, sqlite3.IntegrityError("unique"))
    with pytest.raises(OSError, match="x"), storage_errors():
        raise OSError(errno.ENOSPC, "x")


def test_an_engine_connects_to_nothing_by_itself() -> None:
    open_engine("postgresql+psycopg://worker@/hub?host=/nowhere").dispose()
    open_engine("sqlite:////tmp/no-such-folder/hub.sqlite").dispose()
