"""Fixtures every test may use: the shared data folder and fixed clocks."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

# Whatever the machine speaks: tests compare English texts unless they ask for another language.
os.environ["HOMEWARD_LANG"] = "en"

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
