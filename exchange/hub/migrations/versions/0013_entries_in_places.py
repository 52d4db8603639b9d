"""The audit log in one table: an entry lies with its leaf in the place that it has, and the last is the head.

Before, an entry and its leaf were rows of two tables with an index each, and a third held the head: a commit
wrote three pages more. On PostgreSQL the trigger now fills the row that is inserted, instead of writing two
others. Entries, places and everything computed from them stay as they are. Released migrations are never
edited.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from exchange.hub.migrations.grants import allow
from exchange.log.tree import Frontier
from exchange_schemas.errors import ConfigInvalid

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MAX_ENTRY = 16 * 1024
_TIMES = {
    "sqlite": "json_extract(CAST(entry AS text), '$.ts')",
    "postgresql": "CAST(CAST(convert_from(entry, 'UTF8') AS json) ->> 'ts' AS bigint)",
}
# `@` is the entry's own time.
_PLACE = (
    "INSERT INTO log_placed (idx, entry_id, leaf, latest_us, frontier, entry)"
    " SELECT idx, log_leaf.entry_id, leaf, max(@) OVER (ORDER BY idx), frontier, entry"
    " FROM log_leaf JOIN log_entry ON log_entry.entry_id = log_leaf.entry_id ORDER BY idx"
)
_LAST = "SELECT idx, leaf, latest_us, frontier FROM log_placed ORDER BY idx DESC LIMIT 1"


def upgrade() -> None:
    _check_whole()
    op.create_table(
        "log_placed",
        sa.Column("idx", _INT, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.Text, sa.CheckConstraint("length(entry_id) = 22"), nullable=False),
        sa.Column("leaf", sa.LargeBinary, sa.CheckConstraint("length(leaf) = 32"), nullable=False),
        sa.Column("latest_us", _INT, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column(
            "entry",
            sa.LargeBinary,
            sa.CheckConstraint(f"length(entry) BETWEEN 2 AND {_MAX_ENTRY}"),
            nullable=False,
        ),
        sa.UniqueConstraint("entry_id"),
    )
    op.execute(_PLACE.replace("@", _TIMES["sqlite" if _on_sqlite() else "postgresql"]))
    for table in ("log_entry", "log_leaf", "log_head"):
        op.drop_table(table)
    op.rename_table("log_placed", "log_entry")
    if _on_sqlite():
        _refuse_changes()
    else:
        _let_the_database_place()
        allow(op, "log_entry", "SELECT, INSERT (entry_id, entry)")


def downgrade() -> None:
    # The tables and the trigger as the first migration made them.
    first = import_module("exchange.hub.migrations.versions.0001_audit_log")
    op.rename_table("log_entry", "log_placed")
    op.rename_table("log_node", "log_node_kept")
    if not _on_sqlite():
        for name in ("log_entry_pkey", "log_node_pkey"):
            op.execute(f"ALTER INDEX {name} RENAME TO {name}_kept")
    first._create_log()
    op.execute("INSERT INTO log_entry SELECT entry_id, entry FROM log_placed ORDER BY idx")
    op.execute("INSERT INTO log_leaf SELECT idx, entry_id, leaf, frontier FROM log_placed ORDER BY idx")
    op.execute("INSERT INTO log_node SELECT level, idx, hash FROM log_node_kept")
    _set_head()
    for table in ("log_placed", "log_node_kept"):
        op.drop_table(table)
    if _on_sqlite():
        first._refuse_changes()
    else:
        op.execute("DROP FUNCTION log_append()")
        first._let_the_database_append()
        first._grant()


def _set_head() -> None:
    bind = op.get_bind()
    last = bind.execute(sa.text(_LAST)).one_or_none()
    if last is not None:
        tree = Frontier.from_bytes(bytes(last.frontier), size=last.idx).append(bytes(last.leaf))
        head = {"size": tree.size, "edge": tree.to_bytes(), "latest": last.latest_us}
        bind.execute(sa.text("UPDATE log_head SET size = :size, frontier = :edge, ts_us = :latest"), head)


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _check_whole() -> None:
    """Every entry has its leaf and every leaf its entry: what is damaged is for a person to look at."""
    counts = "SELECT (SELECT count(*) FROM log_entry), (SELECT count(*) FROM log_leaf), size FROM log_head"
    joined = "SELECT count(*) FROM log_leaf JOIN log_entry ON log_entry.entry_id = log_leaf.entry_id"
    bind = op.get_bind()
    entries, leaves, size = bind.execute(sa.text(counts)).one()
    if not entries == leaves == size == bind.execute(sa.text(joined)).scalar_one():
        raise ConfigInvalid("the audit log is damaged, so nothing is changed")


def _refuse_changes() -> None:
    """SQLite: a mistake cannot rewrite the log. Against an operator only witnesses help."""
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER log_entry_no_{change.lower()} BEFORE {change} ON log_entry "
            "BEGIN SELECT RAISE(ABORT, 'log_entry is append-only'); END"
        )


def _let_the_database_place() -> None:
    quote = op.get_context().dialect.identifier_preparer.quote
    schema = quote(op.get_bind().execute(sa.text("SELECT current_schema()")).scalar_one())
    for name in ("pkey", "entry_id_key"):
        op.execute(f"ALTER INDEX log_placed_{name} RENAME TO log_entry_{name}")
    op.execute("DROP FUNCTION log_append()")
    op.execute(_APPEND.replace("@", schema))
    op.execute("REVOKE ALL ON FUNCTION log_append() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER log_entry_append BEFORE INSERT ON log_entry "
        "FOR EACH ROW EXECUTE FUNCTION log_append()"
    )
    # ALWAYS: not even a session in replication mode inserts an entry that is not in the tree.
    op.execute("ALTER TABLE log_entry ENABLE ALWAYS TRIGGER log_entry_append")


# `@` is the schema. One append at a time, from here to the end of the transaction; the lock is the number of
# the table, and nothing is written for it. Each statement of the function sees what was committed before it.
# ts: the entry's own time may be 30 s away from the database's clock, and 30 s before the latest entry's.
_APPEND = """
CREATE FUNCTION log_append() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  last @.log_entry%ROWTYPE;
  ts bigint := (convert_from(NEW.entry, 'UTF8')::json ->> 'ts')::bigint;
  edge bytea := ''::bytea;
  node bytea;
  carry bigint;
  level integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
  SELECT idx, leaf, latest_us, frontier INTO last.idx, last.leaf, last.latest_us, last.frontier
    FROM @.log_entry ORDER BY idx DESC LIMIT 1;
  IF ts IS NULL
     OR abs(ts - extract(epoch FROM clock_timestamp()) * 1000000) > 30000000
     OR ts < last.latest_us - 30000000 THEN
    RAISE EXCEPTION 'the entry is not of this time' USING ERRCODE = 'HW001';
  END IF;
  -- The tree after the last entry: its leaf put to the frontier before it.
  IF last.idx IS NOT NULL THEN
    edge := last.frontier;
    node := last.leaf;
    carry := last.idx;
    WHILE carry & 1 = 1 LOOP
      node := sha256('\\x01'::bytea || substring(edge FROM length(edge) - 31) || node);
      edge := substring(edge FROM 1 FOR length(edge) - 32);
      carry := carry >> 1;
    END LOOP;
    edge := edge || node;
  END IF;
  NEW.idx := coalesce(last.idx + 1, 0);
  NEW.leaf := sha256('\\x00'::bytea || NEW.entry);
  NEW.latest_us := greatest(last.latest_us, ts);
  NEW.frontier := edge;
  -- The complete subtrees of levels 8, 16, 24... that this leaf completes.
  IF NEW.idx & 255 = 255 THEN
    node := NEW.leaf;
    carry := NEW.idx;
    WHILE carry & 1 = 1 LOOP
      node := sha256('\\x01'::bytea || substring(edge FROM length(edge) - 31) || node);
      edge := substring(edge FROM 1 FOR length(edge) - 32);
      carry := carry >> 1;
      level := level + 1;
      IF level % 8 = 0 THEN
        INSERT INTO @.log_node (level, idx, hash) VALUES (level, carry, node);
      END IF;
    END LOOP;
  END IF;
  RETURN NEW;
END
$body$
"""
