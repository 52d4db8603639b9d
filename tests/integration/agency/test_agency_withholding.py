"""Who must never learn of a child, and who may learn early that it is detained."""

from __future__ import annotations

import pytest

from exchange.agency import Client
from exchange_schemas.errors import HubUnreachable, Malformed, NotPermitted, RecipientDenied, StageDenied
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.mark.parametrize("entry", ["embassy", "kind:embassy", "country:MA"])
def test_nothing_of_a_record_goes_to_whom_it_is_withheld_from(
    ngo: Client, embassy: Client, entry: str
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert ngo.records.withhold(ref, entry) == (entry,)
    assert [one.cid for one in ngo.consents.standing_against_withholding(ref)] == [consent.cid]
    asked = {"asked_fields": ["sex"], "need_code": "identify"}
    thread = str(sent.grants[0].thread)
    for refused in (
        lambda: ngo.consents.grant(ref, to="embassy", terms=found_terms()),
        lambda: ngo.consents.grant(ref, to="embassy", terms=found_terms(basis="vital_interest")),
        lambda: ngo.send("found_notice", to=["embassy"], record=ref, consents=[consent.cid]),
        lambda: ngo.send("information_request", to=["embassy"], thread=thread, content=asked),
    ):
        with pytest.raises(RecipientDenied) as caught:
            refused()
        assert caught.value.rule == "W01-withheld"
    (dry,) = ngo.check("found_notice", to=["embassy"], record=ref)
    assert dry.refused is not None
    assert (dry.given, dry.refused.rule) == ((), "W01-withheld")
    assert len(list(embassy.inbox())) == 1
    assert ngo.records.withhold(ref, entry, lift=True) == ()
    assert ngo.send("found_notice", to=["embassy"], record=ref).eid


def test_what_waits_in_the_spool_is_not_sent_to_whom_it_is_withheld_from_since(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=ref)
    ngo.records.withhold(ref, "embassy")
    exchange.start()
    with pytest.raises(RecipientDenied):
        ngo.resume()
    assert ngo.spooled() == []
    assert list(embassy.inbox()) == []


def test_an_entry_is_an_agency_a_kind_or_a_country_and_only_an_approver_lifts(ngo: Client) -> None:
    ref = child_with_decision(ngo)
    for wrong in ("kind:circus", "country:mars", "Not An Id", "kind:", ""):
        with pytest.raises(Malformed):
            ngo.records.withhold(ref, wrong)
    ngo.records.withhold(ref, "embassy", "country:MA")
    approver, ngo.session.approver = ngo.session.approver, None
    with pytest.raises(NotPermitted):
        ngo.records.withhold(ref, "embassy", lift=True)
    with pytest.raises(NotPermitted):
        ngo.attest("ngo", evidence="file")
    ngo.session.approver = approver
    assert ngo.records.withheld_from(ref) == ("country:MA", "embassy")


def test_care_in_detention_is_told_early_to_an_attested_authority_on_both_sides(
    ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    embassy.sync()
    ref = child_with_decision(ngo)
    ngo.records.edit(ref, {"care_arrangement": "with_parent_in_detention"})
    ngo.consents.grant(
        ref, to="embassy", terms=found_terms(kind=None, fields=("care_arrangement",), purposes=("care",))
    )

    def tell() -> None:
        ngo.send("information_response", to=["embassy"], record=ref, purpose="care")

    with pytest.raises(StageDenied):
        tell()
    with pytest.raises(NotPermitted) as caught:
        ngo.attest("ngo", evidence="no public authority")
    assert caught.value.rule == "attest-authority"
    ngo.attest("embassy", evidence="mandate, file 12")
    tell()
    (item,) = embassy.inbox()
    with pytest.raises(StageDenied):
        embassy.open_grant(item.gid)
    embassy.attest("embassy", evidence="mandate, file 12")
    assert embassy.open_grant(item.gid).fields["care_arrangement"] == "with_parent_in_detention"
    ngo.attest("embassy", evidence=None)
    with pytest.raises(StageDenied):
        tell()
