"""The table of leases: how much of a pool all workers together have taken in the newest window.

A row is worth nothing once its window is over; `key` is a digest, so that no address stands here.
"""

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Int64, Words, metadata

rate_lease: Final = Table(
    "rate_lease",
    metadata,
    # H of policy and caller.
    Column("caller", Words, primary_key=True),
    # Windows since 1970.
    Column("win", Int64, nullable=False, index=True),
    Column("taken", Int64, nullable=False),
)
