"""Workers take one processor each, as many as there are; who ends leaves the place to the next."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from exchange.hub.admin.cpus import Places

MINE = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
FORK = multiprocessing.get_context("fork")


def work(places: Places, mine: set[int], answers: Connection) -> None:
    os.sched_setaffinity(0, mine)
    taken = places.take()
    answers.send((taken, os.sched_getaffinity(0)))
    answers.recv()


@contextmanager
def worker(
    places: Places, mine: set[int] | None = None
) -> Iterator[tuple[int | None, set[int], BaseProcess]]:
    """A forked process that took a place: which one, where it may run, and itself."""
    here, there = FORK.Pipe()
    process = FORK.Process(target=work, args=(places, set(MINE) if mine is None else mine, there))
    process.start()
    try:
        taken, bound = here.recv()
        yield taken, bound, process
    finally:
        with suppress(OSError):
            here.send(None)
        process.join(30)
        here.close()
        there.close()


@pytest.fixture
def places() -> Iterator[Places]:
    made = Places()
    yield made
    made.close()


@pytest.mark.skipif(len(MINE) < 2, reason="there is one processor: nothing to choose")
def test_as_many_workers_as_processors_have_one_each(places: Places) -> None:
    with worker(places) as one, worker(places) as two:
        assert (one[1], two[1]) == ({one[0]}, {two[0]})
        assert one[0] != two[0]


@pytest.mark.skipif(len(MINE) < 2, reason="there is one processor: nothing to choose")
def test_the_place_of_one_that_was_killed_is_taken_by_the_next(places: Places) -> None:
    both = set(MINE[:2])
    with worker(places, both) as one, worker(places, both) as two:
        one[2].kill()
        one[2].join(30)
        with worker(places, both) as three:
            assert three[0] == one[0] != two[0]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nobody is bound on this system")
def test_where_there_is_one_processor_nothing_is_bound(places: Places) -> None:
    with worker(places, set(MINE[:1])) as alone:
        assert alone[:2] == (None, set(MINE[:1]))
