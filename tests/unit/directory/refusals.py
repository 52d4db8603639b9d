"""That an event is refused for one reason and changes nothing."""

from dataclasses import replace

import pytest

from exchange_keys.jws import Signed
from exchange_schemas.errors import (
    ExchangeError,
)
from tests.unit.directory.applying import apply_event
from tests.unit.directory.deployment import (
    Deployment,
    Event,
)


def refused(
    world: Deployment, event: Signed | Event, error: type[ExchangeError], rule: str | None = None
) -> None:
    """The event is refused for this reason, and the state is what it was."""
    before = world.state
    signed, keys = (event, {}) if isinstance(event, Signed) else event
    with pytest.raises(error) as caught:
        apply_event(world.state, signed, keys)
    assert type(caught.value) is error
    assert rule is None or caught.value.rule == rule
    assert world.state is before


def flipped(signed: Signed) -> Signed:
    """The same event with one bit of its last signature turned."""
    *rest, last = signed.signatures
    broken = last.signature[:-1] + bytes([last.signature[-1] ^ 1])
    return Signed(signed.payload, (*rest, replace(last, signature=broken)))
