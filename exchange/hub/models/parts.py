"""The table of parts: ciphertexts of fields and attachments, each scoped to its sender.

A part is uploaded or comes inline, and belongs to one envelope once a grant uses it. Small ones lie in
`ct`; for the others the blob store has the bytes. Nothing here can be opened by the hub.
"""

from typing import Any, Final

from sqlalchemy import Column, Index, Table, text

from exchange.hub.models.base import Bytes, Int64, Words, metadata


def _only(rows: str) -> dict[str, Any]:
    """An index over some rows only, on both databases."""
    return {"sqlite_where": text(rows), "postgresql_where": text(rows)}


part: Final = Table(
    "part",
    metadata,
    Column("agency", Words, primary_key=True),
    Column("sha256", Words, primary_key=True),
    Column("bytes", Int64, nullable=False),
    # Empty while no grant uses the part.
    Column("eid", Words),
    Column("p", Words),
    Column("f", Words),
    # Empty when the blob store holds the bytes.
    Column("ct", Bytes),
    # When an unused part is given up; empty once it is used.
    Column("expires", Int64),
    Index("part_unused", "agency", "expires", **_only("expires IS NOT NULL")),
    Index("part_blob", "sha256", **_only("ct IS NULL")),
)
