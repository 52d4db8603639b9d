"""What the hub announces to a commission.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("position", _INT, primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("about", sa.LargeBinary, nullable=False),
        sa.Column("at", _INT, nullable=False),
        sa.Column("expires", _INT, nullable=False),
    )
    allow(op, "notice", "SELECT, INSERT")


def downgrade() -> None:
    found = sa.select(1).select_from(sa.table("notice")).limit(1)
    if op.get_bind().execute(found).first() is not None:
        raise ConfigInvalid("there are notices: they are never dropped")
    op.drop_table("notice")
