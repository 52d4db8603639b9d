"""The dry run tells part by part what `decide` would do, and never more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.consent import Allow, ConsentStanding, Deny, Preview, ShareRequest, Status, preview
from exchange_schemas.catalogue import check_kind
from exchange_schemas.consent import Consent
from exchange_schemas.errors import FieldDenied
from tests.unit.consent.sharing import (
    ABROAD,
    CATALOGUE,
    FIELDS,
    FINDER,
    HOLDER,
    NOW,
    consent,
    judge,
    request,
    rule_of,
)
from tests.unit.consent.test_consent_properties import NAMES, cases, narrower


def look(
    asked: ShareRequest, given_consent: Consent | None, standing: ConsentStanding | None = None, **named: Any
) -> Preview:
    now = named.pop("now", NOW)
    recipient = named.pop("recipient", FINDER)
    return preview(
        asked,
        given_consent,
        ConsentStanding() if standing is None else standing,
        recipient,
        now,
        CATALOGUE,
        **({"sender": HOLDER, "confirmations": {}} | named),
    )


def test_what_goes_and_what_does_not_is_told_with_its_rule_and_a_remedy() -> None:
    asked = request(fields=(*FIELDS, "photo", "languages", "relatives", "religion"))
    found = look(asked, consent())
    assert found.given == tuple(sorted((*FIELDS, "photo")))
    assert {name: denied.rule for name, denied in found.withheld} == {
        "languages": "C11-field",
        "relatives": "C17-kind",
        "religion": "C17-kind",
    }
    assert all(denied.remedy for _, denied in found.withheld)
    assert not any("religion" in denied.reason for _, denied in found.withheld)
    assert found.whole == Allow()


def test_a_message_that_lacks_what_its_kind_needs_is_refused_as_a_whole() -> None:
    found = look(request(fields=("name_given", "sex")), consent())
    assert found.given == ("name_given", "sex")
    assert rule_of(found.whole) == "C17-kind"


@pytest.mark.parametrize(
    ("asked", "given_consent", "named", "rule"),
    [
        (request(), None, {}, "C01-unknown"),
        (request(purpose="health"), consent(), {}, "C10-purpose"),
        (request(), consent(), {"standing": ConsentStanding(Status.WITHDRAWN)}, "C05-withdrawn"),
        (request(), consent(), {"now": NOW + timedelta(days=31)}, "C07-time"),
        (request(), consent(), {"recipient": replace(ABROAD, kind="embassy")}, "C16-screening"),
        (request(kind="gossip"), consent(), {}, "C17-kind"),
    ],
)
def test_what_refuses_the_whole_refuses_every_part(
    asked: ShareRequest, given_consent: Consent | None, named: dict[str, Any], rule: str
) -> None:
    found = look(asked, given_consent, **named)
    assert found.given == ()
    assert {denied.rule for _, denied in found.withheld} == {rule}
    assert isinstance(found.whole, Deny)


@given(cases(), st.lists(st.sampled_from(NAMES), unique=True))
def test_the_dry_run_gives_exactly_what_a_decision_gives(
    case: tuple[ShareRequest, Consent, dict[str, Any]], more: list[str]
) -> None:
    asked, given_consent, named = case
    asked = replace(asked, fields=tuple(sorted({*asked.fields, *more})))
    found = look(asked, given_consent, **named)
    assert {*found.given, *(name for name, _ in found.withheld)} == set(asked.fields)
    for name in asked.fields:
        one = judge(replace(asked, fields=(name,)), given_consent, **named)
        assert (name in found.given) is (one == Allow())
    if found.given:
        assert found.whole == judge(replace(asked, fields=found.given), given_consent, **named) == Allow()


@given(st.data())
def test_a_narrower_consent_never_gives_more(data: st.DataObject) -> None:
    asked, wide, named = data.draw(cases())
    narrow = narrower(data.draw, wide)
    assert set(look(asked, narrow, **named).given) <= set(look(asked, wide, **named).given)


@given(st.data())
def test_withdrawn_gives_nothing_and_order_does_not_matter(data: st.DataObject) -> None:
    asked, given_consent, named = data.draw(cases())
    withdrawn = ConsentStanding(Status.WITHDRAWN, given_consent)
    assert look(asked, given_consent, withdrawn, **named).given == ()
    over = {**named, "now": given_consent.exp + timedelta(seconds=121)}
    assert look(asked, given_consent, **over).given == ()
    again = replace(asked, fields=tuple(data.draw(st.permutations(asked.fields))))
    assert look(again, given_consent, **named) == look(asked, given_consent, **named)


@given(st.sampled_from(sorted(CATALOGUE.kinds)), st.sets(st.sampled_from(NAMES)))
def test_what_a_kind_needs_decides_the_whole_only(kind: str, names: set[str]) -> None:
    spec = CATALOGUE.kinds[kind]
    purpose = sorted(spec.purposes or {"trace"})[0]
    wide = consent(fields=NAMES, pur=CATALOGUE.purposes)
    found = look(request(kind=kind, purpose=purpose, fields=tuple(names)), wide)
    try:
        check_kind(CATALOGUE, kind, found.given)
    except FieldDenied:
        assert isinstance(found.whole, Deny)
