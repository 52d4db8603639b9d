"""After a withdrawal: requests to whoever had opened something, real deletion, signed receipts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from exchange.agency import Client, Message, deletion_rows, message_rows
from exchange.agency.deletions import Hold
from exchange.agency.unopened import Unopened
from exchange_schemas.errors import (
    ConsentWithdrawn,
    HubUnreachable,
    Malformed,
    NotPermitted,
    RecordUnknown,
    SenderMismatch,
)
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def newest(client: Client) -> Message:
    """The newest message, opened."""
    return client.open_grant(list(client.inbox())[-1].gid)


def told(ngo: Client, reader: Client, to: str = "embassy") -> tuple[str, str, Message]:
    """Record and consent of a found notice that its recipient has opened, and what it opened."""
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to=to, terms=found_terms())
    ngo.send("found_notice", to=[to], record=ref)
    reader.sync()
    return ref, consent.cid, newest(reader)


def test_the_recipient_really_deletes_and_the_issuer_has_its_signed_receipt(
    ngo: Client, embassy: Client
) -> None:
    _, cid, notice = told(ngo, embassy)
    (done,) = ngo.withdraw(cid)
    assert done.delivered == 1
    (asked,) = ngo.deletions.asked(unanswered=True)
    assert (asked.recipient, asked.state) == ("embassy", "asked")
    assert any("has not answered" in text for text in ngo.sync().due)
    embassy.sync()
    with pytest.raises(ConsentWithdrawn, match="locked"):
        embassy.kept(notice.gid)
    assert list(embassy.messages()) == []
    request = newest(embassy)
    assert request.content["reason_code"] == "consent_withdrawn"
    assert any("deletion answer" in text for text in embassy.sync().due)
    answered = embassy.deletions.answer(request.gid)
    assert answered.outcome == {"outcome": "deleted"}
    assert embassy.message(notice.gid) is None
    assert embassy.session.store.get_bytes(message_rows.PHOTOS, notice.gid) is None
    *_, receipt = ngo.inbox()
    assert ngo.sync().due == (
        f"embassy's deletion_receipt waits unopened: `exchange-agency open {receipt.gid}`; "
        f"it may answer the request of {asked.since:%Y-%m-%d} to delete (consent {cid})",
    )
    assert newest(ngo).content["deletion_outcome"] == {"outcome": "deleted"}
    assert [row.state for row in ngo.deletions.asked()] == ["answered"]
    assert list(ngo.deletions.asked(unanswered=True)) == []
    assert ngo.sync().due == ()
    assert embassy.sync().due == ()
    with pytest.raises(ConsentWithdrawn) as caught:
        embassy.open_grant(notice.gid)
    assert caught.value.rule == "deletion-done"


def test_another_agencys_receipt_and_another_thread_answer_nothing(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    with exchange.joined("commission", kind="commission") as commission:
        _, silent, _ = told(ngo, embassy)
        _, other, _ = told(ngo, embassy)
        _, theirs, _ = told(ngo, commission, "commission")
        ngo.withdraw(silent, other, theirs)
        *_, asked = (item for item in embassy.inbox() if item.kind == "deletion_request")
        embassy.deletions.answer(embassy.open_grant(asked.gid).gid)
        commission.deletions.answer(newest(commission).gid)
        due = {text.rpartition("(consent ")[2]: text for text in ngo.sync().due}
        assert due[f"{silent})"].startswith("embassy has not answered")
        assert due[f"{other})"].startswith("embassy's deletion_receipt waits unopened")
        assert due[f"{theirs})"].startswith("commission's deletion_receipt waits unopened")


def test_a_number_used_twice_in_the_inbox_is_an_alarm_and_the_rest_of_the_sync_goes_on(
    ngo: Client, embassy: Client
) -> None:
    _, cid, _ = told(ngo, embassy)
    ngo.withdraw(cid)
    embassy.deletions.answer(newest(embassy).gid)
    *_, receipt = ngo.inbox()
    ngo.session.store.put("seen_in", f"embassy/{receipt.seq}", {"digest": "A" * 43})
    report = ngo.sync()
    assert any("two different grants bear the same number" in text for text in report.alarms)
    assert any("has not answered" in text for text in report.due)


def test_a_second_request_gets_the_first_answer_and_nothing_was_opened_is_nothing_asked(
    ngo: Client, embassy: Client
) -> None:
    ref, cid, _ = told(ngo, embassy)
    with pytest.raises(NotPermitted) as early:
        ngo.deletions.ask(cid)
    assert early.value.rule == "deletion-withdrawn"
    ngo.withdraw(cid)
    embassy.deletions.answer(newest(embassy).gid)
    ngo.deletions.ask(cid)
    again = newest(embassy)
    assert embassy.deletions.answer(again.gid).outcome == {"outcome": "deleted"}
    with pytest.raises(NotPermitted) as otherwise:
        embassy.deletions.answer(again.gid, partly=True)
    assert otherwise.value.rule == "deletion-answered"
    with pytest.raises(RecordUnknown):
        embassy.deletions.answer("D" * 21 + "A")
    unread = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    assert [done.delivered for done in ngo.withdraw(unread.cid)] == [0]
    assert [row.consent for row in ngo.deletions.asked()] == [cid]
    with pytest.raises(NotPermitted) as nothing:
        ngo.deletions.ask(unread.cid)
    assert nothing.value.rule == "deletion-delivered"


def test_what_a_law_keeps_is_told_locked_and_deleted_on_its_day(ngo: Client, embassy: Client) -> None:
    _, cid, notice = told(ngo, embassy)
    ngo.withdraw(cid)
    request = newest(embassy)
    with pytest.raises(Malformed):
        embassy.deletions.answer(request.gid, keep=Hold("Civil Code 12", date(2020, 1, 1)))
    until = embassy.session.now().date() + timedelta(days=30)
    held = embassy.deletions.answer(request.gid, keep=Hold("Civil Code 12", until))
    kept = {"outcome": "kept_by_law", "law": "Civil Code 12", "until": until.isoformat()}
    assert held.outcome == kept
    assert newest(ngo).content["deletion_outcome"] == kept
    assert embassy.message(notice.gid) is not None
    with pytest.raises(ConsentWithdrawn):
        embassy.kept(notice.gid)
    assert embassy.deletions.end_holds() == []
    over = replace(held, keep_until=embassy.session.now().date() - timedelta(days=1))
    deletion_rows.put_owed(embassy.session.store, over)
    embassy.sync()
    assert embassy.message(notice.gid) is None
    assert newest(ngo).content["deletion_outcome"] == {"outcome": "deleted"}
    assert [row.outcome for row in ngo.deletions.asked()] == [{"outcome": "deleted"}]


def test_what_is_gone_already_and_what_lies_elsewhere_are_said(ngo: Client, embassy: Client) -> None:
    _, first, notice = told(ngo, embassy)
    _, second, _ = told(ngo, embassy)
    message_rows.delete(embassy.session.store, notice.gid)
    ngo.withdraw(first)
    assert embassy.deletions.answer(newest(embassy).gid).outcome == {"outcome": "already_gone"}
    ngo.withdraw(second)
    assert embassy.deletions.answer(newest(embassy).gid, partly=True).outcome == {"outcome": "partly"}


def test_a_receipt_from_an_agency_that_was_not_asked_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    with exchange.joined("commission", kind="commission") as commission:
        _, cid, _ = told(ngo, embassy)
        _, theirs, other = told(ngo, commission, "commission")
        ngo.withdraw(cid)
        with pytest.raises(SenderMismatch) as outside:
            embassy.send(
                "deletion_request", to=["ngo"], consents=[cid], content={"reason_code": "wrong_person"}
            )
        assert outside.value.rule == "C24-role"
        commission.send(
            "deletion_receipt",
            to=["ngo"],
            consents=[theirs],
            in_reply_to=other.gid,
            content={"deletion_outcome": {"outcome": "deleted"}},
        )
        with pytest.raises(SenderMismatch) as caught:
            newest(ngo)
        assert caught.value.rule == "deletion-party"
        (row,) = (item for item in commission.outbox() if item.kind == "deletion_receipt")
        assert (row.outcome, row.outcome_code) == ("refused", "SENDER_MISMATCH")
        assert [row.state for row in ngo.deletions.asked()] == ["asked"]


def test_a_receipt_that_answers_no_request_is_refused(ngo: Client, embassy: Client) -> None:
    _, cid, notice = told(ngo, embassy)
    ngo.withdraw(cid)
    embassy.sync()
    embassy.send(
        "deletion_receipt",
        to=["ngo"],
        consents=[cid],
        in_reply_to=notice.gid,
        content={"deletion_outcome": {"outcome": "deleted"}},
    )
    with pytest.raises(SenderMismatch) as caught:
        newest(ngo)
    assert caught.value.rule == "deletion-request"


def test_a_request_that_could_not_leave_is_sent_once_by_the_next_sync(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    _, cid, _ = told(ngo, embassy)
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.withdraw(cid)
    exchange.start()
    ngo.sync()
    ngo.sync()
    assert [item.kind for item in embassy.inbox()].count("deletion_request") == 1


def test_a_request_that_has_not_left_is_not_called_unanswered(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    _, cid, _ = told(ngo, embassy)
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.withdraw(cid)
    for _ in range(2):
        said = ngo.deletions.catch_up(Unopened(ngo.inbox))
        assert any("has not left for embassy yet" in text for text in said)
        assert all("send --resume" in text or "next sync" in text for text in said)
        assert not any("has not answered" in text for text in said)
    exchange.start()
    ngo.resume()
    assert [text for text in ngo.sync().due if "has not answered" in text]
    assert [item.kind for item in embassy.inbox()].count("deletion_request") == 1


def test_a_consent_that_the_hub_never_had_is_withdrawn_without_it(exchange: Exchange, ngo: Client) -> None:
    with exchange.joined("commission", kind="commission"):
        ngo.sync()
        ref = child_with_decision(ngo)
        exchange.stop()
        with pytest.raises(HubUnreachable):
            ngo.consents.grant(ref, to="commission", terms=found_terms())
        exchange.start()
        (consent,) = ngo.consents.each()
        assert [done.delivered for done in ngo.withdraw(consent.cid)] == [0]
        assert list(ngo.deletions.asked()) == []
