"""The tables of messages: as the models say, kept while they hold anything, and the worker's rights."""

from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DBAPIError

from exchange.hub.db import open_engine, writing
from exchange.hub.models.base import metadata
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import chain_head, grant, mailbox, manifest
from exchange.hub.models.parts import part
from exchange.hub.revisions import migrate
from exchange.hub.settings import Settings
from exchange_schemas.errors import ConfigInvalid
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import World

TABLES = (consent, consent_family, part, manifest, grant, chain_head, mailbox)
NAMES = {table.name for table in TABLES}


def differences(settings: Settings) -> list[Any]:
    """Where the tables of the database and the models differ."""

    def ours(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        table = name if kind == "table" else item.table.name
        return table in NAMES

    engine = open_engine(settings.database_url)
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"include_object": ours, "compare_type": False})
        found = compare_metadata(context, metadata)
    engine.dispose()
    return list(found)


def test_the_migration_makes_what_the_models_say(new_settings: Callable[..., Settings]) -> None:
    assert differences(new_settings()) == []


def test_the_migration_goes_down_and_up_again_while_nothing_is_there(
    new_settings: Callable[..., Settings],
) -> None:
    settings = new_settings()
    migrate(settings, "0002", down=True)
    assert {change[0] for change in differences(settings)} >= {"add_table"}
    migrate(settings)
    assert differences(settings) == []


def test_the_tables_are_not_dropped_while_they_hold_a_consent(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    world.consent(ngo, embassy)
    with pytest.raises(ConfigInvalid):
        migrate(world.hub.settings, "0002", down=True)
    assert world.count(consent) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        delete(consent),
        delete(consent_family),
        delete(manifest),
        delete(grant),
        delete(chain_head),
        delete(mailbox),
        update(consent).values(jws=b""),
        update(manifest).values(jws=b""),
        update(grant).values(core=b""),
        update(grant).values(rcp="another-agency"),
        update(consent_family).values(rcp="another-agency"),
        update(part).values(ct=b""),
    ],
)
def test_a_worker_changes_nothing_that_was_signed_and_deletes_no_grant(world: World, change: Any) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), writing(world.hub.engine) as conn:
        conn.execute(change)


def test_a_chain_has_each_place_once(world: World, ngo: Agency, embassy: Agency) -> None:
    """Whatever the program does, the database keeps one grant for one place."""
    world.send(ngo, world.consent(ngo, embassy))
    row = next(row for row in world.rows(grant) if row.rcp == embassy.id)._asdict()
    row |= {"gid": "another", "inbox_pos": 99, "outbox_pos": 99}
    with pytest.raises(DBAPIError), writing(world.hub.engine) as conn:
        conn.execute(insert(grant), row)
