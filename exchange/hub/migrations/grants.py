"""Rights of the worker role, for the migrations: what a migration does not allow, the worker may not do.

On SQLite there are no roles and these do nothing. The worker must never be given DDL, ownership, TRUNCATE,
or UPDATE and DELETE on a table of a log.
"""

from typing import Any, Protocol

from alembic.runtime.migration import MigrationContext


class Operations(Protocol):
    """What the helpers here need of `alembic.op`."""

    def get_context(self) -> MigrationContext: ...

    def execute(self, sqltext: str) -> Any: ...


def worker_role(op: Operations) -> str | None:
    """The quoted name of the role that workers use; None on SQLite.

    Raises: KeyError never: `exchange.hub.revisions.migrate` always hands the name over.
    """
    context = op.get_context()
    if context.dialect.name != "postgresql":
        return None
    config = context.config
    role = None if config is None else config.attributes.get("worker_role")
    return None if role is None else context.dialect.identifier_preparer.quote(role)


def allow(op: Operations, table: str, privileges: str) -> None:
    """Grant the worker role some privileges on a table, such as "SELECT, INSERT (a, b)"."""
    role = worker_role(op)
    if role is not None:
        quoted = op.get_context().dialect.identifier_preparer.quote(table)
        op.execute(f"GRANT {privileges} ON TABLE {quoted} TO {role}")
