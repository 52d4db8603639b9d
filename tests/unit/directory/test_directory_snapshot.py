"""A client's copy follows an honest hub and is never led astray by another one."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.directory.replay import leaf_data
from exchange.directory.rules import governance_pin
from exchange.directory.snapshot import DirectoryLog, Page, PageEvent, check_covered, check_fresh
from exchange.log.checkpoint import Checkpoint, sign_checkpoint
from exchange.log.note import split_note
from exchange.log.tree import root_of
from exchange_schemas.errors import (
    CheckpointInvalid,
    LogFork,
    LogIncomplete,
    LogStale,
    Malformed,
    Replay,
    SenderMismatch,
)
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    ORIGIN,
    START,
    Deployment,
    signing_key,
)
from tests.unit.directory.hub_log import (
    HUB,
    LOG_KEY,
    LOG_NAME,
    PIN,
    SIZE,
    VKEY,
    WORLD,
    Hub,
    follow,
    joined,
    longer,
    refused,
    world,
)

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


# -- what was seen before ------------------------------------------------------------------------------


def test_an_empty_copy_that_remembers_a_checkpoint_takes_nothing_shorter() -> None:
    seen = Checkpoint.from_text(split_note(HUB.note(SIZE))[0])
    log = joined().remembering(seen, HUB.note(SIZE))
    assert not log.complete
    refused(log, HUB.page(0, size=SIZE - 1), LogFork, "L2-forward")
    refused(log, forked(SIZE - 1).page(0), LogFork)
    whole = log.apply(HUB.page(0)).log
    assert whole.complete
    assert whole.remembering(seen, "") is whole


def test_a_remembered_checkpoint_must_lie_in_a_longer_log_too() -> None:
    other = forked(SIZE - 1)
    seen = Checkpoint.from_text(split_note(other.note(SIZE))[0])
    hub = longer(lambda world: (world.suspend(), {}))
    refused(joined().remembering(seen, other.note(SIZE)), hub.page(0), LogFork, "L6-root")


def test_a_page_may_show_a_witnessed_note_and_nothing_else() -> None:
    value = {"events": [], "size": 0, "checkpoint": "c", "consistency": []}
    assert Page.from_json(value).witnessed is None
    assert Page.from_json(value | {"witnessed": "note"}).witnessed == "note"
    for more in ({"witnessed": 7}, {"other": "x"}, {"witnessed": "x", "other": "x"}):
        with pytest.raises(Malformed):
            Page.from_json(value | more)


def test_no_event_waits_longer_than_a_day_for_a_quorum() -> None:
    day = timedelta(days=1)
    check_covered(None, START)
    check_covered(START, START + day)
    with pytest.raises(LogStale):
        check_covered(START, START + day + timedelta(seconds=1))
