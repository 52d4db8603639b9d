"""The deployment file: the witnesses that it may name."""

from datetime import UTC, datetime

import pytest

from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.cosignature import cosign, cosigner_vkey
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


def test_the_audit_log_s_witnesses_are_a_policy_with_addresses() -> None:
    named: JsonValue = {"quorum": 1, "vkeys": [WITNESS], "urls": ["https://w.example/x"]}
    data = file_with(witnesses=named)
    found = Deployment.from_bytes(data)
    assert found.to_bytes() == data
    assert found.audit_witnesses is not None
    log = vkey("homeward.test/audit", KEY.public.raw)
    policy = found.audit_witnesses.policy(log)
    assert [one.url for one in policy.witnesses.values()] == ["https://w.example/x"]
    note = sign_checkpoint(Checkpoint("homeward.test/audit", 1, bytes(32)), KEY)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert not policy.judge(note, now).quorum.witnessed
    assert policy.judge(note + cosign(note, KEY, "w.example", now), now).quorum.when == now


@pytest.mark.parametrize(
    "witnesses",
    [
        {"quorum": 1, "vkeys": [WITNESS]},
        {"quorum": 1, "vkeys": [WITNESS], "urls": []},
        {"quorum": 1, "vkeys": [WITNESS], "urls": "https://w.example"},
        {"quorum": 1, "vkeys": [WITNESS], "urls": ["http://w.example"]},
        {"quorum": 1, "vkeys": [WITNESS], "urls": ["https://w.example a"]},
        {"quorum": 1, "vkeys": [WITNESS], "urls": ["https://[w"]},
        {"quorum": 1, "vkeys": [WITNESS], "urls": ["w.example"]},
        {"quorum": 0, "vkeys": [WITNESS], "urls": ["https://w.example"]},
    ],
)
def test_witnesses_of_the_audit_log_that_nobody_can_ask_are_refused(witnesses: JsonValue) -> None:
    with pytest.raises(ConfigInvalid):
        Deployment.from_bytes(file_with(witnesses=witnesses))


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
