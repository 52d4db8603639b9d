"""The keeper of the processes beside a server, with real processes: starts again, takes along, ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 30.0
SERVER = """
    import os, signal, sys, time
    from pathlib import Path
    from exchange.hub.admin import beside

    folder = Path(sys.argv[1])
    beside.AGAIN_S = 0.1

    def patient(wait):
        (folder / f"run-{os.getpid()}").touch()
        while not wait(0.05):
            if (folder / "forbidden").exists():
                return beside.END_THE_SERVER
        (folder / f"ended-{os.getpid()}").touch()
        return 0

    def told(number, frame):
        (folder / "told").touch()
        stop()
        sys.exit(0)

    stop = beside.start_beside([beside.Work("test", patient)])
    signal.signal(signal.SIGTERM, told)
    while True:
        time.sleep(0.05)
"""


@contextmanager
def server(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(folder: Path, pattern: str, number: int = 1) -> list[int]:
    """The processes that left so many of these files."""
    until = time.monotonic() + PATIENCE_S
    while len(found := sorted(folder.glob(pattern), key=lambda one: one.stat().st_mtime_ns)) < number:
        assert time.monotonic() < until, pattern
        time.sleep(0.02)
    return [int(one.name.partition("-")[2] or 0) for one in found]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while is_running(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_work_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with server(tmp_path):
        (first,) = wait_for(tmp_path, "run-*")
        os.kill(first, signal.SIGKILL)
        assert len(set(wait_for(tmp_path, "run-*", 2))) == 2


def test_a_server_that_ends_lets_its_works_end_by_themselves(tmp_path: Path) -> None:
    with server(tmp_path) as process:
        (work,) = wait_for(tmp_path, "run-*")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert wait_for(tmp_path, "ended-*") == [work]
        wait_until_gone(work)


def test_a_server_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    with server(tmp_path) as process:
        (work,) = wait_for(tmp_path, "run-*")
        process.kill()
        wait_until_gone(work)


def test_a_work_with_proof_against_the_hub_ends_the_server(tmp_path: Path) -> None:
    with server(tmp_path) as process:
        wait_for(tmp_path, "run-*")
        (tmp_path / "forbidden").touch()
        assert process.wait(PATIENCE_S) == 0
        wait_for(tmp_path, "told")
        assert len(list(tmp_path.glob("run-*"))) == 1
