"""The course of a case between two agencies: steps, referral, responsibility, correction, unmatch."""

from __future__ import annotations

import pytest

from exchange.agency import Client, Message
from exchange.agency.confirmations import relation_verified
from exchange_schemas.errors import FieldDenied, Malformed, RecordUnknown, StageDenied
from exchange_schemas.ids import ThreadId
from tests.integration.agency.exchange_world import child_with_decision, found_terms
from tests.integration.agency.test_agency_threads import confirm, late_terms, newest, notified, referral

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

__all__ = ["notified"]


def test_steps_towards_papers_are_a_timeline_that_both_sides_see(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(kind=None, fields=("travel_step",), purposes=("document",))
    )
    for step, more in (
        ("nationality_check", {"due_date": "2026-12-20"}),
        ("travel_paper", {"blocker_code": "court_delay"}),
    ):
        ngo.records.edit(ref, {"travel_step": {"step": step, "date": "2026-11-20", "authority": "Consulate"}})
        ngo.send("document_step", to=["embassy"], record=ref, purpose="document", content={**more})
        newest(embassy)
    ours = ngo.timeline(record=ref)
    theirs = embassy.timeline(thread=str(notice.thread))
    for items in (ours, theirs):
        steps = [item.steps["travel_step"] for item in items if item.kind == "document_step"]
        assert [one["step"] for one in steps if isinstance(one, dict)] == [
            "nationality_check",
            "travel_paper",
        ]
    assert [item.kind for item in ours] == ["found_notice", "document_step", "document_step"]
    assert all("name_given" not in item.said for item in ours)
    with pytest.raises(RecordUnknown):
        ngo.timeline(thread="D" * 21 + "A")
    with pytest.raises(Malformed):
        ngo.timeline()


def test_a_referral_and_an_offer_are_answered_and_the_newest_acceptance_makes_responsible(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    thread = str(notice.thread)
    ngo.consents.grant(
        ref,
        to="embassy",
        terms=found_terms(
            kind=None,
            fields=("sex", "age_range", "guardian_status", "best_interests_decision"),
            purposes=("care",),
        ),
    )
    ngo.send("service_referral", to=["embassy"], record=ref, content=referral(), fields=["sex", "age_range"])
    asked = newest(embassy)
    assert [one.kind for one in embassy.requests.each(open_only=True)] == ["service_referral"]
    embassy.send("service_answer", to=["ngo"], in_reply_to=asked.gid, content={"service_answer": "accepted"})
    newest(ngo)
    assert [one.answer for one in ngo.requests.each()] == ["service_answer"]
    ngo.send(
        "responsibility_offer",
        to=["embassy"],
        record=ref,
        fields=["guardian_status", "best_interests_decision"],
        content={"transfer_date": "2026-12-31"},
    )
    offer = newest(embassy)
    assert (ngo.responsible(thread), embassy.responsible(thread)) == (None, None)
    embassy.send(
        "responsibility_answer", to=["ngo"], in_reply_to=offer.gid, content={"transfer_answer": "accepted"}
    )
    newest(ngo)
    assert (ngo.responsible(thread), embassy.responsible(thread)) == ("embassy", "embassy")
    assert [one.answer for one in ngo.requests.each()] == ["service_answer", "responsibility_answer"]


def test_a_correction_puts_the_new_value_in_its_place(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    ngo.records.edit(ref, {"sex": "male"})
    (consent,) = ngo.consents.each()
    ngo.send(
        "correction",
        to=["embassy"],
        record=ref,
        fields=["sex"],
        consents=[consent.cid],
        content={"correction_of": notice.eid},
    )
    newest(embassy)
    assert embassy.kept(notice.gid).fields["sex"] == "female"
    assert embassy.fields_now(notice.gid)["sex"] == "male"
    with pytest.raises(RecordUnknown) as unknown:
        ngo.send(
            "correction",
            to=["embassy"],
            record=ref,
            fields=["sex"],
            content={"correction_of": "D" * 21 + "A"},
        )
    assert unknown.value.rule == "K01-sent"
    ngo.records.edit(ref, {"home_area": {"country": "IQ", "area": "IQ-NI"}})
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(kind=None, fields=("home_area",), purposes=("trace",))
    )
    with pytest.raises(FieldDenied) as new:
        ngo.send(
            "correction",
            to=["embassy"],
            record=ref,
            fields=["home_area"],
            content={"correction_of": notice.eid},
        )
    assert new.value.rule == "K02-field"


def test_a_match_that_is_taken_back_opens_nothing_any_more(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    sought = child_with_decision(embassy)
    candidate = str(notice.fields["child_ref"])
    first = confirm(embassy, "ngo", sought, notice, candidate)
    theirs = newest(ngo)
    second = confirm(ngo, "embassy", ref, theirs, candidate)
    newest(embassy)
    thread = ThreadId(str(notice.thread))
    assert relation_verified(ngo.session.store, thread, ngo.session.profile.agency)
    whole = ngo.consents.grant(ref, to="embassy", terms=late_terms(after=(first.eid, second.eid)))
    embassy.send(
        "unmatch",
        to=["ngo"],
        thread=str(thread),
        content={"candidate_ref": candidate, "reason_code": "wrong_person"},
    )
    newest(ngo)
    for client in (ngo, embassy):
        assert not relation_verified(client.session.store, thread, client.session.profile.agency)
    with pytest.raises(StageDenied):
        ngo.send("information_response", to=["embassy"], record=ref, consents=[whole.cid], thread=str(thread))
