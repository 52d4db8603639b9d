"""Migrations: up and down on data, as the owner alone; a log with entries is never dropped."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.base import metadata
from exchange.hub.revisions import MIGRATIONS, migrate, newest_revision
from exchange.hub.services.audit_append import microseconds
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.startup import check_ready
from exchange.hub.settings import Settings
from exchange_schemas.entry import Act
from exchange_schemas.errors import ConfigInvalid
from tests.integration.storage import only
from tests.integration.storage.logs import check_log, put

NewSettings = Callable[..., Settings]
TRACE = Trace(Act.INBOX_LIST)
OURS = (
    *("log_entry", "log_node", "log_salt", "log_disclosure"),
    *("audit_pull", "replay", "revoked_token"),
)


def tables(settings: Settings) -> set[str]:
    engine = open_engine(settings.database_url)
    try:
        with reading(engine) as conn:
            return set(inspect(conn).get_table_names())
    finally:
        engine.dispose()


def test_up_and_down_and_up_again(new_settings: NewSettings, make_hub: Callable[..., Hub]) -> None:
    settings = new_settings(migrated=False)
    migrate(settings, "0001")
    assert set(OURS) <= tables(settings)
    hub = make_hub(settings=settings)
    with writing(hub.engine) as conn:
        conn.execute(text("INSERT INTO revoked_token VALUES ('x', 1)"))
    migrate(settings, "base", down=True)
    assert not set(OURS) & tables(settings)
    migrate(settings)
    migrate(settings)
    check_ready(hub)


def test_going_up_on_a_log_with_entries_keeps_it(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    for _ in range(3):
        release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    for number in range(256):
        put(hub, number)
    before = check_log(hub)
    migrate(hub.settings, "0001", down=True)
    with reading(hub.engine) as conn:
        rows = conn.execute(text("SELECT * FROM log_leaf JOIN log_entry USING (entry_id) ORDER BY idx")).all()
        head = conn.execute(text("SELECT size, frontier FROM log_head")).one()
    assert [(row.entry_id, bytes(row.entry)) for row in rows] == list(
        zip(before.ids, before.entries, strict=True)
    )
    assert (head.size, bytes(head.frontier)) == (before.head.size, before.head.to_bytes())
    migrate(hub.settings)
    assert check_log(hub) == before
    check_ready(hub)
    put(hub, 256)
    assert check_log(hub).head.size == before.head.size + 1


def test_a_log_that_is_damaged_is_not_taken_apart_further(hub: Hub) -> None:
    settings = hub.settings
    put(hub, 0)
    migrate(settings, "0012", down=True)
    owner = open_engine(settings.owner_database_url or settings.database_url)
    with writing(owner) as conn:
        conn.execute(text("UPDATE log_head SET size = 2"))
    with pytest.raises(ConfigInvalid, match="damaged"):
        migrate(settings)
    with writing(owner) as conn:
        conn.execute(text("UPDATE log_head SET size = 1"))
    owner.dispose()
    migrate(settings)
    assert check_log(hub).head.size == 1


@only.POSTGRES
def test_the_database_appends_as_before_where_the_tables_went_back(hub: Hub) -> None:
    put(hub, 0)
    migrate(hub.settings, "0012", down=True)
    entry = f'{{"ts":{microseconds(hub.clock())}}}'.encode()
    with writing(hub.engine) as conn:
        conn.execute(text("INSERT INTO log_entry VALUES (:id, :entry)"), {"id": "i" * 22, "entry": entry})
    migrate(hub.settings)
    assert check_log(hub).ids[1] == "i" * 22


def test_a_log_with_entries_is_never_dropped(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))
    migrate(hub.settings, "0001", down=True)
    with pytest.raises(ConfigInvalid, match="never dropped"):
        migrate(hub.settings, "base", down=True)
    migrate(hub.settings)
    assert check_log(hub).head.size == 1
    check_ready(hub)


def test_sharing_agreements_are_never_forgotten(hub: Hub) -> None:
    with writing(hub.engine) as conn:
        conn.execute(text("UPDATE directory_head SET agreements = 1"))
    with pytest.raises(ConfigInvalid, match="never forgets"):
        migrate(hub.settings, "0004", down=True)
    check_ready(hub)


def test_the_tables_are_those_that_the_program_knows(hub: Hub) -> None:
    engine = open_engine(hub.settings.database_url)
    with reading(engine) as conn:
        found = inspect(conn)
        for table in OURS:
            columns = {column["name"]: column for column in found.get_columns(table)}
            known = metadata.tables[table]
            assert set(columns) == set(known.columns.keys()), table
            key = found.get_pk_constraint(table)["constrained_columns"]
            assert key == [column.name for column in known.primary_key.columns], table
            assert all(not columns[c.name]["nullable"] or c.primary_key for c in known.columns), table
    engine.dispose()


@only.POSTGRES
def test_without_the_owners_url_nothing_is_migrated(new_settings: NewSettings) -> None:
    settings = new_settings(migrated=False)
    with pytest.raises(ConfigInvalid, match="HOMEWARD_OWNER_DATABASE_URL"):
        migrate(replace(settings, owner_database_url=None))


@only.POSTGRES
def test_the_worker_owns_nothing(hub: Hub) -> None:
    with reading(hub.engine) as conn:
        owners = conn.execute(text("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"))
        assert owners.scalars().all() == ["homeward_owner"]


@only.SQLITE
def test_the_file_is_for_its_owner_alone(new_settings: NewSettings) -> None:
    settings = new_settings(migrated=False)
    migrate(settings)
    files = list(settings.data_dir.iterdir())
    assert files
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_the_newest_revision_is_the_one_end_of_the_migrations() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [newest_revision()]
