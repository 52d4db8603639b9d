"""Statements on libpq: psycopg's values and errors, and a connection that is whole afterwards."""

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text

from exchange.hub.db import open_engine, reading
from exchange.hub.pipeline import Outcome, run
from exchange.hub.services.hub import Hub
from tests.integration.storage import only

pytestmark = only.POSTGRES
BIG = 4 * 1024 * 1024
KEEP = "INSERT INTO thing VALUES (%(name)s, %(data)s)"
ALL = "SELECT name, data FROM thing ORDER BY name"
GIVEN = """
    SELECT CAST(%(words)s AS text), CAST(%(data)s AS bytea),
           CAST(%(whole)s AS bigint), CAST(%(yes)s AS boolean)
"""
TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
WHOLE = st.none() | st.integers(-(2**63), 2**63 - 1)


@pytest.fixture
def conn(hub: Hub) -> Iterator[Connection]:
    """The owner's, with a table of its own."""
    engine = open_engine(f"{hub.settings.owner_database_url}")
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE thing (name text PRIMARY KEY, data bytea)"))
        conn.commit()
        yield conn
    engine.dispose()


def ask(conn: Connection, *asked: tuple[str, dict[str, Any]]) -> list[Outcome]:
    return run(conn.connection.driver_connection, conn.connection.info, asked)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=TEXTS, data=st.none() | st.binary(max_size=60), whole=WHOLE, yes=st.none() | st.booleans())
def test_values_go_and_come_as_with_psycopg(conn: Connection, **values: Any) -> None:
    driver: Any = conn.connection.driver_connection
    for name, value in values.items():
        # A value that is none has no type of its own, there as here.
        (found,) = ask(conn, (f"SELECT CAST(%({name})s AS {TYPES[name]})", {name: value}))
        assert found == Outcome([(value,)], 1)
    assert ask(conn, (GIVEN, values))[0].rows == driver.cursor().execute(GIVEN, values).fetchall()


TYPES = {"words": "text", "data": "bytea", "whole": "bigint", "yes": "boolean"}


def test_each_gives_its_own_rows_and_count_in_their_order(conn: Connection) -> None:
    found = ask(
        conn,
        (KEEP, {"name": "a", "data": b"\x00"}),
        (KEEP, {"name": "b", "data": None}),
        (ALL, {}),
        (
            "UPDATE thing SET data = %(data)s WHERE name <> %(name)s OR data = %(data)s",
            {"data": b"x", "name": ""},
        ),
        ("SELECT '100 %%' AS told, name FROM thing WHERE data = %(data)s AND name = 'a'", {"data": b"x"}),
    )
    assert found == [
        *(Outcome([], 1), Outcome([], 1)),
        Outcome([("a", b"\x00"), ("b", None)], 2),
        Outcome([], 2),
        Outcome([("100 %", "a")], 1),
    ]


def test_they_are_one_transaction_that_is_begun_for_them(conn: Connection) -> None:
    ask(conn, (KEEP, {"name": "a", "data": b""}))
    assert conn.connection.driver_connection.info.transaction_status == TransactionStatus.INTRANS
    conn.connection.rollback()
    assert ask(conn, (ALL, {}))[0].rows == []
    # What was prepared is still known to both sides after a rollback.
    ask(conn, (KEEP, {"name": "a", "data": b""}), ("COMMIT", {}))
    conn.connection.rollback()
    assert ask(conn, (ALL, {}))[0].rows == [("a", b"")]


def test_what_follows_one_that_fails_is_not_run_and_the_connection_goes_on(conn: Connection) -> None:
    rows = [(KEEP, {"name": name, "data": b""}) for name in "aab"]
    for _ in range(2):
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            ask(conn, *rows, ("COMMIT", {}))
        assert caught.value.sqlstate == "23505"
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            ask(conn, (ALL, {}))
        conn.connection.rollback()
        assert ask(conn, (ALL, {}))[0].rows == []
        conn.connection.rollback()


def test_a_text_with_a_nul_is_refused_and_not_cut(conn: Connection) -> None:
    with pytest.raises(psycopg.DataError):
        ask(conn, (KEEP, {"name": "a\0b", "data": None}))
    conn.connection.rollback()
    assert ask(conn, (ALL, {}))[0].rows == []


def test_an_error_with_a_code_of_its_own_is_one_of_the_database(conn: Connection) -> None:
    own = "DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'HW001'; END $$"
    with pytest.raises(psycopg.DatabaseError, match="not now"):
        ask(conn, (own, {}))


def test_what_is_no_value_is_refused_before_anything_is_sent(conn: Connection) -> None:
    with pytest.raises(TypeError, match="float"):
        ask(conn, (KEEP, {"name": "a", "data": b""}), (KEEP, {"name": "b", "data": 1.5}))
    with pytest.raises(KeyError):
        ask(conn, (KEEP, {"name": "a"}))
    assert ask(conn, (ALL, {}))[0].rows == []
    with pytest.raises(TypeError, match="1700"):
        ask(conn, ("SELECT 1.5", {}))


def test_much_goes_and_comes_at_once(conn: Connection) -> None:
    data = os.urandom(BIG)
    rows = [(KEEP, {"name": name, "data": data}) for name in "abc"]
    found = ask(conn, *(one for row in rows for one in (row, (ALL, {}))))
    assert [len(one.rows) for one in found] == [0, 1, 0, 2, 0, 3]
    assert all(kept == data for _, kept in found[-1].rows)


def test_a_server_that_is_gone_is_an_operational_error(conn: Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        ask(conn, ("SELECT pg_terminate_backend(pg_backend_pid())", {}), (ALL, {}))
    with pytest.raises(psycopg.OperationalError):
        ask(conn, (ALL, {}))
    conn.invalidate()


def test_a_connection_that_commits_by_itself_gets_no_transaction(hub: Hub) -> None:
    with reading(hub.engine) as conn:
        assert ask(conn, ("SELECT 1", {}), ("SELECT 2", {})) == [Outcome([(1,)], 1), Outcome([(2,)], 1)]
        assert conn.connection.driver_connection.info.transaction_status == TransactionStatus.IDLE
