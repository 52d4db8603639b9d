"""Webhooks: an agency's endpoint, what could not be told, and the lease of the process that sends.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_until", _INT),
        sa.Column("told", _INT, nullable=False),
        sa.Column("attempts", _INT, nullable=False),
        sa.Column("next_at", _INT, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_ok", _INT),
    )
    op.create_table(
        "webhook_dead",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("place", _INT, nullable=False),
        sa.Column("at", _INT, nullable=False),
        sa.Column("attempts", _INT, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("webhook_dead_agency", "webhook_dead", ["agency", "at"])
    op.create_table(
        "webhook_lease",
        sa.Column("one", _INT, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", _INT, nullable=False),
    )
    for table in ("webhook", "webhook_dead", "webhook_lease"):
        allow(op, table, "SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    for table in ("webhook_lease", "webhook_dead", "webhook"):
        op.drop_table(table)
