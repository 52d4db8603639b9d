"""Timing ways of doing a thing in turn, so that a machine whose speed drifts is fair to all of them."""

import statistics
import time
from collections.abc import Callable, Sequence

Work = Callable[[], object]


def paired(ours: Work, floor: Work, *, rounds: int = 15, inner: int = 5) -> tuple[float, float, float]:
    """Median CPU seconds of one `ours`, of one `floor`, and the median ratio ours/floor, round by round."""
    mine, raw = in_turn((ours, floor), rounds=rounds, inner=inner)
    return statistics.median(mine), statistics.median(raw), median_ratio(mine, raw)


def in_turn(works: Sequence[Work], *, rounds: int, inner: int) -> list[list[float]]:
    """CPU seconds of one call of each work, one figure for each round; a round runs every work once."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, found in zip(works, times, strict=True):
            found.append(seconds_of(work, inner))
    return times


def median_ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """The median of ours/floor, taken round by round."""
    return statistics.median(one / other for one, other in zip(ours, floor, strict=True))


def seconds_of(work: Work, times: int) -> float:
    """CPU seconds of one call, over so many."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times
