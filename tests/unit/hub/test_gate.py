"""Turns at the write lock: one at a time, nobody forgotten, and a process that dies leaves its turn."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exchange.hub.gate import WriteGate

LONG_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sqlite-gate"


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the turn until a line is sent to it."""
    program = """
        import sys
        from pathlib import Path
        from exchange.hub.gate import WriteGate
        gate = WriteGate(Path(sys.argv[1]))
        assert gate.acquire(30)
        print("has it", flush=True)
        sys.stdin.readline()
        gate.release()
        print("gave it", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "has it\n"
            yield process
        finally:
            process.kill()


def test_whoever_waits_too_long_gets_no_turn(path: Path) -> None:
    gate = WriteGate(path)
    with holder(path):
        assert not gate.acquire(0.05)
        # And is not in anybody's way afterwards.
        assert not gate.acquire(0.05)


def test_a_turn_that_is_given_is_taken_by_whoever_waits(path: Path) -> None:
    gate = WriteGate(path)
    with holder(path) as process:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert gate.acquire(LONG_S)
        gate.release()


def test_a_process_that_is_killed_leaves_its_turn(path: Path) -> None:
    gate = WriteGate(path)
    with holder(path) as process:
        process.kill()
        assert gate.acquire(LONG_S)
        gate.release()


def test_threads_have_it_one_at_a_time_and_each_in_the_end(path: Path) -> None:
    gate = WriteGate(path)
    inside: list[int] = []
    seen: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            assert gate.acquire(LONG_S)
            inside.append(number)
            seen.append(len(inside))
            inside.pop()
            gate.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 200


def test_two_processes_never_have_it_at_once(path: Path, tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from exchange.hub.gate import WriteGate
        gate, inside = WriteGate(Path(sys.argv[1])), Path(sys.argv[2])
        for _ in range(200):
            assert gate.acquire(30)
            inside.touch(exist_ok=False)
            inside.unlink()
            gate.release()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path), str(tmp_path / "inside")]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
