"""`exchange-hub db`: bring the tables to a revision, and say which one they are at.

Going back is refused by the migrations themselves where it would lose a log, a withdrawal or a key.
"""

from __future__ import annotations

import click
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.db import open_engine, reading, storage_errors
from exchange.hub.revisions import migrate
from exchange.hub.settings import Settings
from exchange_schemas.errors import ConfigInvalid


@click.group(name="db", short_help="Bring the database's tables up to date.")
@language_option
def group() -> None:
    """Bring the database's tables to a revision, or say which one they are at."""


@group.command(
    epilog=examples("exchange-hub db upgrade --data-dir /srv/hub"),
    short_help="Bring the tables up to date.",
)
@hub_command
@click.argument("revision", default="head")
def upgrade(target: Target, revision: str) -> None:
    """Bring the tables to REVISION, the newest one by default. Safe to repeat."""
    _move(target, revision, down=False)


@group.command(epilog=examples("exchange-hub db downgrade 0002 --data-dir /srv/hub"))
@hub_command
@click.argument("revision")
def downgrade(target: Target, revision: str) -> None:
    """Bring the tables back to REVISION; refused where data would be lost."""
    _move(target, revision, down=True)


@group.command(epilog=examples("exchange-hub db current --data-dir /srv/hub --json"))
@hub_command
def current(target: Target) -> None:
    """Say which revision the tables are at."""
    revision = revision_of(target.settings())
    target.out.done(
        "no tables yet" if revision is None else "the tables are at revision {revision}",
        {"revision": revision},
    )


def revision_of(settings: Settings) -> str | None:
    """The revision of the tables; None when there are none."""
    engine = open_engine(settings.database_url)
    try:
        with storage_errors(), reading(engine) as conn:
            return MigrationContext.configure(conn).get_current_revision()
    finally:
        engine.dispose()


def _move(target: Target, revision: str, *, down: bool) -> None:
    settings = target.settings()
    try:
        with storage_errors():
            migrate(settings, revision, down=down)
    except CommandError as error:
        raise ConfigInvalid(f"the tables cannot be brought there: {error}", field="revision") from None
    reached = revision_of(settings)
    target.out.done("the tables are at revision {revision}", {"revision": reached})
