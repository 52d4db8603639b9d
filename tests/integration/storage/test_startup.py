"""The start is refused where a commit could be lost, the log changed, or the clock is behind it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import NullPool

from exchange.hub.db import open_engine, reading
from exchange.hub.revisions import migrate, newest_revision
from exchange.hub.services import audit_read, highwater
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.startup import check_ready
from exchange.hub.settings import Settings
from exchange_schemas.entry import Act
from exchange_schemas.errors import Unavailable
from tests.integration.storage import only
from tests.integration.storage.logs import place

TRACE = Trace(Act.INBOX_LIST)


def rule(hub: Hub) -> str | None:
    with pytest.raises(Unavailable) as caught:
        check_ready(hub)
    return caught.value.rule


def test_a_fresh_hub_is_ready_and_stays_so(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    check_ready(hub)
    for _ in range(3):
        release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    check_ready(hub)


def test_an_answer_given_while_it_is_checked_is_no_lost_log(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    """Another worker answers, and keeps the mark anew, after the check has begun to look at the database."""
    hub.settings.guard_dir.mkdir(parents=True)
    release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    mark = highwater.path_of(hub)
    answered = []

    def clock() -> datetime:
        if not answered:
            os.utime(mark, (0, 0))
            released = release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
            answered.append(released)
            assert mark.stat().st_mtime > 0
        return utc_now()

    check_ready(replace(hub, clock=clock))
    assert len(answered) == 1


def test_the_newest_revision_is_alembics_head() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from exchange.hub.revisions import MIGRATIONS

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == newest_revision()


def test_missing_and_old_tables_are_refused(
    new_settings: Callable[..., Settings], make_hub: Callable[..., Hub]
) -> None:
    settings = new_settings(migrated=False)
    if settings.is_sqlite:
        migrate(settings)
        migrate(settings, "base", down=True)
    hub = make_hub(settings=settings)
    assert rule(hub) == "S1-schema"
    migrate(settings, "0001")
    assert rule(hub) == "S1-schema"
    migrate(settings)
    check_ready(hub)


def test_a_clock_before_the_latest_entry_is_refused(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    check_ready(replace(hub, clock=lambda: utc_now() - timedelta(seconds=25)))
    assert rule(replace(hub, clock=lambda: utc_now() - timedelta(seconds=60))) == "S6-clock"


def test_a_last_entry_that_is_not_in_its_place_is_refused(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    with reading(hub.engine) as conn:
        before = audit_read.head(conn)
    changes: list[dict[str, Any]] = [
        {"frontier": before.to_bytes(), "leaf": b"\x07" * 32},
        {"frontier": b"short"},
    ]
    for index, change in enumerate(changes, 1):
        place(hub, index, **change)
        assert rule(hub) == "S5-head", change


@only.SQLITE
@pytest.mark.parametrize("pragma", ["synchronous=NORMAL", "synchronous=OFF", "journal_mode=DELETE"])
def test_sqlite_that_may_lose_a_commit_is_refused(hub: Hub, pragma: str) -> None:
    engine = open_engine(hub.settings.database_url)

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA {pragma}").fetchall()

    assert rule(replace(hub, engine=engine)) == "S2-durable"
    engine.dispose()


@contextmanager
def server_setting(server: Any, name: str) -> Iterator[None]:
    """Switch a server-wide setting off for a moment."""
    server.execute(f"ALTER SYSTEM SET {name} = off")
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.execute(f"ALTER SYSTEM RESET {name}")
        server.execute("SELECT pg_reload_conf()")


@only.POSTGRES
def test_postgresql_that_may_lose_a_commit_is_refused(hub: Hub, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    engine = create_engine(hub.settings.database_url, poolclass=NullPool)
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        with server_setting(server, name):
            with engine.connect() as conn:
                for _ in range(200):
                    if conn.execute(text(f"SHOW {name}")).scalar_one() == "off":
                        break
                    conn.execute(text("SELECT pg_sleep(0.01)"))
            assert rule(replace(hub, engine=engine)) == "S2-durable", name


@only.POSTGRES
def test_a_worker_that_may_change_the_log_is_refused(hub: Hub, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    url = server.base.set(database=hub.engine.url.database)
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    changes = [
        "UPDATE ON log_entry",
        "UPDATE (entry) ON log_entry",
        "DELETE ON log_node",
        "INSERT ON log_node",
        "INSERT (idx) ON log_entry",
        "TRIGGER ON log_entry",
        "TRUNCATE ON log_entry",
        "UPDATE (agency) ON directory_event",
        "DELETE ON directory_event",
        "UPDATE ON directory_node",
    ]
    with engine.connect() as conn:
        for change in changes:
            check_ready(hub)
            conn.execute(text(f"GRANT {change} TO homeward_worker"))
            assert rule(hub) == "S4-roles", change
            conn.execute(text(f"REVOKE {change} FROM homeward_worker"))
        conn.execute(text("GRANT homeward_owner TO homeward_worker"))
        try:
            assert rule(hub) == "S3-trigger"
        finally:
            conn.execute(text("REVOKE homeward_owner FROM homeward_worker"))
        check_ready(hub)
        conn.execute(text("GRANT TRUNCATE ON log_entry TO PUBLIC"))
        assert rule(hub) == "S4-roles"
        conn.execute(text("REVOKE TRUNCATE ON log_entry FROM PUBLIC"))
        conn.execute(text("ALTER TABLE log_node OWNER TO homeward_worker"))
        assert rule(hub) == "S4-roles"


@only.POSTGRES
def test_the_owner_or_a_superuser_may_not_be_a_worker(hub: Hub, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    for role in ("homeward_owner", "postgres"):
        engine = create_engine(server.url(role, f"{hub.engine.url.database}"), poolclass=NullPool)
        assert rule(replace(hub, engine=engine)) in ("S3-trigger", "S4-roles")
