"""Finding what took a match back, by its thread.

Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ONLY = sa.text("kind = 'unmatch'")


def upgrade() -> None:
    op.create_index("grant_unmatch", "grant_", ["thread"], sqlite_where=_ONLY, postgresql_where=_ONLY)


def downgrade() -> None:
    op.drop_index("grant_unmatch", "grant_")
