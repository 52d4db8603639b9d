"""The audit log, what may be used once, and the append that the database itself does (PostgreSQL).

On PostgreSQL a deferred constraint trigger, owned by the owner role, gives each entry its place in the
Merkle tree; the worker may insert an entry and nothing else. On SQLite, which has no roles, the program does
the same in Python and triggers refuse changes by mistake. Released migrations are never edited.
"""

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow, worker_role
from exchange_schemas.errors import ConfigInvalid

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MAX_ENTRY = 16 * 1024
_APPEND_ONLY = ("log_entry", "log_leaf", "log_node")
_TABLES = (
    "audit_pull",
    "log_disclosure",
    "log_salt",
    "log_node",
    "log_head",
    "log_leaf",
    "log_entry",
    "replay",
    "revoked_token",
)


def upgrade() -> None:
    _create_log()
    _create_rest()
    if _on_sqlite():
        _refuse_changes()
    else:
        _let_the_database_append()
        _grant()


def downgrade() -> None:
    size = op.get_bind().execute(sa.text("SELECT size FROM log_head")).scalar_one()
    if size != 0:
        raise ConfigInvalid("the audit log has entries: it is never dropped")
    for table in _TABLES:
        op.drop_table(table)
    if not _on_sqlite():
        op.execute("DROP FUNCTION log_append()")


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _hash(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, sa.CheckConstraint(f"length({name}) = 32"), nullable=False)


def _create_log() -> None:
    op.create_table(
        "log_entry",
        sa.Column("entry_id", sa.Text, sa.CheckConstraint("length(entry_id) = 22"), primary_key=True),
        sa.Column(
            "entry",
            sa.LargeBinary,
            sa.CheckConstraint(f"length(entry) BETWEEN 2 AND {_MAX_ENTRY}"),
            nullable=False,
        ),
    )
    op.create_table(
        "log_leaf",
        sa.Column("idx", _INT, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.Text, nullable=False, unique=True),
        _hash("leaf"),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
    )
    head = op.create_table(
        "log_head",
        sa.Column("one", _INT, sa.CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
        sa.Column("size", _INT, sa.CheckConstraint("size >= 0"), nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("ts_us", _INT, nullable=False),
    )
    op.bulk_insert(head, [{"one": 1, "size": 0, "frontier": b"", "ts_us": 0}])
    op.create_table(
        "log_node",
        sa.Column("level", _INT, primary_key=True, autoincrement=False),
        sa.Column("idx", _INT, primary_key=True, autoincrement=False),
        _hash("hash"),
    )


def _create_rest() -> None:
    op.create_table(
        "log_salt",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        _hash("salt"),
    )
    op.create_table(
        "log_disclosure",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_pull",
        sa.Column("pull", sa.Text, primary_key=True),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("size", _INT, nullable=False),
        sa.Column("expires", _INT, nullable=False),
    )
    op.create_table(
        "replay",
        sa.Column("jti_hash", sa.LargeBinary, sa.CheckConstraint("length(jti_hash) = 32"), primary_key=True),
        sa.Column("expires", _INT, nullable=False, index=True),
    )
    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.Text, primary_key=True),
        sa.Column("expires", _INT, nullable=False),
    )


def _refuse_changes() -> None:
    """SQLite: a mistake cannot rewrite the log. Against an operator only witnesses help."""
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _let_the_database_append() -> None:
    quote = op.get_context().dialect.identifier_preparer.quote
    schema = quote(op.get_bind().execute(sa.text("SELECT current_schema()")).scalar_one())
    op.execute(_APPEND.replace("@", schema))
    op.execute("REVOKE ALL ON FUNCTION log_append() FROM PUBLIC")
    op.execute(
        "CREATE CONSTRAINT TRIGGER log_entry_append AFTER INSERT ON log_entry "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_append()"
    )
    # ALWAYS: not even a session in replication mode inserts an entry that is not in the tree.
    op.execute("ALTER TABLE log_entry ENABLE ALWAYS TRIGGER log_entry_append")


def _grant() -> None:
    if worker_role(op) is None:
        return
    allow(op, "log_entry", "SELECT, INSERT (entry_id, entry)")
    for table in ("log_leaf", "log_head", "log_node", "alembic_version"):
        allow(op, table, "SELECT")
    for table in ("log_salt", "log_disclosure"):
        allow(op, table, "SELECT, INSERT, DELETE")
    for table in ("replay", "revoked_token", "audit_pull"):
        # UPDATE of one column is what PostgreSQL asks of whoever locks a row before deleting it.
        allow(op, table, "SELECT, INSERT, UPDATE (expires), DELETE")


# `@` is the schema. The head's row is locked from here to the end of the transaction: one append at a time.
# ts: the entry's own time may be 30 s away from the database's clock, and 30 s before the latest entry's.
_APPEND = """
CREATE FUNCTION log_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  head @.log_head%ROWTYPE;
  ts bigint := (convert_from(NEW.entry, 'UTF8')::json ->> 'ts')::bigint;
  edge bytea;
  node bytea := sha256('\\x00'::bytea || NEW.entry);
  carry bigint;
  level integer := 0;
BEGIN
  SELECT * INTO STRICT head FROM @.log_head WHERE one = 1 FOR UPDATE;
  IF ts IS NULL
     OR abs(ts - extract(epoch FROM clock_timestamp()) * 1000000) > 30000000
     OR ts < head.ts_us - 30000000 THEN
    RAISE EXCEPTION 'the entry is not of this time' USING ERRCODE = 'HW001';
  END IF;
  INSERT INTO @.log_leaf (idx, entry_id, leaf, frontier)
    VALUES (head.size, NEW.entry_id, node, head.frontier);
  edge := head.frontier;
  carry := head.size;
  WHILE carry & 1 = 1 LOOP
    node := sha256('\\x01'::bytea || substring(edge FROM length(edge) - 31) || node);
    edge := substring(edge FROM 1 FOR length(edge) - 32);
    carry := carry >> 1;
    level := level + 1;
    IF level % 8 = 0 THEN
      INSERT INTO @.log_node (level, idx, hash) VALUES (level, carry, node);
    END IF;
  END LOOP;
  UPDATE @.log_head SET size = head.size + 1, frontier = edge || node, ts_us = greatest(head.ts_us, ts);
  RETURN NULL;
END
$body$
"""
