"""Pages as the hub writes them, and the copy in its local file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.directory.snapshot import DirectoryLog, Page
from exchange.directory.state import ENC
from exchange_schemas.codec import JsonValue, b64u, decode_value, encode
from exchange_schemas.errors import (
    Malformed,
    StoreCorrupt,
)
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    public_key,
)
from tests.unit.directory.hub_log import (
    HUB,
    SIZE,
    follow,
    joined,
    longer,
)


def page_json(page: Page) -> dict[str, JsonValue]:
    return {
        "events": [
            {
                "index": item.index,
                "event": item.signed.to_json(),
                "keys": {kid: b64u(raw) for kid, raw in item.keys.items()},
            }
            for item in page.events
        ],
        "size": page.size,
        "checkpoint": page.checkpoint,
        "consistency": [b64u(item) for item in page.consistency],
    }


def test_a_page_is_read_as_the_hub_writes_it() -> None:
    page = HUB.page(5)
    data = encode(page_json(page))
    assert Page.from_json(decode_value(data, limit=10**7)) == page


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": True},
        {"size": "13"},
        {"checkpoint": None},
        {"events": {}},
        {"events": [None]},
        {"events": [{}] * 501},
        {"consistency": [b64u(bytes(31))]},
        {"consistency": [b64u(bytes(32))] * 65},
        {"consistency": None},
        {"more": 1},
    ],
)
def test_a_page_of_another_form_is_refused(change: dict[str, JsonValue]) -> None:
    with pytest.raises(Malformed):
        Page.from_json(page_json(HUB.page(0)) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"index": "0"},
        {"index": True},
        {"event": {}},
        {"keys": []},
        {"keys": {"kid": "AAAA"}},
        {"keys": {public_key(ENC, "a").kid: "A"}},
        {"keys": {public_key(ENC, str(number)).kid: "AAAA" for number in range(3)}},
        {"more": 1},
    ],
)
def test_an_event_of_a_page_of_another_form_is_refused(change: dict[str, JsonValue]) -> None:
    page = page_json(HUB.page(0, most=1))
    listed = page["events"]
    assert isinstance(listed, list)
    assert isinstance(listed[0], dict)
    with pytest.raises(Malformed):
        Page.from_json(page | {"events": [listed[0] | change]})


def test_a_page_that_is_no_object_is_refused() -> None:
    with pytest.raises(Malformed):
        Page.from_json([])


@given(st.integers(0, SIZE))
def test_a_copy_survives_its_bytes(most: int) -> None:
    log = joined().apply(HUB.page(0, most=most)).log if most else joined()
    read = DirectoryLog.from_bytes(log.to_bytes())
    assert read == log
    assert follow(read, HUB) == follow(log, HUB)


def test_a_copy_in_every_standing_survives_its_bytes() -> None:
    hub = longer(
        lambda at: (at.drain(ALPHA), {}),
        lambda at: (at.revoke(BETA), {}),
        lambda at: (at.suspend(BETA), {}),
        lambda at: (at.expel(ALPHA), {}),
    )
    log = follow(joined(), hub)
    assert DirectoryLog.from_bytes(log.to_bytes()) == log


def test_a_damaged_copy_is_refused() -> None:
    data = follow(joined(), HUB).to_bytes()
    members = json.loads(data)
    state = members["state"]
    agency = state["agencies"][0]
    damaged = [
        b"",
        data[:-1],
        data + b" x",
        encode(members | {"v": 2}),
        encode(members | {"typ": "hx-event"}),
        encode(members | {"head": "AAAA"}),
        encode(members | {"head": b64u(b"\xff\xff")}),
        encode(members | {"heads": ["AAAA"]}),
        encode(members | {"more": 1}),
        encode(members | {"state": state | {"size": SIZE + 1}}),
        encode(members | {"state": state | {"agencies": [agency, agency]}}),
        encode(members | {"state": state | {"agencies": [agency, agency | {"agency": "gamma"}]}}),
        encode(members | {"state": state | {"agencies": [agency | {"status": "gone"}]}}),
        encode(
            members
            | {"state": state | {"agencies": [agency | {"keys": [agency["keys"][0] | {"alg": "ES256"}]}]}}
        ),
    ]
    for copy in damaged:
        with pytest.raises(StoreCorrupt):
            DirectoryLog.from_bytes(copy)
