"""Tables of consents: one row for each artefact, one for each family.

A family is what a withdrawal acts on and what a fetch locks, so its row holds the standing of all its
consents. The signed bytes are kept as they came; a row must never be the source of what was consented to.
Times are whole seconds since 1970 (UTC), digests base64url.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint

from exchange.hub.models.base import Bytes, Int64, Words, metadata

consent_family: Final = Table(
    "consent_family",
    metadata,
    Column("family", Words, primary_key=True),
    Column("iss", Words, nullable=False),
    # Empty for a family known only from the guard journal: its consents are not in this database.
    Column("rcp", Words),
    Column("subj", Words),
    Column("newest", Words),
    Column("status", Words, nullable=False),
    Column("withdrawal", Bytes),
    Column("withdrawn_at", Int64),
    Column("undelivered", Int64),
    Column("delivered", Int64),
    Column("entry_id", Words),
    CheckConstraint("status IN ('active', 'withdrawn')", name="consent_family_status"),
)

consent: Final = Table(
    "consent",
    metadata,
    Column("cid", Words, primary_key=True),
    Column("family", Words, ForeignKey("consent_family.family"), nullable=False),
    Column("iss", Words, nullable=False),
    Column("rcp", Words, nullable=False),
    # H of the payload: what a grant names.
    Column("digest", Words, nullable=False),
    Column("jws", Bytes, nullable=False),
    Column("exp", Int64, nullable=False),
    Column("iss_pos", Int64, nullable=False),
    Column("rcp_pos", Int64, nullable=False),
    Column("entry_id", Words, nullable=False),
    UniqueConstraint("digest", name="consent_digest"),
    Index("consent_family_of", "family"),
    Index("consent_issued", "iss", "iss_pos", unique=True),
    Index("consent_received", "rcp", "rcp_pos", unique=True),
)
