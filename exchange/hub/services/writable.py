"""Whether the log can be written, found out without writing: for the readiness check (S9-writable).

An answer that cannot be logged is not given, so a hub that cannot write serves nobody and must say so to
whoever watches it. Nothing here takes a lock. PostgreSQL tells nobody how much room its disk has, so it is
asked for something that it must put there for a moment, a hundred kilobytes and more; nothing of it stays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.hub import Hub

LEAST_FREE: Final = 16 * 1024 * 1024
"""Bytes that must be free on the disk of an embedded database."""
_LEAST_PAGES: Final = 16
_POSTGRES: Final = text("""
    SELECT pg_is_in_recovery() AS standby,
           (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only,
           has_column_privilege('log_entry', 'entry_id', 'INSERT')
             AND has_column_privilege('log_entry', 'entry', 'INSERT') AS inserts
""")
# More rows than the least memory holds go to a temporary file, on the disk where the tables are.
_LEAST_MEMORY: Final = text("SET LOCAL work_mem = '64kB'")
_SPILL: Final = text("SELECT count(*) FROM generate_series(1, 10000)")
_DISK_FULL: Final = "53100"


def unwritable(conn: Connection, hub: Hub) -> str | None:
    """Why the log cannot be written; None when nothing speaks against it."""
    return _sqlite(conn, hub) if conn.dialect.name == "sqlite" else _postgres(conn, hub)


def disk_fault(*, read_only: bool, free: int) -> str | None:
    """What is wrong with a disk that has so many bytes free; None when nothing is."""
    if read_only:
        return "the disk of the database is mounted for reading only"
    return None if free >= LEAST_FREE else "the disk of the database is full"


def _sqlite(conn: Connection, hub: Hub) -> str | None:
    if conn.exec_driver_sql("PRAGMA query_only").scalar_one():
        return "the database is opened for reading only"
    room = conn.exec_driver_sql("PRAGMA max_page_count").scalar_one()
    room -= conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    if room + conn.exec_driver_sql("PRAGMA freelist_count").scalar_one() < _LEAST_PAGES:
        return "the database file may not grow any more"
    file = Path(f"{make_url(hub.settings.database_url).database}")
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
        return "this user may not write the database file or its folder"
    disk = os.statvfs(file.parent)
    return disk_fault(read_only=bool(disk.f_flag & os.ST_RDONLY), free=disk.f_bavail * disk.f_frsize)


def _postgres(conn: Connection, hub: Hub) -> str | None:
    found = conn.execute(_POSTGRES).one()
    if found.standby:
        return "PostgreSQL is a standby, which takes no entry"
    if found.read_only == "on":
        return "PostgreSQL takes this role's transactions for reading only"
    if not found.inserts:
        return "the worker's role may not insert entries into the log"
    return "the disk of PostgreSQL is full" if _is_full(hub) else None


def _is_full(hub: Hub) -> bool:
    try:
        with hub.engine.begin() as conn:
            conn.execute(_LEAST_MEMORY)
            conn.execute(_SPILL)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _DISK_FULL:
            raise
        return True
    return False
