"""What a withdrawal has locked shows nowhere: not as a correction, not as a step of a case."""

from __future__ import annotations

import pytest

from exchange.agency import Client
from tests.integration.agency.exchange_world import found_terms
from tests.integration.agency.test_agency_deletions import newest, told

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_correction_whose_consent_was_withdrawn_corrects_nothing(ngo: Client, embassy: Client) -> None:
    ref, _, notice = told(ngo, embassy)
    ngo.records.edit(ref, {"sex": "male"})
    terms = found_terms(kind=None, fields=("sex",), purposes=("trace",))
    second = ngo.consents.grant(ref, to="embassy", terms=terms)
    ngo.send(
        "correction",
        to=["embassy"],
        record=ref,
        fields=["sex"],
        consents=[second.cid],
        content={"correction_of": notice.eid},
    )
    newest(embassy)
    assert embassy.fields_now(notice.gid)["sex"] == "male"
    ngo.withdraw(second.cid)
    embassy.sync()
    assert embassy.fields_now(notice.gid)["sex"] == "female"


def test_a_step_whose_consent_was_withdrawn_is_in_the_course_of_the_case_without_what_it_said(
    ngo: Client, embassy: Client
) -> None:
    ref, _, notice = told(ngo, embassy)
    ngo.records.edit(
        ref, {"travel_step": {"step": "travel_paper", "date": "2026-11-20", "authority": "Consulate"}}
    )
    terms = found_terms(kind=None, fields=("travel_step",), purposes=("document",))
    consent = ngo.consents.grant(ref, to="embassy", terms=terms)
    content = {"blocker_code": "court_delay"}
    ngo.send("document_step", to=["embassy"], record=ref, purpose="document", content=content)
    newest(embassy)
    thread = str(notice.thread)
    (step,) = (item for item in embassy.timeline(thread=thread) if item.kind == "document_step")
    assert (step.said, "travel_step" in step.steps) == (content, True)
    ngo.withdraw(consent.cid)
    embassy.sync()
    (locked,) = (item for item in embassy.timeline(thread=thread) if item.kind == "document_step")
    assert (locked.said, locked.steps) == ({}, {})
    # What rests on another consent stays.
    assert next(item.kind for item in embassy.timeline(thread=thread)) == "found_notice"
