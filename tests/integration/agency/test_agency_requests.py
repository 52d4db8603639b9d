"""Requests and answers between two agencies: field by field, in time or overdue, for both sides to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.agency import Client, Message
from exchange_schemas.errors import FieldDenied, Malformed, NotPermitted, PurposeDenied, RecordUnknown
from tests.integration.agency.exchange_world import child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def newest(client: Client) -> Message:
    """The newest message, opened."""
    return client.open_grant(list(client.inbox())[-1].gid)


def soon(days: int = 7) -> datetime:
    """A day to come."""
    return datetime.now(UTC) + timedelta(days=days)


@pytest.fixture
def told(ngo: Client, embassy: Client) -> tuple[str, Message]:
    """The NGO's record and its found notice, opened by the embassy."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.sync()
    return ref, newest(embassy)


def ask(embassy: Client, ngo: Client, notice: Message, *names: str, days: int = 7) -> Message:
    """The embassy's request as the NGO has opened it."""
    embassy.send(
        "information_request",
        to=["ngo"],
        content={"asked_fields": list(names), "need_code": "identify"},
        in_reply_to=notice.gid,
        reply_by=soon(days),
    )
    return newest(ngo)


def test_every_asked_field_is_given_or_refused_with_its_code(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    ref, notice = told
    request = ask(embassy, ngo, notice, "languages", "birth_date", "marks", "name_family", "current_area")
    ngo.consents.grant(
        ref,
        to="embassy",
        terms=found_terms(
            kind=None, fields=("languages", "name_family", "current_area", "marks"), purposes=("trace",)
        ),
    )
    assert [one.kind for one in ngo.requests.each(open_only=True)] == ["information_request"]
    assert any("waits for an answer" in text for text in ngo.sync().due)
    sent = ngo.requests.answer(request.gid, refuse={"current_area": "safety"})
    assert set(sent.grants[0].fields) >= {"languages", "name_family", "refusals"}
    reply = newest(embassy)
    assert reply.in_reply_to == request.eid
    assert {one["field"]: one["code"] for one in reply.content["refusals"]} == {  # type: ignore[union-attr,index]
        "birth_date": "no_authority",
        "current_area": "safety",
        "marks": "not_held",
    }
    (ours,) = embassy.requests.each()
    assert (ours.answer, ours.given, ours.silent) == (
        "information_response",
        ("languages", "name_family"),
        (),
    )
    assert ours.refused["current_area"] == "safety"
    assert list(ngo.requests.each(open_only=True)) == []
    assert not any("waits" in text for text in ngo.sync().due)


def test_where_no_consent_allows_anything_the_request_is_declined(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    _, notice = told
    (consent,) = ngo.consents.each()
    request = ask(embassy, ngo, notice, "nationality_claim", "guardian_status")
    ngo.consents.withdraw(consent.cid)
    sent = ngo.requests.answer(request.gid)
    assert sent.kind == "declined"
    (ours,) = embassy_requests(embassy)
    assert (ours.answer, ours.given) == ("declined", ())
    assert ours.refused == {"guardian_status": "no_authority", "nationality_claim": "no_authority"}


def embassy_requests(embassy: Client) -> list[Any]:
    """The embassy's requests after it has opened what waits."""
    for item in embassy.inbox(waiting_only=True):
        embassy.open_grant(item.gid)
    return list(embassy.requests.each())


def test_an_answer_that_leaves_out_or_adds_a_field_is_refused(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    ref, notice = told
    request = ask(embassy, ngo, notice, "languages", "sex")

    def reply(fields: list[str], *refused: str) -> Any:
        refusals: list[Any] = [{"field": name, "code": "not_needed"} for name in refused]
        return ngo.send(
            "information_response",
            to=["embassy"],
            record=ref,
            fields=fields,
            in_reply_to=request.gid,
            content={"refusals": refusals} if refusals else {},
        )

    for fields, refused, rule in (
        (["languages"], (), "A02-complete"),
        (["languages", "sex", "name_given"], (), "A01-asked"),
        (["languages", "sex"], ("sex",), "A03-once"),
        (["languages", "sex"], ("marks",), "A03-once"),
    ):
        with pytest.raises(FieldDenied) as caught:
            reply(fields, *refused)
        assert caught.value.rule == rule
    assert reply(["languages"], "sex").kind == "information_response"


def test_a_request_for_two_purposes_is_not_answered_by_guessing(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    ref, notice = told
    request = ask(embassy, ngo, notice, "languages")
    ngo.consents.grant(
        ref,
        to="embassy",
        terms=found_terms(kind=None, fields=("languages",), purposes=("trace", "verify"), lasts=timedelta(9)),
    )
    with pytest.raises(Malformed, match="several"):
        ngo.requests.answer(request.gid)
    with pytest.raises((PurposeDenied, NotPermitted, FieldDenied)):
        ngo.send(
            "information_response", to=["embassy"], record=ref, purpose="health", in_reply_to=request.gid
        )
    assert ngo.requests.answer(request.gid, purpose="verify").kind == "information_response"
    with pytest.raises(RecordUnknown):
        ngo.requests.answer(notice.gid)


def test_an_answer_that_waits_unopened_is_not_called_missing(
    ngo: Client, embassy: Client, told: tuple[str, Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, notice = told
    request = ask(embassy, ngo, notice, "languages", days=1)
    later = datetime.now(UTC) + timedelta(days=2)
    monkeypatch.setattr(embassy.session, "now", lambda: later)
    (mine,) = embassy.requests.each()
    assert embassy.sync().due == (f"ngo has not answered information_request {mine.gid} (overdue)",)
    ngo.requests.answer(request.gid)
    *_, answer = embassy.inbox()
    assert embassy.sync().due == (
        f"ngo's information_response waits unopened: `exchange-agency open {answer.gid}`; "
        f"it may answer information_request {mine.gid} (overdue)",
    )
    embassy.open_grant(answer.gid)
    assert embassy.sync().due == ()


def test_a_reminder_supersedes_and_both_sides_see_what_is_overdue(
    ngo: Client, embassy: Client, told: tuple[str, Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, notice = told
    request = ask(embassy, ngo, notice, "languages", days=1)
    assert list(embassy.requests.each(overdue=True)) == []
    later = datetime.now(UTC) + timedelta(days=2)
    for client in (embassy, ngo):
        with monkeypatch.context() as clock:
            clock.setattr(client.session, "now", lambda: later)
            (late,) = client.requests.each(overdue=True)
            assert late.kind == "information_request"
            assert any("(overdue)" in text for text in client.sync().due)
            assert [one.overdue for one in client.requests.times()] == [1]
    assert [text for text in embassy.sync().due if "answer" in text] == []
    (first,) = embassy.requests.each()
    with pytest.raises(Malformed):
        embassy.requests.remind(first.gid, reply_by=datetime.now(UTC) - timedelta(days=1))
    embassy.requests.remind(first.gid, reply_by=soon(3))
    again = newest(ngo)
    assert (again.supersedes, again.thread, again.content) == (request.eid, request.thread, request.content)
    (theirs,) = ngo.requests.each()
    assert (theirs.gid, theirs.reminders) == (again.gid, 1)
    ngo.requests.answer(theirs.gid)
    newest(embassy)
    (ours,) = embassy.requests.each()
    assert (ours.reminders, ours.answer) == (1, "information_response")
    with pytest.raises(NotPermitted):
        embassy.requests.remind(first.gid, reply_by=soon())
    with pytest.raises(RecordUnknown):
        embassy.requests.remind("D" * 21 + "A", reply_by=soon())
    (times,) = embassy.requests.times()
    assert (times.asks, times.answers, times.answered, times.median_hours) == ("embassy", "ngo", 1, 0)
    assert [(one.asks, one.answers) for one in ngo.requests.times()] == [("embassy", "ngo")]


def test_a_request_to_withdraw_has_72_hours_and_is_answered_by_the_withdrawal(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    _, notice = told
    embassy.send(
        "withdrawal_request", to=["ngo"], in_reply_to=notice.gid, content={"reason_code": "security"}
    )
    asked = newest(ngo)
    (theirs,) = ngo.requests.each()
    assert theirs.due == asked.issued + timedelta(hours=72)
    assert asked.consent is not None
    ngo.withdraw(asked.consent, reason="security")
    (theirs,) = ngo.requests.each()
    assert theirs.answer == "withdrawn"
    embassy.sync()
    (ours,) = embassy.requests.each()
    assert ours.answer == "withdrawn"


def test_a_request_to_withdraw_may_be_declined(
    ngo: Client, embassy: Client, told: tuple[str, Message]
) -> None:
    _, notice = told
    embassy.send(
        "withdrawal_request", to=["ngo"], in_reply_to=notice.gid, content={"reason_code": "security"}
    )
    ngo.send("declined", to=["embassy"], in_reply_to=newest(ngo).gid, content={"reason_code": "legal_order"})
    newest(embassy)
    assert [one.answer for one in ngo.requests.each()] == ["declined"]
    assert [one.answer for one in embassy.requests.each()] == ["declined"]
