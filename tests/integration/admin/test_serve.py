"""`exchange-hub serve` answers over HTTP from several workers, and stops cleanly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from exchange_schemas.entry import Act
from tests.integration.admin.conftest import HUB_PASSPHRASE, Shell, on_postgres
from tests.integration.ports import free_port

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
START_S = 60
COMMAND = [sys.executable, "-c", "from exchange.hub.admin.cli import main; main()"]


@contextmanager
def serving(shell: Shell, port: int, *more: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A running server; killed at the end if the test has not stopped it."""
    words = [*COMMAND, "serve", "--data-dir", shell.path("hub"), "--port", str(port), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, env={**os.environ, **shell.env}, **pipes, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
        process.kill()
        process.communicate()


def answer(port: int, path: str) -> bytes:
    """The body at `path`, waiting for the server to come up."""
    end = time.monotonic() + START_S
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as found:
                return bytes(found.read())
        except (URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_it_serves_until_it_is_told_to_stop(made: Shell) -> None:
    port = free_port()
    with serving(made, port, "--workers", "2", "--json") as server:
        assert json.loads(answer(port, "/readyz")) == {"status": "ready"}
        pins = json.loads(answer(port, "/v1/deployment"))
        assert pins["governance"]["operators"][0]["name"] == "asha"
        assert server.stdout is not None
        line = json.loads(server.stdout.readline())
        assert line == {"base_url": "https://exchange.example", "url": f"http://127.0.0.1:{port}"}
        said = made.run("serve", "--port", str(port), code=1)
        assert "in use" in said.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert (made.entries()[-1].act, made.entries()[-1].opr) == (Act.HUB_START, "hub")


def bound(server: int) -> list[int]:
    """The processors that the server's processes are bound to, one for each that is bound."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            where = os.sched_getaffinity(int(folder.name))
            if parent == server and len(where) == 1:
                found += where
    return sorted(found)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one processor"
)
def test_each_worker_has_a_processor_of_its_own_unless_told_otherwise(made: Shell) -> None:
    for more, count in (("--pin", 2), ("--no-pin", 0)):
        port = free_port()
        with serving(made, port, "--workers", "2", more) as server:
            assert json.loads(answer(port, "/readyz")) == {"status": "ready"}
            # The other worker may still be on its way.
            end = time.monotonic() + START_S
            while len(bound(server.pid)) < count and time.monotonic() < end:
                time.sleep(0.05)
            found = bound(server.pid)
            assert len(found) == len(set(found)) == count


@on_postgres
def test_a_passphrase_from_a_descriptor_serves_every_worker(made: Shell) -> None:
    settings = made.folder / "hub" / "hub.env"
    lines = [line for line in settings.read_text().splitlines() if "PASSPHRASE" not in line]
    settings.write_text("\n".join(lines) + "\n")
    reader, writer = os.pipe()
    os.write(writer, f"{HUB_PASSPHRASE}\n".encode())
    os.close(writer)
    made.env["HOMEWARD_KEY_PASSPHRASE_FD"] = str(reader)
    port = free_port()
    with serving(made, port, "--workers", "3", pass_fds=(reader,)) as server:
        os.close(reader)
        for _ in range(6):
            assert json.loads(answer(port, "/readyz")) == {"status": "ready"}
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--host", "203.0.113.1"], 2, "cannot listen"),
        (["--port", "0"], 2, "--port"),
        (["--workers", "0"], 2, "--workers"),
    ],
)
def test_it_does_not_start_where_it_cannot_listen(made: Shell, more: list[str], code: int, says: str) -> None:
    assert says in made.run("serve", *more, code=code).stderr


def test_it_does_not_start_when_a_check_does_not_hold(bare: Shell) -> None:
    before = len(bare.entries())
    bare.run("db", "downgrade", "0002")
    assert "S1-schema" in bare.run("serve", "--port", str(free_port()), code=1).stderr
    bare.run("db", "upgrade")
    assert len(bare.entries()) == before
