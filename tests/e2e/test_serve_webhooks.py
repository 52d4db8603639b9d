"""The server starts the process that sends webhooks, without its keys, and takes it along when it ends."""

import time
from pathlib import Path

import pytest

from exchange.sandbox.hub import LocalHub

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]


def spawned_by(pid: int) -> list[int]:
    """The children of a process that were spawned, not forked."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == pid and b"spawn_main" in line:
            found.append(int(folder.name))
    return found


def test_the_sender_lives_as_long_as_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    hub = LocalHub(tmp_path, origin="webhooks.example")
    hub.create()
    hub.start()
    assert hub._process is not None
    (sender,) = spawned_by(hub._process.pid)
    hub.stop()
    while Path(f"/proc/{sender}").exists():
        time.sleep(0.05)
    assert b"Traceback" not in (tmp_path / "hub.log").read_bytes()
