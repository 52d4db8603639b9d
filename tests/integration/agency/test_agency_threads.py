"""A thread between two agencies: confirmations, then the fields that need them; references."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.agency import Client, Message, Sent
from exchange.agency.confirmations import relation_verified
from exchange.agency.sealing import sealing_key
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import (
    Conflict,
    ConsentMismatch,
    FieldDenied,
    KeyNotActive,
    Malformed,
    PurposeDenied,
    RecordUnknown,
    StageDenied,
)
from exchange_schemas.ids import ThreadId
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

DIGEST = "B" * 42 + "A"


def confirm(client: Client, to: str, record: str, answered: Message, candidate: str) -> Sent:
    """One side's confirmation that it is the same child and the relation holds."""
    client.consents.grant(
        record, to=to, terms=found_terms(kind="match_confirmation", purposes=("verify",), evidence="file")
    )
    return client.send(
        "match_confirmation",
        to=[to],
        record=record,
        purpose="verify",
        in_reply_to=answered.gid,
        content={
            "candidate_ref": candidate,
            "match_level": "relation",
            "match_decision": "same_child",
            "statement_digest": DIGEST,
        },
    )


def newest(client: Client) -> Message:
    """The newest message, opened."""
    return client.open_grant(list(client.inbox())[-1].gid)


