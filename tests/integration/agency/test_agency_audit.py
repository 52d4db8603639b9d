"""An agency audits the hub: its slice is whole and its receipts are in it; lies are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.agency import Client
from exchange.agency.own_slice import OwnSlice, SliceReport
from exchange.hub.services import slices
from exchange.log.slices import parties_of
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.entry import Entry
from exchange_schemas.errors import (
    ExchangeError,
    HubRefused,
    LogFork,
    Malformed,
    ProofInvalid,
    StoreCorrupt,
)
from tests.integration.agency.dealings import deal, log_of, upkeep
from tests.integration.agency.exchange_world import (
    Exchange,
)

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


def audited(client: Client) -> SliceReport:
    return OwnSlice(client.session).pull()


def test_an_agency_sees_all_of_its_own_dealings_and_nothing_of_others(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    before = audited(ngo)
    assert (before.entries, before.covers, before.at) == (0, 0, None)
    deal(ngo, embassy)
    with exchange.joined("commission", kind="commission") as commission:
        deal(commission, embassy)
    upkeep(exchange.hub)
    found = audited(ngo)
    assert (found.omitted, found.waiting) == ((), ())
    mine = [one for one in log_of(exchange.hub)[: found.covers] if "ngo" in Entry.from_bytes(one).own]
    assert list(OwnSlice(ngo.session).entries()) == mine
    assert found.entries == found.new == len(mine) > 5
    assert OwnSlice(ngo.session).verify_kept() == len(mine)
    assert audited(ngo).new == 0
    deal(ngo, embassy)
    upkeep(exchange.hub)
    again = audited(ngo)
    assert 0 < again.new < again.entries
    # Every receipt but those of the newest tokens and calls was found in the slice.
    assert all(one.size > again.covers for one in ngo.session.receipts.unsliced())


def test_an_agency_that_is_newer_than_the_heads_is_shown_none(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    with exchange.joined("commission", kind="commission") as commission:
        commission.sync()
        # In its slice, and under no heads entry.
        assert slices.index_some(exchange.hub) > 0
        found = audited(commission)
    assert (found.entries, found.at, found.omitted) == (0, None, ())


def test_many_entries_come_in_pages_and_a_torn_pull_goes_on(
    exchange: Exchange, ngo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.hub.services.slice_read.PAGE", 3)
    for _ in range(4):
        ngo.sync()
    upkeep(exchange.hub)
    pages = 0

    def torn(path: str, body: bytes) -> bytes:
        nonlocal pages
        pages += path == "/v1/audit/slice"
        return b"{" if pages == 3 and path == "/v1/audit/slice" else body

    exchange.change = torn
    with pytest.raises(HubRefused):
        audited(ngo)
    exchange.change = None
    found = audited(ngo)
    assert found.entries - found.new == 6
    assert OwnSlice(ngo.session).verify_kept() == found.entries


# -- a hub that lies -------------------------------------------------------------------------------------


Change = Callable[[dict[str, Any]], None]


def _of(path: str, change: Change) -> Callable[[str, bytes], bytes]:
    def work(asked: str, body: bytes) -> bytes:
        if asked != path:
            return body
        value = json.loads(body)
        change(value)
        return json.dumps(value, separators=(",", ":")).encode()

    return work


def _altered(value: dict[str, Any]) -> None:
    entry = unb64u(value["entries"][1]["entry"], field="entry")
    value["entries"][1]["entry"] = b64u(entry.replace(b'"v":1', b'"v":1').replace(b'"ts":1', b'"ts":2', 1))


def _swap(value: dict[str, Any]) -> None:
    value["entries"][0], value["entries"][1] = value["entries"][1], value["entries"][0]


def _count_less(value: dict[str, Any]) -> None:
    del value["entries"][-1]
    value["heads"]["size"] -= 1


LIES: dict[str, tuple[Change, type[ExchangeError]]] = {
    "altered": (_altered, ProofInvalid),
    "dropped": (lambda value: value["entries"].pop(0), ProofInvalid),
    "cut off": (lambda value: value["entries"].pop(), ProofInvalid),
    "cut off and counted": (_count_less, ProofInvalid),
    "swapped": (_swap, ProofInvalid),
    "repeated": (lambda value: value["entries"].append(value["entries"][0]), ProofInvalid),
    "another index": (lambda value: value["entries"][0].update(index=0), ProofInvalid),
    "another salt": (lambda value: value["heads"].update(salt=b64u(bytes(32))), ProofInvalid),
    "another position": (lambda value: value["heads"].update(position=1), ProofInvalid),
    "another path": (lambda value: value["heads"]["path"].append(b64u(bytes(32))), ProofInvalid),
    "heads that are none": (
        lambda value: value["heads"].update(entry=value["entries"][0]["entry"]),
        ProofInvalid,
    ),
    "no proof": (lambda value: value["heads"].pop("proof"), Malformed),
    "numbers that are none": (lambda value: value["heads"].update(size="1"), Malformed),
    "a path that is none": (lambda value: value["entries"][0].update(path="x"), Malformed),
    "an entry that is none": (lambda value: value["entries"].insert(0, 1), Malformed),
    "entries that are none": (lambda value: value.update(entries=None), HubRefused),
    "an empty page and more": (lambda value: value.update(entries=[], next=5), HubRefused),
}


def test_an_entry_has_its_place_after_the_last_and_below_what_the_heads_cover(
    exchange: Exchange, ngo: Client
) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    page: Any = ngo.session.hub.get("/v1/audit/slice", {"from": 0})
    own, item = OwnSlice(ngo.session), page["entries"][1]
    heads, checkpoint = own._heads(page["heads"])
    index = item["index"]
    assert own._entry(item, checkpoint, heads, index - 1)[0] == index
    # Each is in the log all the same: nothing but its place is wrong.
    for covers, last in ((index, index - 1), (heads.covers, index), (heads.covers, index + 1)):
        with pytest.raises(ProofInvalid, match="order"):
            own._entry(item, checkpoint, replace(heads, covers=covers), last)


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_lies_is_refused_and_nothing_of_it_kept(
    exchange: Exchange, ngo: Client, lie: str
) -> None:
    change, error = LIES[lie]
    ngo.sync()
    upkeep(exchange.hub)
    exchange.change = _of("/v1/audit/slice", change)
    with pytest.raises(error):
        audited(ngo)
    assert list(OwnSlice(ngo.session).entries()) == []
    exchange.change = None
    assert audited(ngo).entries > 0


def test_heads_that_go_back_or_away_are_a_roll_back(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    old: list[bytes] = []

    def keep(path: str, body: bytes) -> bytes:
        if path == "/v1/audit/slice":
            old.append(body)
        return body

    exchange.change = keep
    audited(ngo)
    ngo.sync()
    upkeep(exchange.hub)
    audited(ngo)
    older = json.loads(old[0])

    def show_old(value: dict[str, Any]) -> None:
        value.update(heads=older["heads"], entries=[])

    for change in (show_old, lambda value: value.update(heads=None)):
        exchange.change = _of("/v1/audit/slice", change)
        with pytest.raises(LogFork) as told:
            audited(ngo)
        assert told.value.rule == "rolled-back"


def test_an_entry_that_the_hub_leaves_out_is_missed_by_its_receipt(
    exchange: Exchange, ngo: Client, embassy: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal(ngo, embassy)
    hidden = next(one for one in log_of(exchange.hub) if b"envelope:deposit" in one)

    def lying(entry: bytes) -> tuple[str, ...]:
        return tuple(name for name in parties_of(entry) if entry != hidden or name != "ngo")

    monkeypatch.setattr(slices, "parties_of", lying)
    upkeep(exchange.hub)
    found = audited(ngo)
    assert found.omitted == (Entry.from_bytes(hidden).id,)
    assert audited(ngo).omitted == found.omitted
    # The other party was not deceived.
    assert audited(embassy).omitted == ()


def test_a_receipt_that_no_heads_cover_for_ten_minutes_is_told(exchange: Exchange, ngo: Client) -> None:
    upkeep(exchange.hub)
    ngo.sync()
    assert audited(ngo).waiting == ()
    now = ngo.session.now
    ngo.session.now = lambda: now() + timedelta(minutes=11)
    assert audited(ngo).waiting
    upkeep(exchange.hub)
    assert audited(ngo).waiting == ()


def test_what_is_kept_is_verified_again(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    audited(ngo)
    own, store = OwnSlice(ngo.session), ngo.session.store
    ident, row = next(iter(store.each("slice_entry")))
    changed = unb64u(row["entry"], field="entry").replace(b'"ts":1', b'"ts":2', 1)
    store.put("slice_entry", ident, row | {"entry": b64u(changed)})
    with pytest.raises(StoreCorrupt):
        own.verify_kept()
    store.put("slice_entry", ident, row)
    assert own.verify_kept() > 0
    state = store.get("slice", "state")
    assert state is not None
    heads = state["heads"]
    assert isinstance(heads, dict)
    store.put("slice", "state", state | {"heads": heads | {"salt": b64u(bytes(32))}})
    with pytest.raises(ProofInvalid):
        own.verify_kept()
