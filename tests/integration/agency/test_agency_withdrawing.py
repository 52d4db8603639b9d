"""A withdrawal counts at once: for what waits and for every consent named, whatever the connection."""

from __future__ import annotations

import pytest

from exchange.agency import Client
from exchange_schemas.errors import ConsentWithdrawn, HubUnreachable
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_all_consents_named_are_withdrawn_here_before_the_hub_hears_of_the_first(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    for _ in range(2):
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.stop()
    with pytest.raises(HubUnreachable) as caught:
        ngo.consents.withdraw_all([one.cid for one in ngo.consents.each()])
    assert "counts here already" in str(caught.value.hint)
    assert {one.status for one in ngo.consents.each()} == {"withdrawn"}
    exchange.start()
    ngo.sync()
    embassy.sync()
    assert {one.status for one in embassy.consents.received()} == {"withdrawn"}


def test_what_was_withdrawn_while_it_waited_in_the_spool_is_never_sent(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=ref)
    with pytest.raises(HubUnreachable):
        ngo.consents.withdraw(consent.cid)
    exchange.start()
    with pytest.raises(ConsentWithdrawn, match="not sent"):
        ngo.resume()
    assert ngo.spooled() == []
    assert list(embassy.inbox()) == []


def test_an_envelope_under_a_consent_that_the_hub_never_heard_of_is_not_lost(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    exchange.stop()
    with pytest.raises(HubUnreachable) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    assert "kept" in str(caught.value.hint)
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=ref)
    exchange.start()
    (sent,) = ngo.resume()
    (item,) = embassy.inbox()
    assert item.eid == sent.eid
    assert embassy.open_grant(item.gid).fields["sex"] == "female"
