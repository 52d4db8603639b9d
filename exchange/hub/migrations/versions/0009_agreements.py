"""Which event of the directory holds the sharing agreements in force.

Nothing goes back while there are some: a hub that forgot them would give what it must not.
Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("directory_head", sa.Column("agreements", _INT))
    allow(op, "directory_head", "UPDATE (agreements)")


def downgrade() -> None:
    signed = sa.select(1).select_from(sa.table("directory_head")).where(sa.column("agreements").is_not(None))
    if op.get_bind().execute(signed).first() is not None:
        raise ConfigInvalid("there are sharing agreements: the hub never forgets them")
    op.drop_column("directory_head", "agreements")
