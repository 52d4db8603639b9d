"""Questions and their answers between two agencies, matched in the order they were asked. Pure.

The log does not say which message answers which, on purpose. So an answer from B to A is taken for the
oldest open question from A to B. Memory is bounded: of each pair the oldest open questions are remembered one
by one, the rest is only counted.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
BINS: Final = (
    ("under 1 hour", HOUR_US),
    ("1 to 4 hours", 4 * HOUR_US),
    ("4 to 24 hours", DAY_US),
    ("1 to 3 days", 3 * DAY_US),
    ("3 to 7 days", 7 * DAY_US),
    ("7 to 30 days", 30 * DAY_US),
)
LAST_BIN: Final = "over 30 days"
_REMEMBERED: Final = 256
_ASKED: Final = "asked"


def bin_of(waited_us: int) -> str:
    """The name of the bin of a waiting time."""
    return next((name for name, below in BINS if waited_us < below), LAST_BIN)


@dataclass(frozen=True, slots=True)
class Open:
    """Questions without an answer from `asked` to `by`: how many, and when the oldest was put, µs."""

    by: str
    asked: str
    count: int
    oldest: int


@dataclass(frozen=True, slots=True)
class PairTimes:
    """Questions from `by` to `of`: how many, how many were answered, the bin of the middle answer's time."""

    by: str
    of: str
    asked: int
    answered: int
    middle: str


@dataclass(slots=True)
class _Queue:
    times: deque[int] = field(default_factory=deque)
    more: int = 0


@dataclass(slots=True)
class Questions:
    """All questions of one sort: `waited` counts answers by bin, the others by who had to answer."""

    waited: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    quick: Counter[str] = field(default_factory=Counter)
    pairs: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    _open: dict[tuple[str, str], _Queue] = field(default_factory=dict)

    def ask(self, by: str, of: str, at: int) -> None:
        """A question from `by` to `of` at `at`, µs."""
        self.asked[of] += 1
        self.pairs.setdefault((by, of), Counter())[_ASKED] += 1
        queue = self._open.setdefault((by, of), _Queue())
        if len(queue.times) < _REMEMBERED:
            queue.times.append(at)
        else:
            queue.more += 1

    def answer(self, by: str, to: str, at: int) -> None:
        """An answer from `by` to `to`; one that nobody asked for is ignored."""
        queue = self._open.get((to, by))
        if queue is None:
            return
        waited = at - queue.times.popleft()
        self.waited[bin_of(waited)] += 1
        self.pairs[to, by][bin_of(waited)] += 1
        self.answered[by] += 1
        self.quick[by] += waited < DAY_US
        if queue.more:
            # Its own time is not known any more: as late as the last one that is.
            queue.more -= 1
            queue.times.append(queue.times[-1] if queue.times else at)
        if not queue.times:
            del self._open[to, by]

    def times(self) -> list[PairTimes]:
        """How long each agency waits for each other one, most asked first."""
        found = [_times(*pair, counts) for pair, counts in self.pairs.items()]
        return sorted(found, key=lambda item: (-item.asked, item.by, item.of))

    def open(self) -> list[Open]:
        """What is still unanswered, the oldest first."""
        found = [
            Open(by, of, len(queue.times) + queue.more, queue.times[0])
            for (by, of), queue in self._open.items()
        ]
        return sorted(found, key=lambda item: item.oldest)


def _times(by: str, of: str, counts: Counter[str]) -> PairTimes:
    names = [*(name for name, _ in BINS), LAST_BIN]
    answered, passed, middle = sum(counts[name] for name in names), 0, ""
    for name in names:
        passed += counts[name]
        if answered and passed * 2 >= answered:
            middle = name
            break
    return PairTimes(by, of, counts[_ASKED], answered, middle)
