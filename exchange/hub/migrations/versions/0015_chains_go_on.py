"""A chain that a recovery opened takes the sender's next grant wherever the sender stands (ADR 55).

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chain_head", sa.Column("reopened", sa.Boolean, nullable=False, server_default=sa.false()))
    allow(op, "chain_head", "UPDATE (reopened)")


def downgrade() -> None:
    op.drop_column("chain_head", "reopened")
