"""Tables of the key directory: its log, and the state that its events add up to.

`directory_event` is the truth: the signed bytes as they came, never changed and never removed. The other
tables repeat what those events say, so that a request reads a few rows and never a log; nothing but
services/directory.py may write them, and it writes them from the rules of `exchange.directory` only.
Times are whole seconds since 1970 (UTC), kids and root digests base64url.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Table,
)

from exchange.hub.models.base import Bytes, Int64, Words, metadata

directory_head = Table(
    "directory_head",
    metadata,
    # One row: whoever appends locks it first.
    Column("one", Int64, CheckConstraint("one = 1", name="directory_head_one"), primary_key=True),
    Column("size", Int64, nullable=False),
    Column("frontier", Bytes, nullable=False),
    # The index of the newest agreements event; empty before the first.
    Column("agreements", Int64),
)

directory_event = Table(
    "directory_event",
    metadata,
    Column("idx", Int64, primary_key=True, autoincrement=False),
    # The JWS as strict JSON: the leaf's bytes.
    Column("event", Bytes, nullable=False),
    # The agency it is about; empty for a governance event.
    Column("agency", Words),
    Column("leaf", Bytes, nullable=False),
    # The root of the log up to and with this event, so that a past position is one row.
    Column("root", Bytes, nullable=False),
    Column("recorded", Int64, nullable=False),
    Index("directory_event_agency", "agency", "idx"),
)

directory_node = Table(
    "directory_node",
    metadata,
    # Roots of complete subtrees at levels 8, 16 and 24.
    Column("level", Int64, primary_key=True, autoincrement=False),
    Column("idx", Int64, primary_key=True, autoincrement=False),
    Column("hash", Bytes, nullable=False),
)

directory_agency = Table(
    "directory_agency",
    metadata,
    Column("agency", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("country", Words, nullable=False),
    Column("public_authority", Boolean, nullable=False),
    Column("contact", Words, nullable=False),
    Column("status", Words, nullable=False),
    # The iat of the last admit, suspend or resume: an older one cannot come again.
    Column("standing_since", Int64, nullable=False),
    # Digest of the root keys: those admitted, then those of the newest root-set.
    Column("root", Words, nullable=False),
)

directory_key = Table(
    "directory_key",
    metadata,
    Column("kid", Words, primary_key=True),
    Column("agency", Words, nullable=False),
    Column("use", Words, nullable=False),
    Column("alg", Words, nullable=False),
    Column("raw", Bytes, nullable=False),
    Column("status", Words, nullable=False),
    Column("nbf", Int64),
    Column("exp", Int64),
    Column("until", Int64),
    Column("holder", Words),
    # The event that brought the key: its page carries the bytes.
    Column("event_idx", Int64, nullable=False),
    Index("directory_key_agency", "agency", "use"),
    Index("directory_key_event", "event_idx"),
)

governance = Table(
    "governance",
    metadata,
    Column("one", Int64, CheckConstraint("one = 1", name="governance_one"), primary_key=True),
    # How many of the operators must sign.
    Column("k", Int64, nullable=False),
    # Strict JSON: [{name, kid, key}].
    Column("operators", Bytes, nullable=False),
    # The iat of the newest governance event.
    Column("since", Int64, nullable=False),
)
