"""The key directory: its log of signed events, and the state that they add up to.

The events are append-only: the worker may insert them and nothing else, and the tables are never dropped
while there is one. Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = ("directory_event", "directory_node")
_TABLES = (
    "governance",
    "directory_key",
    "directory_agency",
    "directory_node",
    "directory_event",
    "directory_head",
)
# The JWS of an event may carry hybrid signatures of several operators.
_MAX_EVENT = 512 * 1024


def upgrade() -> None:
    _create_log()
    _create_agencies()
    _create_keys()
    _create_governance()
    columns = (sa.column("one", _INT), sa.column("size", _INT), sa.column("frontier", sa.LargeBinary))
    op.bulk_insert(sa.table("directory_head", *columns), [{"one": 1, "size": 0, "frontier": b""}])
    if _on_sqlite():
        _refuse_changes()
    _grant()


def downgrade() -> None:
    size = op.get_bind().execute(sa.text("SELECT size FROM directory_head")).scalar_one()
    if size != 0:
        raise ConfigInvalid("the key directory has events: it is never dropped")
    for table in _TABLES:
        op.drop_table(table)


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _hash(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, sa.CheckConstraint(f"length({name}) = 32"), nullable=False)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _only_row(table: str) -> sa.Column[int]:
    check = sa.CheckConstraint("one = 1", name=f"{table}_one")
    return sa.Column("one", _INT, check, primary_key=True, autoincrement=False)


def _create_log() -> None:
    op.create_table(
        "directory_head",
        _only_row("directory_head"),
        sa.Column("size", _INT, sa.CheckConstraint("size >= 0"), nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "directory_event",
        sa.Column("idx", _INT, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
        sa.Column(
            "event",
            sa.LargeBinary,
            sa.CheckConstraint(f"length(event) BETWEEN 2 AND {_MAX_EVENT}"),
            nullable=False,
        ),
        _text("agency", null=True),
        _hash("leaf"),
        _hash("root"),
        sa.Column("recorded", _INT, nullable=False),
    )
    op.create_index("directory_event_agency", "directory_event", ["agency", "idx"])
    op.create_table(
        "directory_node",
        sa.Column("level", _INT, primary_key=True, autoincrement=False),
        sa.Column("idx", _INT, primary_key=True, autoincrement=False),
        _hash("hash"),
    )


def _create_agencies() -> None:
    op.create_table(
        "directory_agency",
        _text("agency", key=True),
        _text("name"),
        _text("kind"),
        _text("country"),
        sa.Column("public_authority", sa.Boolean, nullable=False),
        _text("contact"),
        sa.Column(
            "status",
            sa.Text,
            sa.CheckConstraint(
                "status IN ('active', 'suspended', 'expelled')", name="directory_agency_status"
            ),
            nullable=False,
        ),
        sa.Column("standing_since", _INT, nullable=False),
        _text("root"),
    )


def _create_keys() -> None:
    op.create_table(
        "directory_key",
        _text("kid", key=True),
        _text("agency"),
        _text("use"),
        _text("alg"),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column(
            "status",
            sa.Text,
            sa.CheckConstraint("status IN ('active', 'draining', 'revoked')", name="directory_key_status"),
            nullable=False,
        ),
        sa.Column("nbf", _INT),
        sa.Column("exp", _INT),
        sa.Column("until", _INT),
        _text("holder", null=True),
        sa.Column("event_idx", _INT, nullable=False),
    )
    op.create_index("directory_key_agency", "directory_key", ["agency", "use"])
    op.create_index("directory_key_event", "directory_key", ["event_idx"])


def _create_governance() -> None:
    op.create_table(
        "governance",
        _only_row("governance"),
        sa.Column("k", _INT, nullable=False),
        sa.Column("operators", sa.LargeBinary, nullable=False),
        sa.Column("since", _INT, nullable=False),
    )


def _refuse_changes() -> None:
    """SQLite has no roles: a mistake cannot rewrite the log. Against an operator members' copies help."""
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _grant() -> None:
    for table in _APPEND_ONLY:
        allow(op, table, "SELECT, INSERT")
    allow(op, "directory_head", "SELECT, UPDATE (size, frontier)")
    allow(op, "directory_agency", "SELECT, INSERT, UPDATE (status, standing_since, root)")
    allow(op, "directory_key", "SELECT, INSERT, UPDATE (status, until)")
    allow(op, "governance", "SELECT, INSERT, UPDATE (k, operators, since)")
