"""Statements of what was destroyed.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "destruction",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("at", _INT, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
    op.create_index("destruction_at", "destruction", ["at"])
    allow(op, "destruction", "SELECT, INSERT")


def downgrade() -> None:
    found = sa.select(1).select_from(sa.table("destruction")).limit(1)
    if op.get_bind().execute(found).first() is not None:
        raise ConfigInvalid("there are statements of destruction: they are never dropped")
    op.drop_table("destruction")
