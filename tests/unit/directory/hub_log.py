"""The hub's log over some events, as a client sees it, and the copies that follow it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from exchange.directory.replay import leaf_data
from exchange.directory.rules import governance_pin
from exchange.directory.snapshot import DirectoryLog, Page, PageEvent
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tree import consistency_proof, leaf_hash, root_of
from exchange_schemas.errors import (
    ExchangeError,
)
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    ORIGIN,
    Deployment,
    Event,
    signing_key,
)

LOG_NAME = f"{ORIGIN}/directory"
LOG_KEY = signing_key("hub", "directory log")
VKEY = vkey(LOG_NAME, LOG_KEY.public.raw)


@dataclass
class Hub:
    """The hub's log over some events; `page` is what it answers."""

    events: list[Event]

    def leaves(self, size: int) -> list[bytes]:
        return [leaf_hash(leaf_data(signed)) for signed, _ in self.events[:size]]

    def note(self, size: int) -> str:
        return sign_checkpoint(Checkpoint(LOG_NAME, size, root_of(self.leaves(size))), LOG_KEY)

    def page(self, after: int, *, size: int | None = None, most: int = 500) -> Page:
        size = len(self.events) if size is None else size
        leaves = self.leaves(size)

        def read(level: int, index: int) -> bytes:
            return root_of(leaves[index << level : (index + 1) << level])

        last = min(size, after + most)
        return Page(
            tuple(PageEvent(index, *self.events[index]) for index in range(after, last)),
            size,
            self.note(size),
            tuple(consistency_proof(after, size, read)),
        )


def world() -> Deployment:
    return Deployment().begin().join(ALPHA).join(BETA)


WORLD = world()
HUB = Hub(WORLD.log)
PIN = governance_pin(WORLD.log[0][0])
SIZE = len(WORLD.log)


def joined() -> DirectoryLog:
    return DirectoryLog.join(ORIGIN, pin=PIN, vkeys=[VKEY])


def follow(log: DirectoryLog, hub: Hub, *, most: int = 500) -> DirectoryLog:
    while not log.complete or log.state.size < len(hub.events):
        log = log.apply(hub.page(log.state.size, most=most)).log
    return log


def refused(log: DirectoryLog, page: Page, error: type[ExchangeError], rule: str | None = None) -> None:
    with pytest.raises(error) as caught:
        log.apply(page)
    assert type(caught.value) is error
    assert rule is None or caught.value.rule == rule


def longer(*more: Callable[[Deployment], Event]) -> Hub:
    """The hub after further events."""
    later = world()
    later.log = list(WORLD.log)
    later.state, later.now = WORLD.state, WORLD.now
    for make in more:
        later.apply(*make(later))
    return Hub(later.log)
