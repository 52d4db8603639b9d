"""Timing two ways of doing a thing in turn, so that a machine whose speed drifts is fair to both."""

import statistics
import time
from collections.abc import Callable


def paired(
    ours: Callable[[], object], floor: Callable[[], object], *, rounds: int = 15, inner: int = 5
) -> tuple[float, float, float]:
    """Median seconds of one `ours`, of one `floor`, and the median ratio ours/floor, taken round by round."""
    ours()
    floor()
    ours_times, floor_times, ratios = [], [], []
    for _ in range(rounds):
        first = _seconds(ours, inner)
        second = _seconds(floor, inner)
        ours_times.append(first)
        floor_times.append(second)
        ratios.append(first / second)
    return statistics.median(ours_times), statistics.median(floor_times), statistics.median(ratios)


def _seconds(work: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times
