"""A client's copy follows an honest hub and is never led astray by another one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.directory.replay import leaf_data
from exchange.directory.rules import governance_pin
from exchange.directory.snapshot import DirectoryLog, Page, PageEvent, check_fresh
from exchange.directory.state import ENC
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tree import consistency_proof, leaf_hash, root_of
from exchange_schemas.codec import JsonValue, b64u, decode_value, encode
from exchange_schemas.errors import (
    CheckpointInvalid,
    ExchangeError,
    LogFork,
    LogIncomplete,
    LogStale,
    Malformed,
    Replay,
    SenderMismatch,
    StoreCorrupt,
)
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    ORIGIN,
    START,
    Deployment,
    Event,
    public_key,
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


# -- following -----------------------------------------------------------------------------------------


@given(st.integers(1, 20))
def test_a_copy_reaches_the_state_of_the_log_in_pages_of_any_length(most: int) -> None:
    log = follow(joined(), HUB, most=most)
    assert log.current() == replace(WORLD.state, pin=PIN)
    assert log.note == HUB.note(SIZE)
    assert log.heads == ()


def test_nothing_new_is_a_page_too() -> None:
    log = follow(joined(), HUB)
    assert log.apply(HUB.page(SIZE)).log == log
    assert joined().apply(Hub([]).page(0)).log.current().size == 0


def test_a_copy_is_not_used_before_it_has_reached_its_checkpoint() -> None:
    for log in (joined(), joined().apply(HUB.page(0, most=3)).log):
        assert not log.complete
        with pytest.raises(LogIncomplete):
            log.current()


def test_events_about_ones_own_agency_are_handed_back() -> None:
    applied = joined().apply(HUB.page(0), own=BETA)
    assert [index for index, _ in applied.own] == list(range(7, 13))
    assert {event.event for _, event in applied.own} == {"admit", "root-set", "key"}
    later = longer(lambda at: at.key(ALPHA, name="2"), lambda at: (at.suspend(BETA), {}))
    applied = applied.log.apply(later.page(SIZE), own=BETA)
    assert [(index, event.event) for index, event in applied.own] == [(SIZE + 1, "suspend")]
    assert applied.log.apply(later.page(SIZE + 2), own=BETA).own == ()


def test_a_log_that_grows_while_it_is_read_is_followed_through_every_checkpoint() -> None:
    later = longer(*[lambda at, n=n: at.key(ALPHA, name=str(n)) for n in range(2, 8)])
    log = joined().apply(later.page(0, size=SIZE, most=4)).log
    log = log.apply(later.page(4, size=SIZE + 2, most=4)).log
    assert [head.size for head in log.heads] == [SIZE, SIZE + 2]
    log = log.apply(later.page(8, most=4)).log
    assert [head.size for head in log.heads] == [SIZE, SIZE + 2, SIZE + 6]
    log = follow(log, later, most=1)
    assert log.heads == ()
    assert log.state.size == SIZE + 6


# -- a hub that lies -----------------------------------------------------------------------------------


def test_l1_the_checkpoint_is_signed_by_the_pinned_key_of_this_log() -> None:
    page = HUB.page(0)
    head = Checkpoint(LOG_NAME, SIZE, root_of(HUB.leaves(SIZE)))
    for note in (
        sign_checkpoint(head, signing_key("somebody")),
        sign_checkpoint(replace(head, origin=f"{ORIGIN}/audit"), LOG_KEY),
        "",
        page.checkpoint[:-2],
    ):
        refused(joined(), replace(page, checkpoint=note), CheckpointInvalid)


def test_l2_the_page_and_its_checkpoint_have_one_size() -> None:
    refused(joined(), replace(HUB.page(0), size=SIZE + 1), LogFork, "L2-forward")


def test_l2_a_log_never_goes_back() -> None:
    log = follow(joined(), HUB)
    shorter = replace(HUB.page(0, size=SIZE - 1), events=(), consistency=())
    refused(log, shorter, LogFork, "L2-forward")
    ahead = joined().apply(HUB.page(0, most=3)).log
    refused(ahead, HUB.page(3, size=SIZE - 1), LogFork, "L2-forward")


def forked(at: int = SIZE - 1) -> Hub:
    """Another lawful log with the same beginning: its events from `at` on are others."""
    other = Deployment().begin()
    other.log, other.state = [], Deployment().state
    for event in WORLD.log[:at]:
        other.apply(*event)
    other.now = WORLD.now
    while len(other.log) <= SIZE:
        other.apply(*other.key(ALPHA, name=f"fork {len(other.log)}"))
    return Hub(other.log)


def test_l2_two_roots_for_one_size_are_a_fork() -> None:
    log = follow(joined(), HUB)
    other = Hub(forked().events[:SIZE])
    refused(log, replace(other.page(SIZE), consistency=()), LogFork, "L2-forward")


def test_l3_another_past_is_a_fork() -> None:
    log = follow(joined(), HUB)
    refused(log, forked().page(SIZE), LogFork, "L3-consistency")
    page = longer(lambda at: at.key(ALPHA, name="2")).page(SIZE)
    for consistency in ((), page.consistency[:-1], (*page.consistency, bytes(32))):
        refused(log, replace(page, consistency=consistency), LogFork, "L3-consistency")
    log.apply(page)


def test_l3_there_is_no_proof_where_nothing_can_be_proved() -> None:
    refused(joined(), replace(HUB.page(0), consistency=(bytes(32),)), LogFork, "L3-consistency")
    log = follow(joined(), HUB)
    refused(log, replace(HUB.page(SIZE), consistency=(bytes(32),)), LogFork, "L3-consistency")


def test_l4_events_come_in_order_and_none_is_left_out() -> None:
    page = HUB.page(0)
    for events in (
        page.events[1:],
        page.events[::-1],
        page.events[:2] + page.events[3:],
        page.events[:1] * 2,
    ):
        refused(joined(), replace(page, events=events), LogIncomplete, "L4-order")
    refused(joined(), replace(page, events=()), LogIncomplete, "L4-order")


def test_l4_events_beyond_the_checkpoint_are_not_taken() -> None:
    page = replace(HUB.page(0, size=3), events=HUB.page(0).events)
    refused(joined(), page, LogIncomplete, "L4-order")


def test_l5_an_unlawful_event_is_refused_though_it_is_in_the_log() -> None:
    log = follow(joined(), HUB)
    bad = world()
    unlawful = bad.suspend(signers=bad.quorum("ann"))
    refused(log, Hub([*WORLD.log, (unlawful, {})]).page(SIZE), SenderMismatch, "D08-quorum")
    again = Hub([*WORLD.log, WORLD.log[-1]])
    refused(log, again.page(SIZE), Replay, "D09-new-kid")


def test_l5_the_first_event_is_the_pinned_one() -> None:
    other = DirectoryLog.join(ORIGIN, pin=governance_pin(WORLD.log[1][0]), vkeys=[VKEY])
    refused(other, HUB.page(0), LogFork, "D01-first")


def test_l5_the_bytes_of_a_key_are_those_that_the_event_names() -> None:
    page = HUB.page(0)
    at = next(index for index, item in enumerate(page.events) if item.keys)
    wrong = replace(page.events[at], keys={kid: raw[::-1] for kid, raw in page.events[at].keys.items()})
    events = (*page.events[:at], wrong, *page.events[at + 1 :])
    refused(joined(), replace(page, events=events), Malformed, "D05-key-bytes")


def test_l6_the_events_must_add_up_to_the_signed_root() -> None:
    other = forked(SIZE - 1)
    page = replace(HUB.page(0), events=Hub(other.events[:SIZE]).page(0).events)
    refused(joined(), page, LogFork, "L6-root")


def test_l6_a_checkpoint_seen_on_the_way_is_not_forgotten() -> None:
    log = joined().apply(HUB.page(0, most=3)).log
    other = forked(SIZE - 1)
    log = log.apply(other.page(3, most=SIZE - 4)).log
    refused(log, other.page(log.state.size), LogFork, "L6-root")


def test_signatures_are_part_of_the_leaf() -> None:
    signed, keys = WORLD.log[0]
    turned = replace(signed, signatures=signed.signatures[::-1])
    assert leaf_data(turned) != leaf_data(signed)
    page = HUB.page(0)
    events = (PageEvent(0, turned, keys), *page.events[1:])
    refused(joined(), replace(page, events=events), LogFork, "L6-root")


# -- freshness -----------------------------------------------------------------------------------------


def test_a_copy_is_fresh_for_24_hours_after_its_newest_cosignature() -> None:
    day = timedelta(hours=24)
    check_fresh(START, START + day)
    with pytest.raises(LogStale):
        check_fresh(START, START + day + timedelta(seconds=1))
    with pytest.raises(LogStale):
        check_fresh(START, START + timedelta(hours=2), most=timedelta(hours=1))
    check_fresh(None, START)
    with pytest.raises(LogStale):
        check_fresh(None, START, required=True)


# -- bytes ---------------------------------------------------------------------------------------------


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
