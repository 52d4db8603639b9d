"""Tables of what travels: manifests, grants, the chain from each sender to each recipient, mailboxes.

The bytes of cores, sealed keys and manifests are kept as they came and never written again by the hub.
The other columns repeat what the hub must find, count or lock by; they decide nothing on their own.
Times are whole seconds since 1970 (UTC), digests base64url.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    UniqueConstraint,
    exists,
    false,
    text,
)

from exchange.hub.models.base import Bytes, Int64, Words, metadata

_UNMATCH: Final = text("kind = 'unmatch'")

manifest: Final = Table(
    "manifest",
    metadata,
    # H of the payload: the idempotency key of a deposit.
    Column("digest", Words, primary_key=True),
    Column("eid", Words, nullable=False),
    # The envelope that this manifest is the first of; empty for a supplementary one. Being unique, it lets
    # nobody open an envelope id a second time, another agency least of all.
    Column("opens", Words, unique=True),
    Column("snd", Words, nullable=False),
    Column("jws", Bytes, nullable=False),
    Column("entry_id", Words, nullable=False),
    Index("manifest_envelope", "eid"),
)

grant: Final = Table(
    "grant_",
    metadata,
    Column("gid", Words, primary_key=True),
    Column("eid", Words, nullable=False),
    Column("manifest", Words, ForeignKey("manifest.digest"), nullable=False),
    Column("snd", Words, nullable=False),
    Column("rcp", Words, nullable=False),
    Column("rcp_kid", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("thread", Words, nullable=False),
    Column("pur", Words, nullable=False),
    Column("cns", Words),
    # The family of the consent that the grant rests on; empty where none is needed.
    Column("family", Words, ForeignKey("consent_family.family")),
    Column("seq", Int64, nullable=False),
    Column("digest", Words, nullable=False),
    Column("core", Bytes, nullable=False),
    # Emptied when the grant dies undelivered and is no longer the head of its chain.
    Column("sealed", Bytes),
    Column("iat", Int64, nullable=False),
    Column("exp", Int64, nullable=False),
    # The earlier of the grant's and its consent's end: an inbox shows a grant as dead from then on.
    Column("dies", Int64, nullable=False),
    Column("state", Words, nullable=False),
    # Empty for the sender's grant for itself, which is no news to it.
    Column("inbox_pos", Int64),
    Column("outbox_pos", Int64, nullable=False),
    Column("receipt", Bytes),
    Column("receipt_entry", Words),
    CheckConstraint("state IN ('waiting', 'fetched', 'receipted', 'dead')", name="grant_state"),
    UniqueConstraint("snd", "rcp", "seq", name="grant_chain"),
    Index("grant_inbox", "rcp", "inbox_pos", unique=True),
    Index("grant_outbox", "snd", "outbox_pos", unique=True),
    Index("grant_envelope", "eid"),
    Index("grant_family", "family"),
    # A handful of rows: what took a match back, by its thread.
    Index("grant_unmatch", "thread", sqlite_where=_UNMATCH, postgresql_where=_UNMATCH),
)

chain_head: Final = Table(
    "chain_head",
    metadata,
    Column("snd", Words, primary_key=True),
    Column("rcp", Words, primary_key=True),
    Column("seq", Int64, nullable=False),
    Column("digest", Words, nullable=False),
    Column("gid", Words, nullable=False),
    # A recovery opened the chain: the sender may be further on than the hub, and its next grant says where.
    Column("reopened", Boolean, nullable=False, server_default=false()),
)

IS_HEAD: Final = exists().where(
    chain_head.c.snd == grant.c.snd, chain_head.c.rcp == grant.c.rcp, chain_head.c.gid == grant.c.gid
)
"""Whether the grant of a row is the head of its chain."""

# One counter for each agency. A transaction that gives positions holds the row until it commits, so that
# positions become visible in their order and a reader's cursor can never skip one that commits late.
mailbox: Final = Table(
    "mailbox",
    metadata,
    Column("agency", Words, primary_key=True),
    Column("position", Int64, nullable=False),
)
