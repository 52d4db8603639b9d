"""Visits to several witnesses at once: one that hangs keeps its thread, one that has ended is made again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from exchange.hub.services.visits import THREAD, Visits

Put = Callable[[str], None]
LONG_S = 30.0


@dataclass
class Witness:
    """Puts its name at each visit, and ends the visit only when it is `let_go`."""

    name: str
    visits: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)

    def visit(self, put: Put) -> None:
        self.visits += 1
        put(self.name)
        self.let_go.wait(LONG_S)


@pytest.fixture
def slow() -> Iterator[Witness]:
    witness = Witness("slow")
    yield witness
    witness.let_go.set()
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(LONG_S)


@pytest.fixture
def quick() -> Witness:
    witness = Witness("quick")
    witness.let_go.set()
    return witness


def test_a_visit_that_is_about_to_end_is_waited_for_and_made_again() -> None:
    made = []

    def visit(put: Put) -> None:
        made.append("visit")
        put("answer")
        # It has put all that it had; its thread still closes its connection.
        time.sleep(0.2)

    visits = Visits(seconds=LONG_S, ending=LONG_S)
    assert visits.ask({"one": visit}, 1) == ["answer"]
    assert visits.ask({"one": visit}, 1) == ["answer"]
    assert made == ["visit", "visit"]


def test_a_visit_that_lasts_is_not_made_twice_and_the_others_answer(slow: Witness, quick: Witness) -> None:
    visits, work = Visits(seconds=LONG_S, ending=0.0), {"slow": slow.visit, "quick": quick.visit}
    assert sorted(visits.ask(work, 2)) == ["quick", "slow"]
    visits.ending = LONG_S
    assert visits.ask({"quick": quick.visit}, 1) == ["quick"]
    visits.ending = 0.0
    assert visits.ask({"slow": slow.visit, "other": Witness("other", let_go=slow.let_go).visit}, 1) == [
        "other"
    ]
    assert (slow.visits, quick.visits) == (1, 2)


def test_a_visit_that_ended_at_last_is_made_again(slow: Witness) -> None:
    visits = Visits(seconds=LONG_S, ending=0.0)
    assert visits.ask({"slow": slow.visit}, 1) == ["slow"]
    slow.let_go.set()
    visits.ending = LONG_S
    assert visits.ask({"slow": slow.visit}, 1) == ["slow"]
    assert slow.visits == 2


def test_what_has_not_come_in_time_is_done_without(slow: Witness) -> None:
    def silent(_put: Put) -> None:
        slow.let_go.wait(LONG_S)

    assert Visits(seconds=0.1).ask({"silent": silent}, 1) == []
