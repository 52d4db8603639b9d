"""The table of notices: what the hub announces to a commission, one row for each that must hear of it.

A row is written in the transaction of what it announces and never changed. It holds what the audit entry of
the same transaction holds: agencies, names of fields, purposes, times; nothing of a child.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Bytes, Int64, Words, metadata

notice: Final = Table(
    "notice",
    metadata,
    Column("agency", Words, primary_key=True),
    Column("position", Int64, primary_key=True, autoincrement=False),
    Column("entry_id", Words, nullable=False),
    # Strict JSON: {iss, rcp, purposes, fields}.
    Column("about", Bytes, nullable=False),
    # Seconds since 1970.
    Column("at", Int64, nullable=False),
    Column("expires", Int64, nullable=False),
)
