"""The slices of the audit log, one for each party, and the newest heads over them.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("slice_leaf", "slice_party", "slice_state")


def upgrade() -> None:
    op.create_table(
        "slice_party",
        sa.Column("party", sa.Text, primary_key=True),
        sa.Column("number", _INT, nullable=False, unique=True),
        sa.Column("salt", sa.LargeBinary, sa.CheckConstraint("length(salt) = 32"), nullable=False),
        sa.Column("size", _INT, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("head_size", _INT, nullable=False),
        sa.Column("head_frontier", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "slice_leaf",
        sa.Column("number", _INT, primary_key=True, autoincrement=False),
        sa.Column("pos", _INT, primary_key=True, autoincrement=False),
        sa.Column("idx", _INT, nullable=False),
        sqlite_with_rowid=False,
    )
    state = op.create_table(
        "slice_state",
        sa.Column("one", _INT, sa.CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
        sa.Column("covers", _INT, nullable=False),
        sa.Column("head_covers", _INT, nullable=False),
        sa.Column("head_entry", sa.Text, nullable=False),
        sa.Column("head_leaves", sa.LargeBinary, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", _INT, nullable=False),
    )
    empty = {"covers": 0, "head_covers": 0, "head_entry": "", "head_leaves": b"", "holder": "", "until": 0}
    op.bulk_insert(state, [{"one": 1, **empty}])
    # A party's salt is never changed and no row deleted: the heads entries in the log hang on them.
    changed = "size, frontier, head_size, head_frontier"
    allow(op, "slice_party", f"SELECT, INSERT, UPDATE ({changed})")
    allow(op, "slice_leaf", "SELECT, INSERT")
    allow(op, "slice_state", "SELECT, UPDATE")


def downgrade() -> None:
    headed = op.get_bind().execute(sa.text("SELECT head_entry FROM slice_state")).scalar_one()
    if headed != "":
        raise ConfigInvalid("the log has heads entries, which only the salts of the slices can check")
    for table in _TABLES:
        op.drop_table(table)
