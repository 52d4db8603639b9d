"""Tables of what was published of the two logs, and how their witnesses do.

`log` is "audit" or "directory". Times are whole seconds since 1970 (UTC). A note in `log_published` is what
everybody is shown; nothing but services/witnessed.py may write one.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Table

from exchange.hub.models.base import Int64, Words, metadata

log_published: Final = Table(
    "log_published",
    metadata,
    Column("log", Words, primary_key=True),
    Column("size", Int64, nullable=False),
    # The newest checkpoint that the policy's quorum cosigned, with all its lines.
    Column("note", Words, nullable=False),
)
log_witness: Final = Table(
    "log_witness",
    metadata,
    Column("log", Words, primary_key=True),
    # Its verifier key: another key is another witness.
    Column("witness", Words, primary_key=True),
    # The largest tree that it is known to have cosigned.
    Column("size", Int64, nullable=False),
    Column("cosigned", Int64),
    # Since when it gives no cosignature, and what it did instead.
    Column("failing", Int64),
    Column("fault", Words),
)
log_conflict: Final = Table(
    "log_conflict",
    metadata,
    Column("log", Words, primary_key=True),
    # The text of a note that this hub's own key signed and that the log here does not continue, and the note.
    Column("text", Words, primary_key=True),
    Column("note", Words, nullable=False),
    Column("rule", Words, nullable=False),
    Column("witness", Words, nullable=False),
    Column("seen", Int64, nullable=False),
    # The operator who went on without what was lost; NULL: nobody yet, and the hub may not serve.
    Column("accepted", Words),
)
log_publisher: Final = Table(
    "log_publisher",
    metadata,
    Column("one", Int64, CheckConstraint("one = 1", name="log_publisher_one"), primary_key=True),
    Column("holder", Words, nullable=False),
    Column("until", Int64, nullable=False),
    # When the last round ended.
    Column("done", Int64),
)
