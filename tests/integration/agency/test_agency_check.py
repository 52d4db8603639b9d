"""The dry run over the real hub: what would go, why not the rest; a consent carries its own child alone."""

from __future__ import annotations

import pytest

from exchange.agency import Client
from exchange_schemas.errors import RecordUnknown, SubjectMismatch
from tests.integration.agency.exchange_world import child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_consent_of_one_child_never_carries_another_childs_record(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    one, other = child_with_decision(ngo), child_with_decision(ngo)
    consent = ngo.consents.grant(one, to="embassy", terms=found_terms())
    with pytest.raises(SubjectMismatch):
        ngo.send("found_notice", to=["embassy"], record=other, consents=[consent.cid])
    (found,) = ngo.check("found_notice", to=["embassy"], record=other, consents=[consent.cid])
    assert (found.given, found.refused.rule if found.refused else None) == ((), "C08-subject")
    assert ngo.send("found_notice", to=["embassy"], record=one, consents=[consent.cid]).eid


def test_the_dry_run_tells_what_would_go_and_the_hub_agrees(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    (before,) = ngo.check("found_notice", to=["embassy"], record=ref)
    assert before.refused is not None
    assert (before.given, before.refused.rule) == ((), "C01-unknown")
    assert "consent grant" in before.refused.remedy
    assert ngo.check("found_notice", to=["embassy"], record=ref, at_hub=True) == []
    names = ("age_range", "child_ref", "current_area", "name_given", "sex")
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=names))
    (found,) = ngo.check("found_notice", to=["embassy"], record=ref)
    assert (found.given, found.consent, found.refused) == (names, consent.cid, None)
    assert {one.field: one.rule for one in found.withheld} == {
        "languages": "C11-field",
        "name_family": "C11-field",
    }
    assert ngo.check("found_notice", to=["embassy"], record=ref, at_hub=True) == [found]
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert sorted(sent.grants[0].fields) == sorted(found.given)
    (named,) = ngo.check("found_notice", to=["embassy"], record=ref, fields=["sex", "marks", "photo"])
    assert (named.given, named.refused.rule if named.refused else None) == (("sex",), "C17-kind")
    ngo.withdraw(consent.cid)
    (after,) = ngo.check("found_notice", to=["embassy"], record=ref, consents=[consent.cid])
    assert (after.given, {one.rule for one in after.withheld}) == ((), {"C05-withdrawn"})
    (there,) = ngo.check("found_notice", to=["embassy"], record=ref, consents=[consent.cid], at_hub=True)
    assert (there.given, {one.rule for one in there.withheld}) == ((), {"C05-withdrawn"})


def test_a_field_that_the_record_lacks_is_said_so(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=("marks", "sex")))
    (found,) = ngo.check("found_notice", to=["embassy"], record=ref, fields=["marks", "sex"])
    assert found.given == ("sex",)
    assert [(one.field, one.rule) for one in found.withheld] == [("marks", "no-value")]
    with pytest.raises(RecordUnknown):
        ngo.check("found_notice", to=["embassy"], record="unknown-record")
