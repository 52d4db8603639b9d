"""Damaged events and pages are refused by one of our errors, and never change the state."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.directory.snapshot import Page
from exchange_keys.jws import Signature, Signed
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ExchangeError, Malformed
from exchange_schemas.ids import Kid
from tests.unit.directory.applying import apply_event
from tests.unit.directory.deployment import ALPHA, GAMMA, Deployment, root_key, signers_of

WORLD = Deployment().begin().join(ALPHA)
EVENTS: list[tuple[Signed, Mapping[Kid, bytes]]] = [
    (WORLD.governance(), {}),
    (WORLD.admit(GAMMA), {}),
    WORLD.root_set(names=(ALPHA, "new"), signers=signers_of(root_key(ALPHA, "new"), root_key(ALPHA))),
    WORLD.key(name="2"),
    (WORLD.drain(), {}),
    (WORLD.revoke(), {}),
    (WORLD.suspend(), {}),
    (WORLD.expel(), {}),
]


def flip(data: bytes, at: int, bit: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@pytest.mark.parametrize("event", EVENTS)
def test_each_of_these_events_is_lawful_as_it_stands(event: tuple[Signed, Mapping[Kid, bytes]]) -> None:
    assert apply_event(WORLD.state, *event).size == WORLD.state.size + 1


@given(st.sampled_from(EVENTS), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_of_the_payload_is_refused(
    event: tuple[Signed, Mapping[Kid, bytes]], at: int, bit: int
) -> None:
    signed, keys = event
    with pytest.raises(ExchangeError):
        apply_event(WORLD.state, Signed(flip(signed.payload, at, bit), signed.signatures), keys)


@given(st.sampled_from(EVENTS), st.integers(0), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_of_a_signature_or_its_header_is_refused(
    event: tuple[Signed, Mapping[Kid, bytes]], which: int, at: int, bit: int
) -> None:
    signed, keys = event
    which %= len(signed.signatures)

    def damaged(change: str) -> Signed:
        item = signed.signatures[which]
        broken: Signature = replace(item, **{change: flip(getattr(item, change), at, bit)})
        listed = (*signed.signatures[:which], broken, *signed.signatures[which + 1 :])
        return Signed(signed.payload, listed)

    for change in ("signature", "protected"):
        with pytest.raises(ExchangeError):
            apply_event(WORLD.state, damaged(change), keys)


@given(st.sampled_from(EVENTS), st.integers(0))
def test_a_missing_signature_is_refused(event: tuple[Signed, Mapping[Kid, bytes]], which: int) -> None:
    signed, keys = event
    which %= len(signed.signatures)
    fewer = Signed(signed.payload, signed.signatures[:which] + signed.signatures[which + 1 :])
    with pytest.raises(ExchangeError):
        apply_event(WORLD.state, fewer, keys)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values, st.sampled_from(["events", "size", "checkpoint", "consistency"]))
def test_any_json_is_a_page_or_malformed(value: JsonValue, name: str) -> None:
    with pytest.raises(Malformed):
        Page.from_json(value)
    empty: dict[str, JsonValue] = {"events": [], "size": 0, "checkpoint": "", "consistency": []}
    page = {**empty, name: value}
    try:
        Page.from_json(page)
    except Malformed:
        return
    assert type(value) is type(empty[name])
