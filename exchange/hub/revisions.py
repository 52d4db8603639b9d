"""Which revision the tables are at, and how they get to another: migrations, run by the tables' owner.

It must never run with a worker's rights, nor leave the tables between two revisions.
"""

import os
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from exchange.hub.db import open_engine
from exchange.hub.settings import Settings
from exchange_schemas.errors import ConfigInvalid

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(settings: Settings, revision: str = "head", *, down: bool = False) -> None:
    """Bring the schema to a revision, in one transaction, as the owner; `down` goes back to an earlier one.

    Raises: ConfigInvalid when PostgreSQL's owner URL is not set, or when going back would destroy a log.
    """
    # Here, because it takes longer to import than all the rest and no worker needs it.
    from alembic import command
    from alembic.config import Config

    url, worker = _owner(settings)
    if settings.is_sqlite:
        _create_file(Path(f"{make_url(url).database}"))
    engine = open_engine(url)
    try:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with engine.begin() as conn:
            config.attributes.update(connection=conn, worker_role=worker)
            (command.downgrade if down else command.upgrade)(config, revision)
    finally:
        engine.dispose()


def newest_revision() -> str:
    """The revision that this program's tables are at: ids are the numbers that the files begin with."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _owner(settings: Settings) -> tuple[str, str | None]:
    """The URL that owns the tables, and the role that workers use; SQLite has no roles."""
    if settings.is_sqlite:
        return settings.database_url, None
    if settings.owner_database_url is None:
        name = "HOMEWARD_OWNER_DATABASE_URL"
        raise ConfigInvalid(f"{name} is not set: migrations need the role that owns the tables", field=name)
    return settings.owner_database_url, make_url(settings.database_url).username


def _create_file(path: Path) -> None:
    """The empty file, readable by this user only; its WAL gets the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
