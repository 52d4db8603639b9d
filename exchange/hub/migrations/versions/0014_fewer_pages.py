"""What is used up, and salts, lie in their keys' own trees, and no index by expiry is kept any more.

On SQLite a table with a key that is no number is two trees, the rows and the keys: these two of small rows
become one each, so that a commit writes fewer pages. What has expired is found beside what is used up next,
see `services/replays.py`. Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEX = "ix_replay_expires"


def upgrade() -> None:
    op.drop_index(_INDEX, "replay")
    if op.get_context().dialect.name == "sqlite":
        _build_anew(with_rowid=False)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _build_anew(with_rowid=True)
    op.create_index(_INDEX, "replay", ["expires"])


def _build_anew(*, with_rowid: bool) -> None:
    """The two tables as the first migration made them, but for their trees; with their rows."""
    for name, columns in _tables().items():
        op.rename_table(name, f"{name}_before")
        op.create_table(name, *columns, sqlite_with_rowid=with_rowid)
        op.execute(_COPY.replace("@", name))
        op.drop_table(f"{name}_before")


# `@` is the table.
_COPY = "INSERT INTO @ SELECT * FROM @_before"


def _tables() -> dict[str, list[sa.Column[object]]]:
    def hash_of(name: str, *, key: bool) -> sa.Column[object]:
        fits = sa.CheckConstraint(f"length({name}) = 32")
        return sa.Column(name, sa.LargeBinary, fits, primary_key=key, nullable=False)

    return {
        "replay": [hash_of("jti_hash", key=True), sa.Column("expires", _INT, nullable=False)],
        "log_salt": [
            sa.Column("scope", sa.Text, primary_key=True),
            sa.Column("ref", sa.Text, primary_key=True),
            hash_of("salt", key=False),
        ],
    }
