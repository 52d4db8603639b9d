"""Whose entries an auditor may read; what a pull was opened for; how far old proofs were forgotten.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "auditor_scope",
        sa.Column("auditor", sa.Text, primary_key=True),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("since", _INT, nullable=False),
    )
    allow(op, "auditor_scope", "SELECT, INSERT, UPDATE")
    op.add_column("audit_pull", sa.Column("act", sa.Text, nullable=False, server_default="audit:pull"))
    op.add_column("slice_state", sa.Column("forgotten", _INT, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("slice_state", "forgotten")
    op.drop_column("audit_pull", "act")
    op.drop_table("auditor_scope")
