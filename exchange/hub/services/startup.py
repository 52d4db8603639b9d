"""What must hold before the hub serves, and while it does: `/readyz` and `serve` ask the same question.

Each check is numbered and named; the first that fails refuses. None of them may repair anything: a log that
is not what it should be is for the operator to look at.
  S1-schema     the tables are at the newest revision
  S2-durable    a commit is on the disk before it is answered (fsync, full_page_writes, synchronous_commit;
                SQLite: WAL with synchronous FULL)
  S3-trigger    PostgreSQL: the append trigger is there, always enabled, and the owner's
  S4-roles      PostgreSQL: the worker's role owns no table of either log (audit, key directory) and may not
                change one; it appends to the directory and to the audit log's entries only
  S5-head       the last entry of the audit log hashes to its leaf, and the tree kept with it is of its place
  S6-clock      the clock is not before the latest entry
  S7-guard      the log is not shorter than the high-water mark on the guard volume says, and not another one;
                the mark is there (production) and is being kept
  S8-witnessed  no witness has shown a note of this hub's own key that a log here does not continue, which no
                operator has accepted
  S9-writable   an entry can be written: rights, a disk with room, no standby
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, inspect, select, text

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import log_entry
from exchange.hub.revisions import newest_revision
from exchange.hub.services import conflicts, highwater
from exchange.hub.services.audit_append import CLOCK_SLACK_US, microseconds
from exchange.hub.services.hub import Hub
from exchange.hub.services.writable import unwritable
from exchange.log.checkpoint import Checkpoint
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.errors import Malformed, StoreCorrupt, Unavailable

_MARK_LAG_US: Final = 6 * highwater.EVERY_S * 1_000_000
_LAST: Final = select(log_entry).order_by(log_entry.c.idx.desc()).limit(1)
_LOG_TABLES: Final = (
    "log_entry",
    "log_node",
    "directory_event",
    "directory_node",
)


def check_ready(hub: Hub) -> None:
    """Check everything that must hold to serve; bounded work, some milliseconds.

    Raises: Unavailable with the rule that failed; AuditUnavailable when the database does not answer.
    """
    # Before the database is looked at: an answer that is given meanwhile moves the log first, then the mark.
    mark = _mark(hub)
    with storage_errors(), reading(hub.engine) as conn:
        _check_schema(conn)
        if conn.dialect.name == "sqlite":
            _check_sqlite(conn)
        else:
            _check_durable(conn)
            _check_trigger(conn)
            _check_roles(conn)
        _check_head(conn)
        _check_clock(conn, hub)
        _check_guard(conn, hub, mark)
        _check_witnessed(conn)
        why = unwritable(conn, hub)
        if why is not None:
            raise _refuse("S9-writable", why)


def _refuse(rule: str, what: str, hint: str | None = None) -> Unavailable:
    return Unavailable(f"the hub may not serve: {what}", rule=rule, hint=hint)


def _check_schema(conn: Connection) -> None:
    """(S1)"""
    known = inspect(conn).has_table("alembic_version")
    at = conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if known else None
    if at != newest_revision():
        raise _refuse("S1-schema", "the tables are not at the newest revision (exchange-hub db upgrade)")


def _check_sqlite(conn: Connection) -> None:
    """(S2) A connection like every other one of the pool."""
    full = 2
    if conn.exec_driver_sql("PRAGMA synchronous").scalar_one() < full:
        raise _refuse("S2-durable", "SQLite's synchronous is below FULL")
    if conn.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
        raise _refuse("S2-durable", "SQLite's journal mode is not WAL")


def _check_durable(conn: Connection) -> None:
    """(S2)"""
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if conn.exec_driver_sql(f"SHOW {name}").scalar_one() == "off":
            raise _refuse("S2-durable", f"PostgreSQL's {name} is off")


_TRIGGER: Final = text("""
    SELECT t.tgenabled = 'A' AND t.tgtype = 7 AND p.prosecdef
           AND p.proconfig = '{"search_path=pg_catalog, pg_temp"}' AND p.proowner = c.relowner
           AND NOT pg_has_role(current_user, p.proowner, 'MEMBER')
      FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE t.tgrelid = 'log_entry'::regclass AND t.tgname = 'log_entry_append' AND p.proname = 'log_append'
