"""The dry run of a decision at the hub: for the two parties alone, logged, as a deposit would decide."""

from typing import Any

import pytest

from exchange.hub.services import consent_check
from exchange.hub.services.consent_check import Question
from exchange_schemas.errors import NotFound
from exchange_schemas.ids import ThreadId
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, GivenConsent, World
from tests.integration.messages.edits import grant_of


def look(world: World, who: Agency, given: GivenConsent, **changes: Any) -> dict[str, Any]:
    asked = {
        "cid": given.consent.cid,
        "kind": "found_notice",
        "purpose": "trace",
        "names": (*FOUND, "photo"),
        "thread": None,
    }
    return consent_check.check(world.hub, world.caller(who), Question(**(asked | changes))).body


def test_both_parties_see_what_would_go_and_why_not_the_rest(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    found = look(world, ngo, given)
    assert found["given"] == sorted(FOUND)
    assert found["decision"] == "allow"
    (photo,) = found["withheld"]
    assert (photo["field"], photo["rule"], photo["code"]) == ("photo", "C11-field", "FIELD_DENIED")
    assert photo["remedy"]
    assert look(world, embassy, given) == found
    entry = world.last()
    assert (entry.act, entry.out, set(entry.own)) == ("consent:check", "allow", {ngo.id, embassy.id})
    assert (entry.fld, entry.knd) == (tuple(sorted((*FOUND, "photo"))), "found_notice")
    assert entry.cns is not None


def test_a_message_that_its_kind_would_not_carry_is_denied_as_a_whole(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    found = look(world, ngo, world.consent(ngo, embassy), names=("sex",))
    assert (found["given"], found["decision"]) == (["sex"], "deny")
    assert found["denial"]["rule"] == "C17-kind"


def test_a_withdrawn_or_superseded_consent_gives_nothing_more(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    first = world.consent(ngo, embassy)
    world.supersede(first, fields=tuple(sorted(name for name in FOUND if name != "name_given")))
    found = look(world, ngo, first)
    assert "name_given" not in found["given"]
    assert {one["rule"] for one in found["withheld"] if one["field"] == "name_given"} == {"C06-superseded"}
    world.withdraw(first)
    assert look(world, embassy, first)["given"] == []


def test_late_fields_are_given_in_their_thread_once_both_sides_confirmed(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    after, thread = world.confirmations(ngo, embassy)
    given = world.consent(ngo, embassy, fields=("current_facility",), pur=("care",), after=after)
    asked: dict[str, Any] = {
        "kind": "information_response",
        "purpose": "care",
        "names": ("current_facility",),
    }
    for who in (ngo, embassy):
        assert look(world, who, given, thread=thread, **asked)["given"] == ["current_facility"]
        late = look(world, who, given, thread=ThreadId("B" * 21 + "A"), **asked)
        assert late["withheld"][0]["rule"] == "C18-stage"


def test_a_newer_consent_that_names_newer_confirmations_gives_what_was_granted_under_the_older(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    after, thread = world.confirmations(ngo, embassy)
    again, _ = world.confirmations(ngo, embassy, thread=thread)
    values: dict[str, Any] = {"fields": ("current_facility",), "pur": ("care",)}
    older = world.consent(ngo, embassy, after=after, **values)
    names = ("current_facility",)
    draft = world.draft(ngo, names, kind="information_response", purpose="care")
    sent = world.recipient(ngo, embassy, older, fields=names, values={}, thread=thread)
    sealed = world.seal(ngo, [sent], draft)
    world.deposit(ngo, sealed)
    world.supersede(older, after=again)
    asked: dict[str, Any] = {"kind": "information_response", "purpose": "care", "names": names}
    for who in (ngo, embassy):
        assert look(world, who, older, thread=thread, **asked)["given"] == ["current_facility"]
    assert world.fetch(embassy, grant_of(sealed, embassy).gid).status == 200


def test_nobody_else_learns_whether_there_is_such_a_consent(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.consent(ngo, embassy)
    with pytest.raises(NotFound) as caught:
        look(world, commission, given)
    entry = world.last()
    assert (entry.out, entry.own, entry.cns) == ("deny", (commission.id,), None)
    unknown = Question("A" * 22, "found_notice", "trace", ("sex",), None)  # type: ignore[arg-type]
    with pytest.raises(NotFound) as missing:
        consent_check.check(world.hub, world.caller(commission), unknown)
    assert caught.value.message == missing.value.message
