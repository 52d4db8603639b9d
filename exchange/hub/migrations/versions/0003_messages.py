"""Consents, parts, manifests, grants, the chains between agencies and their mailboxes.

Nothing here is dropped while it holds a grant or a consent: going back would lose a withdrawal.
Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange_schemas.errors import ConfigInvalid

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = ("mailbox", "chain_head", "grant_", "manifest", "part", "consent", "consent_family")


def upgrade() -> None:
    _create_consents()
    _create_parts()
    _create_manifests()
    _create_grants()
    _create_chains()
    # What was signed or sealed is written once; the rest says where it stands.
    standing = "newest, status, withdrawal, withdrawn_at, undelivered, delivered, entry_id"
    allow(op, "consent_family", f"SELECT, INSERT, UPDATE ({standing})")
    allow(op, "consent", "SELECT, INSERT")
    allow(op, "manifest", "SELECT, INSERT")
    allow(op, "grant_", "SELECT, INSERT, UPDATE (state, sealed, receipt, receipt_entry)")
    allow(op, "chain_head", "SELECT, INSERT, UPDATE (seq, digest, gid)")
    allow(op, "mailbox", "SELECT, INSERT, UPDATE (position)")
    allow(op, "part", "SELECT, INSERT, UPDATE (eid, p, f, expires), DELETE")


def downgrade() -> None:
    for table in ("consent_family", "manifest"):
        if op.get_bind().execute(sa.select(1).select_from(sa.table(table)).limit(1)).first() is not None:
            raise ConfigInvalid("there are consents or envelopes: their tables are never dropped")
    for table in _TABLES:
        op.drop_table(table)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INT, nullable=null)


def _bytes(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def _create_consents() -> None:
    op.create_table(
        "consent_family",
        _text("family", key=True),
        _text("iss"),
        _text("rcp", null=True),
        _text("subj", null=True),
        _text("newest", null=True),
        _text("status"),
        _bytes("withdrawal", null=True),
        _int("withdrawn_at", null=True),
        _int("undelivered", null=True),
        _int("delivered", null=True),
        _text("entry_id", null=True),
        sa.CheckConstraint("status IN ('active', 'withdrawn')", name="consent_family_status"),
    )
    op.create_table(
        "consent",
        _text("cid", key=True),
        sa.Column("family", sa.Text, sa.ForeignKey("consent_family.family"), nullable=False),
        _text("iss"),
        _text("rcp"),
        _text("digest"),
        _bytes("jws"),
        _int("exp"),
        _int("iss_pos"),
        _int("rcp_pos"),
        _text("entry_id"),
        sa.UniqueConstraint("digest", name="consent_digest"),
    )
    op.create_index("consent_family_of", "consent", ["family"])
    op.create_index("consent_issued", "consent", ["iss", "iss_pos"], unique=True)
    op.create_index("consent_received", "consent", ["rcp", "rcp_pos"], unique=True)


def _create_parts() -> None:
    op.create_table(
        "part",
        _text("agency", key=True),
        _text("sha256", key=True),
        _int("bytes"),
        _text("eid", null=True),
        _text("p", null=True),
        _text("f", null=True),
        _bytes("ct", null=True),
        _int("expires", null=True),
    )
    _index_some("part_unused", ["agency", "expires"], "expires IS NOT NULL")
    _index_some("part_blob", ["sha256"], "ct IS NULL")


def _index_some(name: str, columns: list[str], rows: str) -> None:
    where = sa.text(rows)
    op.create_index(name, "part", columns, sqlite_where=where, postgresql_where=where)


def _create_manifests() -> None:
    op.create_table(
        "manifest",
        _text("digest", key=True),
        _text("eid"),
        sa.Column("opens", sa.Text, unique=True),
        _text("snd"),
        _bytes("jws"),
        _text("entry_id"),
    )
    op.create_index("manifest_envelope", "manifest", ["eid"])


def _create_grants() -> None:
    op.create_table(
        "grant_",
        _text("gid", key=True),
        _text("eid"),
        sa.Column("manifest", sa.Text, sa.ForeignKey("manifest.digest"), nullable=False),
        _text("snd"),
        _text("rcp"),
        _text("rcp_kid"),
        _text("kind"),
        _text("thread"),
        _text("pur"),
        _text("cns", null=True),
        sa.Column("family", sa.Text, sa.ForeignKey("consent_family.family")),
        _int("seq"),
        _text("digest"),
        _bytes("core"),
        _bytes("sealed", null=True),
        _int("iat"),
        _int("exp"),
        _int("dies"),
        _text("state"),
        _int("inbox_pos", null=True),
        _int("outbox_pos"),
        _bytes("receipt", null=True),
        _text("receipt_entry", null=True),
        sa.CheckConstraint("state IN ('waiting', 'fetched', 'receipted', 'dead')", name="grant_state"),
        sa.UniqueConstraint("snd", "rcp", "seq", name="grant_chain"),
    )
    op.create_index("grant_inbox", "grant_", ["rcp", "inbox_pos"], unique=True)
    op.create_index("grant_outbox", "grant_", ["snd", "outbox_pos"], unique=True)
    op.create_index("grant_envelope", "grant_", ["eid"])
    op.create_index("grant_family", "grant_", ["family"])


def _create_chains() -> None:
    op.create_table(
        "chain_head",
        _text("snd", key=True),
        _text("rcp", key=True),
        _int("seq"),
        _text("digest"),
        _text("gid"),
    )
    op.create_table("mailbox", _text("agency", key=True), _int("position"))
