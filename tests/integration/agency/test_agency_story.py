"""The story between two agencies over the real hub: consent, send, open, withdraw."""

from __future__ import annotations

import pytest

from exchange.agency import Client
from exchange_schemas.errors import ConsentWithdrawn, FieldDenied
from tests.integration.agency.exchange_world import CHILD, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_record_travels_and_is_opened_with_every_field_that_the_consent_allows(
    ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert [grant.recipient for grant in sent.grants] == ["embassy"]
    (item,) = embassy.inbox()
    assert (item.sender, item.kind, item.state) == ("ngo", "found_notice", "waiting")
    message = embassy.open_grant(item.gid)
    assert message.fields["name_given"] == CHILD["name_given"]
    assert "guardian_status" not in message.fields
    assert message.alarms == ()
    assert message.consent == consent.cid
    assert [kept.gid for kept in embassy.messages()] == [item.gid]
    (row,) = ngo.outbox()
    assert (row.state, row.outcome) == ("receipted", "opened")
    assert {receipt.outcome for receipt in ngo.receipts()} == {"allow"}


def test_a_field_outside_the_consent_is_refused_before_anything_leaves(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(fields=("name_given", "sex", "age_range", "current_area"))
    )
    with pytest.raises(FieldDenied) as caught:
        ngo.send("found_notice", to=["embassy"], record=ref, fields=("name_given", "languages"))
    assert caught.value.rule == "C11-field"
    assert ngo.spooled() == []


def test_a_withdrawn_consent_stops_what_was_not_fetched_and_the_next_fetch(
    ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    (item,) = embassy.inbox()
    done = ngo.consents.withdraw(consent.cid)
    assert (done.undelivered, done.delivered) == (1, 0)
    with pytest.raises(ConsentWithdrawn):
        embassy.open_grant(item.gid)
    with pytest.raises(ConsentWithdrawn):
        ngo.send("found_notice", to=["embassy"], record=ref)
