"""Tables of webhooks: one endpoint for an agency, what it could not be told, and who sends.

What is due is not a queue of its own: it is a mailbox that has gone further than `told`. Times are whole
seconds since 1970 (UTC).
"""

from typing import Final

from sqlalchemy import Column, Index, Table

from exchange.hub.models.base import Int64, Words, metadata

webhook: Final = Table(
    "webhook",
    metadata,
    Column("agency", Words, primary_key=True),
    Column("url", Words, nullable=False),
    Column("secret", Words, nullable=False),
    # The one before, signed with as well until then.
    Column("old_secret", Words),
    Column("old_until", Int64),
    # The place in the agency's inbox that it was told of last.
    Column("told", Int64, nullable=False),
    Column("attempts", Int64, nullable=False),
    Column("next_at", Int64, nullable=False),
    Column("last_error", Words),
    Column("last_ok", Int64),
)

webhook_dead: Final = Table(
    "webhook_dead",
    metadata,
    Column("id", Words, primary_key=True),
    Column("agency", Words, nullable=False),
    Column("place", Int64, nullable=False),
    Column("at", Int64, nullable=False),
    Column("attempts", Int64, nullable=False),
    Column("error", Words, nullable=False),
    Index("webhook_dead_agency", "agency", "at"),
)

# One row: the process that sends.
webhook_lease: Final = Table(
    "webhook_lease",
    metadata,
    Column("one", Int64, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("until", Int64, nullable=False),
)
