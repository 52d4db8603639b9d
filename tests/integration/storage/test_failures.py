"""Where the log cannot be written there is no answer: read-only, full, locked, without trigger or rights."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from exchange.hub.db import RETRY_AFTER_S, open_engine, writing
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.startup import check_ready
from exchange.hub.services.unit import Unit
from exchange_schemas.entry import Act
from exchange_schemas.errors import AuditUnavailable, Unavailable
from tests.integration.storage import only
from tests.integration.storage.logs import check_log, put

NewCaller = Callable[..., Caller]
WithPragma = Callable[[Hub, str], Hub]
TRACE = Trace(Act.INBOX_LIST)


def allow(unit: Unit) -> Answer:
    return Answer({"secret": True}, TRACE)


def path_of(hub: Hub) -> str:
    return f"{make_url(hub.settings.database_url).database}"


def as_owner(hub: Hub, *statements: str) -> None:
    engine = create_engine(
        f"{hub.settings.owner_database_url}", isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with engine.connect() as conn:
        for statement in statements:
            conn.execute(text(statement))


@pytest.fixture
def with_pragma() -> Iterator[Callable[[Hub, str], Hub]]:
    """The same hub, with a pragma on every connection."""
    engines: list[Engine] = []

    def make(hub: Hub, pragma: str) -> Hub:
        engine = open_engine(hub.settings.database_url)
        engines.append(engine)

        @event.listens_for(engine, "connect")
        def _set(connection: Any, _record: object) -> None:
            connection.execute(f"PRAGMA {pragma}")

        return replace(hub, engine=engine)

    yield make
    for engine in engines:
        engine.dispose()


def refused(hub: Hub, caller: Caller) -> None:
    with pytest.raises(AuditUnavailable) as caught:
        release(hub, caller, TRACE, allow)
    assert "receipt" not in vars(caught.value) or vars(caught.value)["receipt"] is None


# -- SQLite --------------------------------------------------------------------------------------------


@only.SQLITE
def test_a_read_only_file_gives_no_answer(hub: Hub, new_caller: NewCaller, with_pragma: WithPragma) -> None:
    release(hub, new_caller(), TRACE, allow)
    refused(with_pragma(hub, "query_only=ON"), new_caller())

    def read_only() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path_of(hub)}?mode=ro", uri=True, isolation_level=None)

    engine: Engine = create_engine("sqlite://", creator=read_only, poolclass=NullPool)
    refused(replace(hub, engine=engine), new_caller())
    assert check_log(hub).head.size == 1


@only.SQLITE
def test_a_missing_file_gives_no_answer_and_no_empty_log(hub: Hub, new_caller: NewCaller) -> None:
    url = hub.settings.database_url + "-gone"
    lost = replace(hub, engine=open_engine(url), settings=replace(hub.settings, database_url=url))
    refused(lost, new_caller())
    with pytest.raises(AuditUnavailable):
        check_ready(lost)


@only.SQLITE
def test_a_full_disk_gives_no_answer_and_every_answer_given_stays(
    hub: Hub, new_caller: NewCaller, with_pragma: WithPragma
) -> None:
    with sqlite3.connect(path_of(hub)) as probe:
        pages = probe.execute("PRAGMA page_count").fetchone()[0]
    probe.close()
    full = with_pragma(hub, f"max_page_count={pages + 12}")
    answered: list[str] = []

    def fill() -> None:
        for _ in range(200):
            receipt = release(full, new_caller(), TRACE, allow).receipt
            assert receipt is not None
            answered.append(receipt.entry_id)

    with pytest.raises(AuditUnavailable):
        fill()
    assert len(answered) > 5
    assert check_log(hub).ids == answered
    # With room again it goes on.
    release(hub, new_caller(), TRACE, allow)


@only.SQLITE
def test_another_writer_for_too_long_means_try_again(
    hub: Hub, new_caller: NewCaller, with_pragma: WithPragma
) -> None:
    hub = with_pragma(hub, "busy_timeout=50")
    caller = new_caller()
    with writing(hub.engine), pytest.raises(Unavailable) as caught:
        release(hub, caller, TRACE, allow)
    assert caught.value.detail == {"retry_after_s": RETRY_AFTER_S}
    # The proof was not spent: the same request may come again.
    assert release(hub, caller, TRACE, allow).receipt is not None


@only.SQLITE
def test_a_mistake_cannot_rewrite_the_log(hub: Hub) -> None:
    for number in range(256):
        put(hub, number)
    for table in ("log_entry", "log_node"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1"):
            with pytest.raises(Exception, match="append-only"), writing(hub.engine) as conn:
                conn.execute(text(statement))


@only.SQLITE
def test_every_connection_syncs_each_commit_and_overwrites_what_is_erased(hub: Hub) -> None:
    with writing(hub.engine) as conn:
        found = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "journal_mode", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert found == {
        "synchronous": 2,
        "journal_mode": "wal",
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 5000,
    }


# -- PostgreSQL ----------------------------------------------------------------------------------------


@only.POSTGRES
def test_without_the_right_to_insert_there_is_no_answer(hub: Hub, new_caller: NewCaller) -> None:
    as_owner(hub, "REVOKE INSERT (entry_id, entry) ON log_entry FROM homeward_worker")
    refused(hub, new_caller())


ALWAYS = "ALTER TABLE log_entry ENABLE ALWAYS TRIGGER log_entry_append"


@only.POSTGRES
def test_an_altered_trigger_refuses_the_start(hub: Hub) -> None:
    function = "ALTER FUNCTION log_append()"
    changes = [
        ("ALTER TABLE log_entry DISABLE TRIGGER log_entry_append", ALWAYS),
        ("ALTER TABLE log_entry ENABLE TRIGGER log_entry_append", ALWAYS),
        ("ALTER TABLE log_entry ENABLE REPLICA TRIGGER log_entry_append", ALWAYS),
        (f"{function} SECURITY INVOKER", f"{function} SECURITY DEFINER"),
        (f"{function} RESET search_path", f"{function} SET search_path = pg_catalog, pg_temp"),
        (f"{function} SET search_path = public", f"{function} SET search_path = pg_catalog, pg_temp"),
        (f"{function} SET work_mem = '64kB'", f"{function} RESET work_mem"),
        ("DROP TRIGGER log_entry_append ON log_entry", "SELECT 1"),
    ]
    for change, undo in changes:
        check_ready(hub)
        as_owner(hub, change)
        with pytest.raises(Unavailable) as caught:
            check_ready(hub)
        assert caught.value.rule == "S3-trigger", change
        as_owner(hub, undo)


@only.POSTGRES
def test_without_its_trigger_the_log_gives_no_answer(hub: Hub, new_caller: NewCaller) -> None:
    for change in ("DISABLE TRIGGER", "ENABLE REPLICA TRIGGER"):
        as_owner(hub, f"ALTER TABLE log_entry {change} log_entry_append")
        refused(hub, new_caller())
    as_owner(hub, ALWAYS)
    assert release(hub, new_caller(), TRACE, allow).receipt is not None
    check_log(hub)
    as_owner(hub, "DROP TRIGGER log_entry_append ON log_entry")
    refused(hub, new_caller())


@only.POSTGRES
def test_the_workers_role_can_do_no_more_than_insert_entries(hub: Hub) -> None:
    for statement in (
        "UPDATE log_entry SET entry = entry",
        "DELETE FROM log_entry",
        "TRUNCATE log_entry",
        "INSERT INTO log_entry (idx, entry_id, entry) VALUES (9, 'x', '{}')",
        "INSERT INTO log_entry (entry_id, entry, latest_us) VALUES ('x', '{}', 0)",
        "SELECT idx FROM log_entry FOR UPDATE",
        "INSERT INTO log_node VALUES (8, 9, sha256(''))",
        "ALTER TABLE log_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER log_entry_append ON log_entry",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (x int)",
        "CREATE OR REPLACE FUNCTION log_append() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "SET ROLE homeward_owner",
        "UPDATE alembic_version SET version_num = '0000'",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"), writing(hub.engine) as conn:
            conn.execute(text(statement))


@only.POSTGRES
def test_a_table_of_the_same_name_in_another_schema_does_not_catch_the_leaf(
    hub: Hub, new_caller: NewCaller
) -> None:
    def shadow(unit: Unit) -> Answer:
        unit.conn.execute(
            text("CREATE TEMP TABLE log_node ON COMMIT DROP AS SELECT 1 AS level, 0::bigint AS idx")
        )
        unit.conn.execute(text("SET LOCAL search_path = pg_temp, public"))
        return Answer({}, TRACE)

    as_owner(
        hub,
        "GRANT TEMPORARY ON DATABASE " + f"{make_url(hub.settings.database_url).database} TO homeward_worker",
    )
    release(hub, new_caller(), TRACE, shadow)
    assert check_log(hub).head.size == 1


@only.POSTGRES
def test_an_append_that_takes_too_long_means_try_again(hub: Hub, new_caller: NewCaller) -> None:
    engine = open_engine(hub.settings.database_url)

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _record: object) -> None:
        connection.execute("SET lock_timeout = 100")
        connection.commit()

    owner = open_engine(f"{hub.settings.owner_database_url}")
    hub = replace(hub, engine=engine)
    caller = new_caller()
    with writing(owner) as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock('log_entry'::regclass::bigint)"))
        with pytest.raises(Unavailable) as caught:
            release(hub, caller, TRACE, allow)
    assert caught.value.detail == {"retry_after_s": RETRY_AFTER_S}
    assert release(hub, caller, TRACE, allow).receipt is not None
    engine.dispose()
    owner.dispose()


@only.POSTGRES
def test_a_long_transaction_that_has_written_nothing_blocks_nobody(hub: Hub, new_caller: NewCaller) -> None:
    with writing(hub.engine) as conn:
        conn.execute(text("SELECT count(*) FROM log_entry"))
        conn.execute(text("INSERT INTO revoked_token VALUES ('x', 1)"))
        assert release(hub, new_caller(), TRACE, allow).receipt is not None


@only.POSTGRES
def test_every_connection_has_limits(hub: Hub) -> None:
    with writing(hub.engine) as conn:
        for name in (
            "statement_timeout",
            "transaction_timeout",
            "idle_in_transaction_session_timeout",
            "lock_timeout",
        ):
            assert conn.exec_driver_sql(f"SHOW {name}").scalar_one() == "10s"
        assert conn.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"


@only.POSTGRES
def test_an_unreachable_database_gives_no_answer(hub: Hub, new_caller: NewCaller) -> None:
    gone = make_url(hub.settings.database_url).set(database="gone").render_as_string(hide_password=False)
    refused(replace(hub, engine=open_engine(gone)), new_caller())


@only.POSTGRES
def test_every_answer_is_synced_to_the_disk_before_it_leaves(
    hub: Hub, new_caller: NewCaller, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres_server")

    def syncs() -> int:
        with server.admin.connect() as conn:
            conn.execute(text("SELECT pg_stat_force_next_flush()"))
            found = conn.execute(text("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"))
            return int(found.scalar_one())

    hub.engine.dispose()
    before = syncs()
    for _ in range(20):
        assert release(hub, new_caller(), TRACE, allow).receipt is not None
    # A backend hands its counts in when it ends.
    hub.engine.dispose()
    for _ in range(100):
        if syncs() - before >= 20:
            break
        time.sleep(0.02)
    assert syncs() - before >= 20
