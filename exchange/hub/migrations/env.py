"""Alembic's entry: runs the migrations on the connection that `exchange.hub.revisions.migrate` hands over.

It must never open a connection or read a setting of its own, and never run without a transaction.
"""

from alembic import context
from sqlalchemy import Connection, text

from exchange.hub.models.base import metadata

# An arbitrary number that means "migrations of Homeward": two runs at once wait for one another.
_LOCK = 0x686F6D6577617264


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


_run(context.config.attributes["connection"])
