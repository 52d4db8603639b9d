"""Tests that are worth running for hours: briefly in `make test`, at length in `make soak`.

A soak test bears the marker `soak` and takes its count from here: `@soaked(300)` for a hypothesis test (300
examples in `make test`), `rounds(20)` for a loop. `make soak` runs `pytest -m soak` with the environment
variable SOAK, by which every count is multiplied; nothing else of a test may depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Test = TypeVar("Test", bound=Callable[..., Any])


def rounds(short: int) -> int:
    """How many times in this run: `short` in `make test`, SOAK times as many in `make soak`."""
    return short * int(os.environ.get("SOAK", "1"))


def soaked(short: int) -> Callable[[Test], Test]:
    """Mark a hypothesis test as a soak test with `short` examples in `make test`."""

    def mark(test: Test) -> Test:
        untimed = settings(
            max_examples=rounds(short), deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        marked: Test = pytest.mark.soak(untimed(test))
        return marked

    return mark
