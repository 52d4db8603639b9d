"""Server processes of the benches: started, waited for, their CPU time read, ended."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import HOST, LoadFailed

_START_S = 30.0
_STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and its port."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time that the process and all that it started have taken; 0 without /proc."""
        return tree_cpu_seconds(self.process.pid)


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, log: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """Run `command` until the block ends; its output goes to `log`. Raises: LoadFailed with the log's end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=clean_environment() | dict(env))
    try:
        _wait(process, port, log)
        yield Server(process, port)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def clean_environment() -> dict[str, str]:
    """The environment without any HOMEWARD_ setting of the person who runs the bench."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOMEWARD_")}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def tree_cpu_seconds(root: int) -> float:
    """CPU seconds of a process, its living descendants, and those of their children that have ended."""
    stats = {pid: found for pid in _pids() if (found := _stat(pid)) is not None}
    total, family = 0, [root]
    while family:
        pid = family.pop()
        family += [child for child, stat in stats.items() if int(stat[1]) == pid]
        if pid in stats:
            # utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5), counted after the name.
            total += sum(int(value) for value in stats[pid][11:15])
    return total / os.sysconf("SC_CLK_TCK")


def _pids() -> list[int]:
    folder = Path("/proc")
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise LoadFailed(f"a server did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