@pytest.fixture
def notified(ngo: Client, embassy: Client) -> tuple[str, Message]:
    """The NGO's record, and its found notice as the embassy has opened it."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.edit(
        ref, {"current_facility": "House of the river", "care_arrangement": "with_parent_in_detention"}
    )
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.sync()
    return ref, newest(embassy)


def late_terms(**changes: Any) -> Any:
    """Terms for the fields that need a confirmed match."""
    return found_terms(
        kind=None, fields=("current_facility", "care_arrangement"), purposes=("care",), **changes
    )


def test_where_a_child_lives_is_told_only_after_both_sides_confirmed(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    with pytest.raises(StageDenied):
        ngo.consents.grant(ref, to="embassy", terms=late_terms())
    sought = child_with_decision(embassy)
    candidate = str(notice.fields["child_ref"])
    first = confirm(embassy, "ngo", sought, notice, candidate)
    theirs = newest(ngo)
    assert theirs.thread == notice.thread
    half = ngo.consents.grant(ref, to="embassy", terms=late_terms(after=(first.eid, "C" * 21 + "A")))
    with pytest.raises(StageDenied):
        ngo.send(
            "information_response", to=["embassy"], record=ref, consents=[half.cid], in_reply_to=theirs.gid
        )
    assert not relation_verified(ngo.session.store, ThreadId(str(notice.thread)), half.issuer)
    second = confirm(ngo, "embassy", ref, theirs, candidate)
    newest(embassy)
    whole = ngo.consents.grant(ref, to="embassy", terms=late_terms(after=(first.eid, second.eid)))
    ngo.send("information_response", to=["embassy"], record=ref, consents=[whole.cid], in_reply_to=theirs.gid)
    told = newest(embassy)
    assert told.fields["current_facility"] == "House of the river"
    assert told.fields["care_arrangement"] == "with_parent_in_detention"


def test_detention_is_not_told_before_the_relation_is_verified(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, _ = notified
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(kind=None, fields=("care_arrangement",), purposes=("care",))
    )
    with pytest.raises(StageDenied) as caught:
        ngo.send("information_response", to=["embassy"], record=ref, purpose="care")
    assert caught.value.rule == "C23-detention"


def test_a_field_for_one_recipient_goes_to_one(exchange: Exchange, ngo: Client, embassy: Client) -> None:
    with exchange.joined("commission", kind="commission"):
        ngo.sync()
        ref = child_with_decision(ngo)
        ngo.records.edit(ref, {"care_arrangement": "camp"})
        terms = found_terms(kind=None, fields=("care_arrangement", "sex"), purposes=("care",))
        for one in ("embassy", "commission"):
            ngo.consents.grant(ref, to=one, terms=terms)
        with pytest.raises(FieldDenied) as caught:
            ngo.send("information_response", to=["embassy", "commission"], record=ref)
        assert caught.value.rule == "C19-one-recipient"


def test_kin_are_named_by_the_references_that_this_recipient_knows(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    sister, ref = child_with_decision(ngo), child_with_decision(ngo)
    ngo.records.edit(ref, {"kin_refs": [{"child_ref": sister, "relation": "sister"}]})
    for one in (sister, ref):
        ngo.consents.grant(one, to="embassy", terms=found_terms())
        ngo.send("found_notice", to=["embassy"], record=one)
    first, second = (embassy.open_grant(item.gid) for item in embassy.inbox())
    assert second.fields["kin_refs"] == [{"child_ref": first.fields["child_ref"], "relation": "sister"}]
    assert first.fields["child_ref"] != sister


def test_a_reference_points_at_a_consent_and_carries_no_field(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    embassy.send(
        "withdrawal_request", to=["ngo"], in_reply_to=notice.gid, content={"reason_code": "security"}
    )
    asked = newest(ngo)
    assert (asked.kind, asked.content["reason_code"], asked.thread) == (
        "withdrawal_request",
        "security",
        notice.thread,
    )
    (consent,) = ngo.consents.each()
    assert asked.consent == consent.cid
    ngo.consents.withdraw(consent.cid)
    ngo.send(
        "deletion_request",
        to=["embassy"],
        consents=[consent.cid],
        content={"reason_code": "consent_withdrawn"},
    )
    embassy.sync()
    request = newest(embassy)
    embassy.send(
        "deletion_receipt",
        to=["ngo"],
        in_reply_to=request.gid,
        content={"deletion_outcome": {"outcome": "deleted"}},
    )
    assert newest(ngo).content["deletion_outcome"] == {"outcome": "deleted"}
    with pytest.raises(FieldDenied):
        ngo.send(
            "deletion_request",
            to=["embassy"],
            record=ref,
            consents=[consent.cid],
            fields=["sex"],
            content={"reason_code": "security"},
        )


def test_what_a_kind_needs_is_asked_for_in_its_own_words(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    ref, notice = notified
    with pytest.raises(FieldDenied, match="needs"):
        ngo.send("match_answer", to=["embassy"], record=ref, content={"candidate_ref": "D" * 21 + "A"})
    with pytest.raises(Malformed):
        embassy.send(
            "information_request", to=["ngo"], content={"asked_fields": ["sex"], "need_code": "identify"}
        )
    with pytest.raises(RecordUnknown):
        embassy.send("declined", to=["ngo"], in_reply_to="D" * 21 + "A")
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=("marks", "name_given")))
    with pytest.raises(RecordUnknown) as caught:
        ngo.send("found_notice", to=["embassy"], record=ref, fields=["marks"])
    assert caught.value.field == "marks"
    with pytest.raises(PurposeDenied):
        ngo.send("service_referral", to=["embassy"], record=ref, content=referral())
    ngo.consents.grant(ref, to="embassy", terms=found_terms(purposes=("trace", "verify"), fields=("sex",)))
    with pytest.raises(Malformed, match="several"):
        ngo.send("information_response", to=["embassy"], record=ref)
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(kind=None, fields=("sex",), thread="E" * 21 + "A")
    )
    with pytest.raises(ConsentMismatch):
        ngo.send("information_response", to=["embassy"], record=ref, thread=str(notice.thread))
    sent = ngo.send("information_response", to=["embassy"], record=ref, lasts=timedelta(days=1))
    assert sent.grants[0].thread == "E" * 21 + "A"


def referral() -> dict[str, JsonValue]:
    """The message fields of a referral."""
    return {"service_code": "health_primary", "urgency": "days", "contact_point": "desk@ngo.example"}


def test_a_recipient_without_a_key_to_seal_to_is_named(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    later = datetime.now(UTC) + timedelta(days=800)
    with pytest.raises(KeyNotActive) as caught:
        sealing_key(ngo.session, embassy.session.profile.agency, later)
    assert "embassy" in caught.value.message


def test_declined_answers_a_request_of_the_other_side_and_nothing_else(
    ngo: Client, embassy: Client, notified: tuple[str, Message]
) -> None:
    _, notice = notified
    for answered in ({}, {"in_reply_to": notice.gid}):
        with pytest.raises(Conflict) as refused:
            embassy.send("declined", to=["ngo"], thread=str(notice.thread), **answered)
        assert refused.value.rule == "A04-declined"
    embassy.send(
        "information_request",
        to=["ngo"],
        thread=str(notice.thread),
        content={"asked_fields": ["marks"], "need_code": "identify"},
        reply_by=embassy.session.now() + timedelta(days=3),
    )
    asked = newest(ngo)
    sent = ngo.send(
        "declined",
        to=["embassy"],
        in_reply_to=asked.gid,
        content={"refusals": [{"field": "marks", "code": "not_held"}]},
    )
    assert newest(embassy).eid == sent.eid
