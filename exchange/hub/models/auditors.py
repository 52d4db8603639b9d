"""Whose entries an auditor may read: one row for each auditor about whom operators signed something."""

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Int64, Words, metadata

auditor_scope: Final = Table(
    "auditor_scope",
    metadata,
    Column("auditor", Words, primary_key=True),
    # The agencies' ids, sorted, with spaces between; "*" for all.
    Column("about", Words, nullable=False),
    # When the operators signed it, in seconds since 1970: an older act is never done again.
    Column("since", Int64, nullable=False),
)
