"""The table of statements of destruction: what was destroyed when, in counts and commitments.

A row is written in the transaction that destroys, with its audit entry, and never changed.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Table

from exchange.hub.models.base import Bytes, Int64, Words, metadata

destruction: Final = Table(
    "destruction",
    metadata,
    # H of the statement: what the audit entry names.
    Column("digest", Words, primary_key=True),
    # Seconds since 1970.
    Column("at", Int64, nullable=False),
    Column("entry_id", Words, nullable=False),
    # Strict JSON, as it was made.
    Column("statement", Bytes, nullable=False),
    Index("destruction_at", "at"),
)
