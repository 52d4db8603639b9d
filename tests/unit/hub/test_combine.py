"""Threads' work taken together: each item once, in order, never more at once than allowed."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from exchange.hub.combine import Claim, Combiner

LONG_S = 30.0


class Worker:
    """Does lists of items one after the other; the first waits until it is told to go on."""

    def __init__(self) -> None:
        self.lists: list[list[int]] = []
        self.go = threading.Event()
        self.at_work = 0

    def do(self, claim: Claim) -> None:
        self.at_work += 1
        assert self.at_work == 1
        items = list(claim())
        self.lists.append(items)
        assert self.go.wait(LONG_S)
        self.at_work -= 1
        if 13 in items:
            raise ValueError("thirteen")


def run_behind_one(combiner: Combiner, worker: Worker, items: Sequence[int]) -> list[BaseException | None]:
    """Item 0 is at work; the others come in their order and wait for it. What each of them got."""
    with ThreadPoolExecutor(len(items) + 1) as threads:
        first = threads.submit(combiner.run, 0, worker.do)
        until(lambda: worker.lists != [])
        rest = []
        for place, item in enumerate(items, start=1):
            rest.append(threads.submit(combiner.run, item, worker.do))
            until(lambda place=place: len(combiner._waiting) == place)  # type: ignore[misc]
        worker.go.set()
        first.result(LONG_S)
        return [one.exception(LONG_S) for one in rest]


def until(holds: object) -> None:
    deadline = time.monotonic() + LONG_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_waits_is_taken_together_and_in_order() -> None:
    worker = Worker()
    assert run_behind_one(Combiner(), worker, [1, 2, 3]) == [None] * 3
    assert worker.lists == [[0], [1, 2, 3]]


def test_never_more_at_once_than_allowed() -> None:
    worker = Worker()
    run_behind_one(Combiner(most=2), worker, [1, 2, 3, 4, 5])
    assert worker.lists == [[0], [1, 2], [3, 4], [5]]


def test_a_failure_is_that_of_everybody_in_the_list_and_of_nobody_else() -> None:
    worker = Worker()
    found = run_behind_one(Combiner(most=2), worker, [1, 13, 2])
    assert [type(one) for one in found] == [ValueError, ValueError, type(None)]


def test_it_goes_on_after_a_failure() -> None:
    combiner, worker = Combiner(), Worker()
    worker.go.set()
    with pytest.raises(ValueError, match="thirteen"):
        combiner.run(13, worker.do)
    worker.at_work = 0
    combiner.run(1, worker.do)
    assert worker.lists == [[13], [1]]


def test_every_item_is_done_exactly_once_by_many_threads() -> None:
    combiner, done = Combiner(most=3), list[int]()
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda item: combiner.run(item, lambda claim: done.extend(claim())), range(600)))
    assert sorted(done) == list(range(600))


@pytest.mark.parametrize("fails", [False, True])
def test_what_comes_before_they_are_claimed_is_taken_as_well_and_fails_as_well(fails: bool) -> None:
    combiner, lock_is_free, lists = Combiner(most=3), threading.Event(), list[list[int]]()

    def do(claim: Claim) -> None:
        assert lock_is_free.wait(LONG_S)
        if fails and not lists:
            lists.append([])
            raise ValueError("the lock never came")
        lists.append(list(claim()))

    with ThreadPoolExecutor(4) as threads:
        given = []
        for item in range(4):
            given.append(threads.submit(combiner.run, item, do))
            until(lambda: len(combiner._waiting) == len(given))
        lock_is_free.set()
        found = [one.exception(LONG_S) for one in given]
    assert lists == ([[], [3]] if fails else [[0, 1, 2], [3]])
    assert [type(one) for one in found] == [ValueError if fails else type(None)] * 3 + [type(None)]