""")


def _check_trigger(conn: Connection) -> None:
    """(S3)"""
    if conn.execute(_TRIGGER).scalar_one_or_none() is not True:
        raise _refuse("S3-trigger", "the trigger of the audit log is missing, disabled or altered")


_RIGHTS: Final = text("""
    SELECT pg_has_role(current_user, c.relowner, 'MEMBER') AS owns,
           has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS changes,
           has_any_column_privilege(c.oid, 'UPDATE') AS updates,
           c.relname = 'log_node' AND has_any_column_privilege(c.oid, 'INSERT')
             OR c.relname = 'log_entry' AND EXISTS (
               SELECT FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname NOT IN ('entry_id', 'entry')
                  AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'INSERT')) AS inserts
      FROM pg_class c WHERE c.oid IN (SELECT unnest(CAST(:tables AS text[]))::regclass)
""")


def _check_roles(conn: Connection) -> None:
    """(S4)"""
    rows = conn.execute(_RIGHTS, {"tables": list(_LOG_TABLES)}).all()
    if len(rows) != len(_LOG_TABLES) or any(any(row) for row in rows):
        raise _refuse("S4-roles", "the worker's role owns or may change a table of a log")


def _check_head(conn: Connection) -> None:
    """(S5)"""
    last = conn.execute(_LAST).one_or_none()
    if last is None:
        return
    try:
        Frontier.from_bytes(bytes(last.frontier), size=last.idx)
        holds = leaf_hash(bytes(last.entry)) == bytes(last.leaf)
    except Malformed:
        holds = False
    if not holds:
        raise _refuse("S5-head", "the last entry of the audit log is not in the place that it was given")


def _check_clock(conn: Connection, hub: Hub) -> None:
    """(S6)"""
    last = conn.execute(_LAST).one_or_none()
    if last is not None and microseconds(hub.clock()) < last.latest_us - CLOCK_SLACK_US:
        raise _refuse("S6-clock", "the clock is before the latest entry of the audit log")


def _mark(hub: Hub) -> tuple[Checkpoint, datetime] | StoreCorrupt | None:
    """The mark on the guard volume and when it was kept, or why it cannot be believed."""
    try:
        return highwater.read(hub)
    except StoreCorrupt as error:
        return error


def _check_guard(
    conn: Connection, hub: Hub, found: tuple[Checkpoint, datetime] | StoreCorrupt | None
) -> None:
    """(S7)"""
    last = conn.execute(_LAST).one_or_none()
    size, latest_us = (0, 0) if last is None else (last.idx + 1, last.latest_us)
    if isinstance(found, StoreCorrupt):
        raise _refuse(
            "S7-guard",
            found.message,
            hint="see that the right guard volume is mounted; only where it is lost: `exchange-hub recover`",
        ) from found
    if found is None:
        if size > 0 and hub.settings.environment == "production":
            raise _refuse(
                "S7-guard",
                "the guard volume has no high-water mark (is it mounted?)",
                hint="mount the guard volume; only where it is lost for good: `exchange-hub recover`",
            )
        return
    mark, kept = found
    if not highwater.continues(conn, size, mark):
        raise _refuse(
            "S7-guard",
            "the audit log is shorter than the high-water mark says, or another one",
            hint="after a restore put the entries back: `exchange-hub audit recover --from-mirror DIR`",
        )
    if latest_us - microseconds(kept) > _MARK_LAG_US:
        raise _refuse(
            "S7-guard",
            "the high-water mark on the guard volume is not being kept",
            hint="see whether the guard volume is mounted, writable and not full",
        )


def _check_witnessed(conn: Connection) -> None:
    """(S8)"""
    for proof in conflicts.unaccepted(conn):
        what = "is shorter than" if proof.rule == conflicts.SHORTER else "is another than"
        raise _refuse("S8-witnessed", f"the {proof.log} log {what} the one that {proof.witness} cosigned")
