"""What every test of a refused deposit does: send it, and make sure that nothing of it stays."""

from typing import Any

import pytest

from exchange.hub.models.envelopes import chain_head, grant, manifest
from exchange.hub.models.parts import part
from exchange.hub.services import deposit
from exchange_keys.envelope import SealedEnvelope
from exchange_schemas.codec import b64u, sha256, unb64u
from exchange_schemas.errors import (
    ExchangeError,
)
from exchange_schemas.ids import Digest
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import World
from tests.integration.messages.edits import body_of

TABLES = (manifest, grant, part, chain_head)
OTHER = Digest(b64u(sha256(b"other")))


def refused(
    world: World, snd: Agency, sent: SealedEnvelope | dict[str, Any], error: type[ExchangeError]
) -> ExchangeError:
    """Deposit; the refusal, after making sure that nothing stays but its entry."""
    before = [world.count(table) for table in TABLES]
    body = sent if isinstance(sent, dict) else body_of(sent)
    with pytest.raises(error) as caught:
        deposit.deposit(world.hub, world.caller(snd), body)
    assert type(caught.value) is error
    assert [world.count(table) for table in TABLES] == before
    if "receipt" in vars(caught.value):
        entry = world.last()
        assert (entry.act, entry.out, entry.rsn) == ("envelope:deposit", "deny", error.code)
        assert entry.org == snd.id
    return caught.value


def flipped(text: str) -> str:
    data = bytearray(unb64u(text, field="x"))
    data[-1] ^= 1
    return b64u(bytes(data))
