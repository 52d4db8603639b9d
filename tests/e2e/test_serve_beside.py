"""The processes beside the workers of `serve`: which there are, and that none outlives the server."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.sandbox.hub import LocalHub

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]

PATIENCE_S = 30.0


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    made = LocalHub(tmp_path, origin="beside.example")
    made.create()
    made.start()
    yield made
    made.stop()


def pid_of(hub: LocalHub) -> int:
    assert hub._process is not None
    return hub._process.pid


def below(pid: int) -> dict[int, bytes]:
    """The processes under this one, at any depth, with their command lines."""
    parents: dict[int, tuple[int, bytes]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents[int(folder.name)] = parent, (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
    found: dict[int, bytes] = {}
    wanted = {pid}
    while wanted:
        more = {child for child, (parent, _) in parents.items() if parent in wanted}
        found |= {child: parents[child][1] for child in more}
        wanted = more
    return found


def fresh(processes: dict[int, bytes]) -> list[int]:
    """Those that were started anew and not forked."""
    return [pid for pid, line in processes.items() if b"spawn_main" in line]


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + PATIENCE_S
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < until, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_sender(hub: LocalHub) -> dict[int, bytes]:
    until = time.monotonic() + PATIENCE_S
    while not fresh(found := below(pid_of(hub))):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_all_end_with_the_server(hub: LocalHub, tmp_path: Path) -> None:
    found = wait_for_sender(hub)
    # Two workers, the keeper, the upkeep, the sender, and what multiprocessing keeps for itself.
    assert len(found) >= 5
    assert len(fresh(found)) == 1
    hub.stop()
    wait_until_gone(list(found))
    assert b"Traceback" not in (tmp_path / "hub.log").read_bytes()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_keeper_that_is_killed_is_started_again_with_its_works(hub: LocalHub, tmp_path: Path) -> None:
    found = wait_for_sender(hub)
    (sender,) = fresh(found)
    keeper = parent_of(sender)
    works = below(keeper)
    os.kill(keeper, signal.SIGKILL)
    wait_until_gone([keeper, *works])
    (other,) = fresh(wait_for_sender(hub))
    assert parent_of(parent_of(other)) == pid_of(hub)
    found = below(pid_of(hub))
    hub.stop()
    wait_until_gone(list(found))
    assert b"Traceback" not in (tmp_path / "hub.log").read_bytes()


def test_none_outlives_a_server_that_is_killed(hub: LocalHub) -> None:
    found = wait_for_sender(hub)
    os.kill(pid_of(hub), signal.SIGKILL)
    hub.wait()
    wait_until_gone(list(found))
    # Nobody holds its port: the same server can be started again.
    hub.start()
    assert below(pid_of(hub))
