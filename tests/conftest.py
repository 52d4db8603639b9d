"""Fixtures every test may use: the shared data folder and fixed clocks; and where temporary files lie."""

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Whatever the machine speaks: tests compare English texts unless they ask for another language.
os.environ["HOMEWARD_LANG"] = "en"

MEMORY = Path("/dev/shm")
LEAST_KIB = 8 * 1024 * 1024


def _in_memory() -> bool:
    """Whether temporary files lie in memory: where there is plenty, and nobody said where they shall lie.

    Programs sync all the same and are killed all the same, but no test cuts the power, and half of a run was
    waiting for the disk. Soaking stays on it.
    """
    if {"SOAK", "TMPDIR", "PYTEST_DEBUG_TEMPROOT"} & set(os.environ) or not os.access(MEMORY, os.W_OK):
        return False
    room = os.statvfs(MEMORY)
    free = re.search(r"^MemAvailable: +([0-9]+) kB", Path("/proc/meminfo").read_text("ascii"), re.M)
    return (
        room.f_bavail * room.f_frsize >= LEAST_KIB * 1024 and free is not None and int(free[1]) >= LEAST_KIB
    )


if _in_memory():
    # For this process, for those that it starts, and for what was asked before this line.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

ORDER = ("unit", "vectors", "vectors_log", "guards", "integration", "sandbox", "e2e")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published vectors and real-format inputs; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the shared data folder ../shared/data is not here")
    return SHARED


@pytest.fixture
def now() -> datetime:
    """One fixed instant, so that no rule depends on the day a test runs."""
    return datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: by folder, and as they stand within one."""
    here = Path(__file__).parent
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(here).parts[0]))


class _ByFile(LoadFileScheduling):
    """A file is one process's work, and so are those that share a sandbox, which takes long to make."""

    def _split_scope(self, nodeid: str) -> str:
        shares = nodeid.startswith("tests/sandbox/")
        return "tests/sandbox" if shares else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile | None:
    """The same as `--dist loadfile`, but for the folder above."""
    return _ByFile(config, log) if config.getvalue("dist") == "loadfile" else None
