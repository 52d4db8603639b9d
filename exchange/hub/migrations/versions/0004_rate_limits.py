"""What the workers together have given of each rate limit in the newest window.

Nothing here is worth keeping: the table may be dropped at any time. Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rate_lease",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("win", _INT, nullable=False),
        sa.Column("taken", _INT, nullable=False),
    )
    op.create_index("ix_rate_lease_win", "rate_lease", ["win"])
    allow(op, "rate_lease", "SELECT, INSERT, UPDATE (win, taken), DELETE")


def downgrade() -> None:
    op.drop_table("rate_lease")
