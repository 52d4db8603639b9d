"""The deployment file: the witnesses that it may name."""

import pytest

from exchange.log.cosignature import cosigner_vkey
from exchange.member.deployment import Deployment
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u, encode
from exchange_schemas.errors import ConfigInvalid

KEY = SigningKey.from_seed(bytes(32))
WITNESS = cosigner_vkey("w.example", KEY.public.raw)


def file_with(**more: JsonValue) -> bytes:
    operator: JsonValue = {"name": "asha", "kid": KEY.public.kid, "key": b64u(KEY.public.raw)}
    members: dict[str, JsonValue] = {
        "origin": "homeward.test",
        "base_url": "https://hub.example",
        "governance": {"k": 1, "operators": [operator]},
        "directory_vkey": "d",
        "audit_vkey": "a",
    }
    return encode(members | more)


def test_a_deployment_without_witnesses_keeps_its_bytes() -> None:
    data = file_with()
    assert Deployment.from_bytes(data).witnesses is None
    assert Deployment.from_bytes(data).to_bytes() == data


def test_named_witnesses_are_read_and_written() -> None:
    data = file_with(directory_witnesses={"quorum": 1, "vkeys": [WITNESS]})
    found = Deployment.from_bytes(data)
    assert found.witnesses is not None
    assert (found.witnesses.needed, [one.name for one in found.witnesses.witnesses]) == (1, ["w.example"])
    assert found.to_bytes() == data


@pytest.mark.parametrize(
    "witnesses",
    [
        [],
        {"quorum": 1},
        {"quorum": True, "vkeys": [WITNESS]},
        {"quorum": 2, "vkeys": [WITNESS]},
        {"quorum": 1, "vkeys": [WITNESS.replace("w", "x", 1)]},
        {"quorum": 1, "vkeys": [7]},
    ],
)
def test_witnesses_that_prove_nothing_are_refused(witnesses: JsonValue) -> None:
    with pytest.raises(ConfigInvalid):
        Deployment.from_bytes(file_with(directory_witnesses=witnesses))
