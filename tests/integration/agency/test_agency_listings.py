"""Listings: pages are followed, nonsense is refused, and the terminal shows each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from exchange.agency import Client, listings
from exchange.agency.fetched import read_fetched
from exchange_schemas.errors import ExchangeError, HubRefused, Malformed, ManifestMismatch
from exchange_schemas.ids import GrantId
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def three_sent(ngo: Client, embassy: Client) -> str:
    """Three grants to the embassy, the first one opened; the record's reference."""
    ngo.sync()
    embassy.sync()
    ref = child_with_decision(ngo)
    for _ in range(3):
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
        ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.open_grant(next(embassy.inbox()).gid)
    return ref


def spoiled(exchange: Exchange, path: str, change: Change) -> None:
    """Let the hub change its answers at `path`, receipts apart."""

    def spoil(asked: str, body: bytes) -> bytes:
        if asked != path:
            return body
        answer = json.loads(body)
        change(answer)
        return json.dumps(answer).encode()

    exchange.change = spoil


def test_pages_are_followed_to_the_end(
    ngo: Client, embassy: Client, three_sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "PAGE", 1)
    assert [item.seq for item in embassy.inbox(waiting_only=True)] == [2, 3]
    # The first page is done with: the next look begins after it, and new ones still come.
    assert [item.seq for item in embassy.inbox(waiting_only=True)] == [2, 3]
    ngo.send("found_notice", to=["embassy"], record=three_sent)
    assert [item.seq for item in embassy.inbox(waiting_only=True)] == [2, 3, 4]
    assert [item.seq for item in embassy.inbox()] == [1, 2, 3, 4]
    assert [row.outcome for row in ngo.outbox()] == ["opened", None, None, None]
    assert ngo.sync().consents == 3
    assert len(list(ngo.consents.each(record=three_sent))) == 3


NONSENSE: list[tuple[str, Change]] = [
    ("/v1/inbox", lambda answer: answer.pop("items")),
    ("/v1/inbox", lambda answer: answer.update(items=[[]])),
    ("/v1/inbox", lambda answer: answer["items"][0].update(seq="1")),
    ("/v1/inbox", lambda answer: answer["items"][0].update(gid="../x")),
    ("/v1/outbox", lambda answer: answer.pop("items")),
    ("/v1/outbox", lambda answer: answer.update(items=[[]])),
    ("/v1/outbox", lambda answer: answer["items"][1].update(seq=True)),
    ("/v1/consents", lambda answer: answer.pop("items")),
    ("/v1/consents", lambda answer: answer.update(items=[1])),
]


def test_a_listing_that_makes_no_sense_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client, three_sent: str
) -> None:
    asked: dict[str, Callable[[], object]] = {
        "/v1/inbox": lambda: list(embassy.inbox()),
        "/v1/outbox": lambda: list(ngo.outbox()),
        "/v1/consents": ngo.sync,
    }
    for path, change in NONSENSE:
        spoiled(exchange, path, change)
        with pytest.raises((HubRefused, Malformed)):
            asked[path]()


def test_a_receipt_for_another_grant_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client, three_sent: str
) -> None:
    def swap(answer: dict[str, Any]) -> None:
        rows = [item for item in answer["items"] if item["rcp"] == "embassy"]
        rows[1]["receipt"] = rows[0]["receipt"]

    spoiled(exchange, "/v1/outbox", swap)
    with pytest.raises(ManifestMismatch):
        list(ngo.outbox())


def test_a_consent_between_others_is_an_alarm(
    exchange: Exchange, ngo: Client, embassy: Client, three_sent: str
) -> None:
    kept: list[Any] = []
    spoiled(exchange, "/v1/consents", lambda answer: kept.extend(answer["items"]))
    ngo.sync()
    with exchange.joined("commission", kind="commission") as commission:
        spoiled(exchange, "/v1/consents", lambda answer: answer.update(items=kept))
        assert "between other agencies" in commission.sync().alarms[0]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"parts": [1]},
        {"parts": [{"p": "x"}]},
        {"parts": "none"},
        {"parts": [], "core": "AA", "sealed": "AA"},
    ],
)
def test_a_grant_that_cannot_be_read_is_malformed(answer: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError):
        read_fetched(GrantId("A" * 22), answer)
