"""What was published of the two logs: the newest cosigned notes, how each witness does, who publishes.

All of it can be had again from the witnesses, but `log_conflict`: what an operator decided about a witness
that holds more of a log than the hub. Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "log_published",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("size", _INT, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "log_witness",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("witness", sa.Text, primary_key=True),
        sa.Column("size", _INT, nullable=False),
        sa.Column("cosigned", _INT),
        sa.Column("failing", _INT),
        sa.Column("fault", sa.Text),
    )
    op.create_table(
        "log_conflict",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("witness", sa.Text, nullable=False),
        sa.Column("seen", _INT, nullable=False),
        sa.Column("accepted", sa.Text),
    )
    op.create_table(
        "log_publisher",
        sa.Column("one", _INT, sa.CheckConstraint("one = 1", name="log_publisher_one"), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", _INT, nullable=False),
        sa.Column("done", _INT),
    )
    allow(op, "log_published", "SELECT, INSERT, UPDATE (size, note)")
    allow(op, "log_witness", "SELECT, INSERT, UPDATE (size, cosigned, failing, fault)")
    allow(op, "log_conflict", "SELECT, INSERT, UPDATE (accepted)")
    allow(op, "log_publisher", "SELECT, INSERT, UPDATE (holder, until, done)")


def downgrade() -> None:
    for table in ("log_published", "log_witness", "log_conflict", "log_publisher"):
        op.drop_table(table)
