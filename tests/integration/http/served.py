"""A hub served by two real worker processes on this machine, with one agency that holds given `auth` keys."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, insert, select

from exchange.hub.db import open_engine
from exchange.hub.hubkeys import create_hub_keys
from exchange.hub.models.directory import directory_agency, directory_key
from exchange.hub.models.log import log_entry
from exchange.hub.revisions import migrate
from exchange.hub.settings import Settings
from exchange_keys.jose import AuthKey
from tests.integration.http.conftest import filled
from tests.integration.ports import free_port
from tests.integration.wire import WireClient

ROOT = Path(__file__).resolve().parents[3]
AGENCY = "agency-a"
WORKERS = 2


@dataclass(kw_only=True)
class Server(WireClient):
    """A running hub and one agency that may use it."""

    settings: Settings
    pid: int

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """What comes back for these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                return answer.status, answer.read()

    def entries(self) -> int:
        engine = open_engine(self.settings.database_url)
        with engine.connect() as conn:
            count = conn.execute(select(func.count()).select_from(log_entry)).scalar_one()
        engine.dispose()
        return int(count)


def environment(folder: Path, port: int) -> dict[str, str]:
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    return {
        "HOMEWARD_ORIGIN": "exchange.example",
        "HOMEWARD_BASE_URL": f"http://127.0.0.1:{port}",
        "HOMEWARD_DATABASE_URL": f"sqlite:///{folder}/data/hub.sqlite",
        "HOMEWARD_DATA_DIR": f"{folder}/data",
        "HOMEWARD_GUARD_DIR": f"{folder}/guard",
        "HOMEWARD_KEY_PASSPHRASE_FILE": str(passphrase),
        "HOMEWARD_ENVIRONMENT": "development",
        "HOMEWARD_INSECURE_HTTP": "1",
        "HOMEWARD_INSECURE_KDF": "1",
    }


def prepare(settings: Settings, keys: Sequence[AuthKey], *, kind: str) -> None:
    for directory in (settings.data_dir, settings.guard_dir):
        directory.mkdir(parents=True)
    create_hub_keys(settings, datetime.now(UTC))
    migrate(settings)
    agency = {"agency": AGENCY, "kind": kind, "status": "active"}
    engine = open_engine(settings.database_url)
    with engine.begin() as conn:
        conn.execute(insert(directory_agency), filled(directory_agency, agency))
        for public in (key.public for key in keys):
            row = {"kid": public.kid, "agency": AGENCY, "use": "auth", "alg": public.alg, "raw": public.raw}
            conn.execute(insert(directory_key), filled(directory_key, row | {"status": "active", "nbf": 0}))
    engine.dispose()


@contextmanager
def served(
    folder: Path,
    keys: Sequence[AuthKey],
    *,
    kind: str = "ngo",
    extra: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
) -> Iterator[Server]:
    """Make the hub in `folder`, serve it for the block.

    `extra` are settings beside the usual ones; `within` is a command that takes the server's command, and
    becomes it.
    """
    port = free_port()
    env = environment(folder, port) | dict(extra or {})
    settings = Settings.from_environment(env)
    prepare(settings, keys, kind=kind)
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", str(WORKERS), "--blocking-threads", "4", "--no-access-log"]
    quiet = (folder / "server.log").open("wb")
    with subprocess.Popen(
        [*within, *command, "wsgi:app"],
        cwd=ROOT,
        env=os.environ | env,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    ) as process:
        try:
            running = Server(port, settings.base_url, AGENCY, keys[0], settings=settings, pid=process.pid)
            wait_for(running, process)
            # A worker that is late would make its own start-up checks in the middle of a test.
            wait_for_workers(folder / "server.log", process)
            yield running
        finally:
            stop(process)
            quiet.close()


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        # Its workers with it: they are in a group of their own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_workers(log: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert process.poll() is None, "the server stopped"
        if log.read_bytes().count(b"Started worker-") >= WORKERS:
            return
        time.sleep(0.1)
    raise AssertionError("a worker did not start")


def wait_for(server: Server, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert process.poll() is None, "the server stopped"
        try:
            if server.send("GET", "/healthz", None, {})[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer")
