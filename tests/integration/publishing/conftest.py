"""A hub with something in both logs, and what publishing tests do with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.directory.events import governance_event, operator
from exchange.hub.db import reading
from exchange.hub.services import operators, witnessed
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import HubLog
from exchange.hub.services.publishing import Publisher, Round
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.visits import Visits
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Act

TRACE = Trace(Act.INBOX_LIST)


@pytest.fixture
def begun(hub: Hub, tmp_path: Path) -> Hub:
    """A hub with its first governance event, so that both logs have something to witness."""
    hub.settings.guard_dir.mkdir(parents=True)
    signer = SigningKey.generate()
    event = governance_event(
        origin=hub.settings.origin,
        iat=hub.clock().replace(microsecond=0),
        k=1,
        operators=[operator("asha", signer.public)],
        signers=[signer],
    )
    operators.decide(hub, event)
    return hub


@pytest.fixture
def answer(new_caller: Callable[..., Caller]) -> Callable[[Hub, int], None]:
    """Give so many answers, each with its entry."""

    def give(hub: Hub, count: int) -> None:
        for _ in range(count):
            release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE))

    return give


def publish(hub: Hub, seconds: float = 10.0) -> Round:
    """One round."""
    publisher = Publisher.of(hub)
    publisher.visits.seconds = seconds
    return publisher.round()


def quick() -> Visits:
    return Visits(seconds=1.0)


def shown(hub: Hub, log: HubLog) -> tuple[str, Checkpoint]:
    """What everybody is shown of a log: the note, and its checkpoint under the log's own key."""
    note = witnessed.checkpoint(hub, log)
    return note, open_checkpoint(note, log.pins, origin=log.origin)


def size_of(hub: Hub, log: HubLog) -> int:
    with reading(hub.engine) as conn:
        return log.head(conn).size
