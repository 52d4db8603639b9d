"""Bad input about consents at the hub, each with its code: clocks, order, numbers, contradictions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.services.deposit import deposit
from exchange_schemas.consent import Authority
from exchange_schemas.errors import (
    Conflict,
    ConsentExpired,
    ConsentMismatch,
    ConsentUnknown,
    Malformed,
    Replay,
    StageDenied,
    SubjectMismatch,
    TooLarge,
)
from exchange_schemas.ids import Digest
from tests.integration.conftest import Clock
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import EVIDENCE, World, utc_now
from tests.integration.messages.edits import body_of, grant_of

FACILITY = ("current_facility",)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def still(make_world: Any, clock: Clock) -> World:
    found: World = make_world(clock=clock, travel=True)
    return found


def test_exactly_at_nbf_it_holds_and_exactly_at_exp_no_more(still: World, clock: Clock) -> None:
    ngo, embassy = still.agencies["ngo"], still.agencies["embassy"]
    start = utc_now().replace(microsecond=0)
    begin, end = start + timedelta(hours=1), start + timedelta(hours=2)
    given = still.consent(ngo, embassy, nbf=begin, exp=end)
    clock.at = begin - timedelta(microseconds=1)
    with pytest.raises(ConsentExpired):
        still.send(ngo, given)
    clock.at = begin
    gid = grant_of(still.send(ngo, given), embassy).gid
    clock.at = end - timedelta(microseconds=1)
    assert still.fetch(embassy, gid).status == 200
    clock.at = end
    with pytest.raises(ConsentExpired) as refused:
        still.fetch(embassy, gid)
    assert "tombstone" in refused.value.detail
    with pytest.raises(ConsentExpired):
        still.send(ngo, given)


def test_a_consent_that_comes_after_its_envelope_is_unknown_to_it(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    with pytest.raises(ConsentUnknown):
        world.send(ngo, given)
    world.register(given)
    assert grant_of(world.send(ngo, given), embassy).seq == 1


def test_two_consents_for_one_subject_that_contradict_each_other_are_no_consent(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    both = (
        Authority(about="child", basis="best_interests_decision", evidence_digest=EVIDENCE),
        Authority(about="child", basis="consent", evidence_digest=EVIDENCE),
    )
    with pytest.raises(Malformed):
        world.sign_consent(world.draft_consent(ngo, embassy, authorities=both))


def test_a_family_never_speaks_of_two_recipients_or_two_children(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    first = world.consent(ngo, embassy)
    same = {"family": first.consent.family, "supersedes": first.consent.cid}
    with pytest.raises(ConsentMismatch):
        world.register(
            world.sign_consent(world.draft_consent(ngo, commission, subj=first.consent.subj, **same))
        )
    with pytest.raises(SubjectMismatch):
        world.register(world.sign_consent(world.draft_consent(ngo, embassy, subj=Digest("A" * 43), **same)))


def test_supersession_never_goes_in_a_circle(world: World, ngo: Agency, embassy: Agency) -> None:
    first = world.consent(ngo, embassy)
    second = world.supersede(first)
    line = {"family": first.consent.family, "subj": first.consent.subj}
    # The first cannot be made to follow the second: its id is taken.
    again = world.draft_consent(ngo, embassy, cid=first.consent.cid, supersedes=second.consent.cid, **line)
    with pytest.raises(Replay):
        world.register(world.sign_consent(again))
    # Nor can a third bring the first back as the newest.
    with pytest.raises(Conflict):
        world.register(
            world.sign_consent(world.draft_consent(ngo, embassy, supersedes=first.consent.cid, **line))
        )
    own = world.draft_consent(ngo, embassy)
    circle = replace(own, supersedes=own.cid)
    with pytest.raises(Malformed):
        circle.to_bytes()


def test_sixty_four_recipients_are_served_and_one_more_is_too_many(world: World, ngo: Agency) -> None:
    names = {f"ngo-{number}": {} for number in range(65)}
    given = [world.consent(ngo, one) for one in world.admit_all(names)]
    recipients = [world.recipient(ngo, world.agencies[item.consent.rcp], item) for item in given]
    sealed = world.seal(ngo, recipients[:64])
    assert world.deposit(ngo, sealed).status == 201
    # The sender's program seals no more, and a sender that does is refused by the hub.
    grants = body_of(sealed)["grants"]
    with pytest.raises(TooLarge):
        deposit(world.hub, world.caller(ngo), {**body_of(sealed), "grants": [*grants, grants[0]]})
    with pytest.raises(Malformed) as refused:
        world.seal(ngo, recipients)
    assert refused.value.field == "recipients"


def test_location_is_not_given_any_more_once_either_side_took_the_match_back(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    for taker, other in ((ngo, embassy), (embassy, ngo)):
        after, thread = world.confirmations(ngo, embassy)
        given = world.consent(ngo, embassy, fields=FACILITY, pur=("care",), after=after)
        draft = world.draft(ngo, FACILITY, kind="information_response", purpose="care")
        there = world.recipient(ngo, embassy, given, fields=FACILITY, values={}, thread=thread)
        sealed = world.seal(ngo, [there], draft)
        world.deposit(ngo, sealed)
        names = ("candidate_ref", "reason_code")
        taken = world.recipient(taker, other, None, fields=names, values={}, thread=thread)
        world.deposit(taker, world.seal(taker, [taken], world.draft(taker, names, kind="unmatch")))
        with pytest.raises(StageDenied):
            world.fetch(embassy, grant_of(sealed, embassy).gid)
        again = world.recipient(ngo, embassy, given, fields=FACILITY, values={}, thread=thread)
        late = world.seal(
            ngo, [again], world.draft(ngo, FACILITY, kind="information_response", purpose="care")
        )
        with pytest.raises(StageDenied):
            world.deposit(ngo, late)


def test_an_unmatch_in_another_thread_or_of_others_takes_nothing_back(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    after, thread = world.confirmations(ngo, embassy)
    names = ("candidate_ref", "reason_code")
    for snd, rcp, where in ((ngo, embassy, None), (ngo, commission, thread)):
        extra = {} if where is None else {"thread": where}
        taken = world.recipient(snd, rcp, None, fields=names, values={}, **extra)
        world.deposit(snd, world.seal(snd, [taken], world.draft(snd, names, kind="unmatch")))
    given = world.consent(ngo, embassy, fields=FACILITY, pur=("care",), after=after)
    draft = world.draft(ngo, FACILITY, kind="information_response", purpose="care")
    there = world.recipient(ngo, embassy, given, fields=FACILITY, values={}, thread=thread)
    assert world.deposit(ngo, world.seal(ngo, [there], draft)).status == 201
