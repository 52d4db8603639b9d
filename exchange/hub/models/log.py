"""Tables of the audit log: entries in their places, stored nodes, salts and erasable disclosures.

`log_entry` and `log_node` are append-only; on PostgreSQL the worker may only insert entries, the database's
trigger writes the rest. Nothing may update or delete them. The head of the log is its last entry.
"""

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Bytes, Int64, Words, metadata

log_entry: Final = Table(
    "log_entry",
    metadata,
    Column("idx", Int64, primary_key=True, autoincrement=False),
    Column("entry_id", Words, nullable=False, unique=True),
    Column("leaf", Bytes, nullable=False),
    # The latest `ts` up to this entry, in microseconds since 1970.
    Column("latest_us", Int64, nullable=False),
    # The frontier before this leaf: all that the entry's inclusion proof needs.
    Column("frontier", Bytes, nullable=False),
    Column("entry", Bytes, nullable=False),
)
log_node: Final = Table(
    "log_node",
    metadata,
    Column("level", Int64, primary_key=True, autoincrement=False),
    Column("idx", Int64, primary_key=True, autoincrement=False),
    Column("hash", Bytes, nullable=False),
)
log_salt: Final = Table(
    "log_salt",
    metadata,
    Column("scope", Words, primary_key=True),
    Column("ref", Words, primary_key=True),
    Column("salt", Bytes, nullable=False),
)
log_disclosure: Final = Table(
    "log_disclosure",
    metadata,
    Column("entry_id", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("salt", Bytes, nullable=False),
    Column("value", Words, nullable=False),
)
audit_pull: Final = Table(
    "audit_pull",
    metadata,
    Column("pull", Words, primary_key=True),
    Column("agency", Words, nullable=False),
    Column("size", Int64, nullable=False),
    # Seconds since 1970.
    Column("expires", Int64, nullable=False),
    # What it was opened for, by the event that its opening left.
    Column("act", Words, nullable=False),
)
