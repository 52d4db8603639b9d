"""Sharing on vital interest is announced to every commission, in the transaction that registers it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from exchange.hub.models.notices import notice
from exchange.hub.services import audit_pulls, consents, notices
from exchange_schemas.consent import Authority, Screening
from exchange_schemas.entry import VITAL
from exchange_schemas.errors import Malformed, NotFound, PolicyDenied, ScreeningDenied, StageDenied
from exchange_schemas.ids import AgencyId
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import EVIDENCE, GivenConsent, World

DANGER = (Authority(about="child", basis="vital_interest", evidence_digest=EVIDENCE),)


def urgent(world: World, iss: Agency, rcp: Agency, **changes: Any) -> GivenConsent:
    values = {"authorities": DANGER, "exp": world.now + timedelta(hours=70)} | changes
    given = world.sign_consent(world.draft_consent(iss, rcp, **values), iss.approver, iss.second)
    world.register(given)
    return given


def shown(world: World, who: Agency, **changes: Any) -> dict[str, Any]:
    return notices.listing(world.hub, world.caller(who), **({"cursor": None, "limit": 10} | changes)).body


def test_every_commission_hears_of_it_and_can_prove_it(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    other = world.admit("commission-b", kind="commission")
    given = urgent(world, ngo, embassy)
    entry = world.last()
    assert (entry.act, entry.out, entry.pol) == ("consent:register", "allow", VITAL)
    assert set(entry.own) == {ngo.id, embassy.id, commission.id, other.id}
    for who in (commission, other):
        (item,) = shown(world, who)["items"]
        assert (item["iss"], item["rcp"], item["entry"]) == (ngo.id, embassy.id, entry.id)
        assert (item["fields"], item["purposes"]) == ([*given.consent.fields], [*given.consent.pur])
        proof = audit_pulls.receipt(world.hub, world.caller(who), entry.id)
        assert proof.body["entry"]
    assert given.consent.subj not in str(shown(world, commission))
    assert given.consent.family not in str(shown(world, commission))


def test_nobody_else_is_shown_it(world: World, ngo: Agency, embassy: Agency, commission: Agency) -> None:
    urgent(world, ngo, embassy)
    entry = world.last()
    stranger = world.admit("ngo-b")
    for who in (ngo, embassy, stranger):
        assert shown(world, who)["items"] == []
    with pytest.raises(NotFound):
        audit_pulls.receipt(world.hub, world.caller(stranger), entry.id)
    cursor = shown(world, commission)["next"]
    with pytest.raises(Malformed):
        shown(world, ngo, cursor=cursor)


def test_an_ordinary_consent_is_announced_to_nobody(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    world.consent(ngo, embassy)
    assert (world.last().pol, commission.id in world.last().own) == (None, False)
    assert shown(world, commission)["items"] == []


def test_a_commission_that_is_a_party_itself_hears_of_it_too(
    world: World, ngo: Agency, commission: Agency
) -> None:
    urgent(world, ngo, commission)
    urgent(world, commission, ngo)
    assert [item["iss"] for item in shown(world, commission)["items"]] == [ngo.id, commission.id]


def test_pages_go_on_where_the_last_one_ended(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    for _ in range(3):
        urgent(world, ngo, embassy)
    first = shown(world, commission, limit=2)
    assert (len(first["items"]), first["more"]) == (2, True)
    rest = shown(world, commission, cursor=first["next"])
    assert (len(rest["items"]), rest["more"]) == (1, False)
    assert shown(world, commission, cursor=rest["next"])["items"] == []


def test_a_commission_that_takes_no_part_hears_nothing(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    world.set_agency(commission, "suspended")
    urgent(world, ngo, embassy)
    assert commission.id not in world.last().own


@pytest.mark.parametrize("carried", [False, True])
def test_as_many_commissions_as_may_take_part_are_all_told(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, carried: bool
) -> None:
    more = [AgencyId(f"commission-{n:02}") for n in range(notices.MOST - 1)]
    for name in more:
        world.add_commission(name)
    told = [commission.id, *more]
    given = world.sign_consent(
        world.draft_consent(ngo, embassy, authorities=DANGER, exp=world.now + timedelta(hours=70)),
        ngo.approver,
        ngo.second,
    )
    caller = world.caller(ngo)
    if carried:
        courier = world.admit("courier")
        caller = replace(caller, carrier=courier.id)
    assert consents.register(world.hub, caller, given.body).status == 201
    entry = world.last()
    assert set(told) < set(entry.own)
    assert len(entry.own) == notices.MOST + (3 if carried else 2)
    with world.hub.engine.connect() as conn:
        heard = set(conn.execute(select(notice.c.agency)).scalars())
    assert heard == set(told)


def test_the_same_consent_again_announces_nothing_twice(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = urgent(world, ngo, embassy)
    assert world.register(given).status == 200
    assert len(shown(world, commission)["items"]) == 1


def test_a_consent_that_is_refused_announces_nothing(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    with pytest.raises(ScreeningDenied):
        urgent(world, ngo, embassy, screening=Screening(state="not_required"))
    assert (world.last().out, world.last().pol) == ("deny", "C16-screening")
    assert shown(world, commission)["items"] == []


def test_vital_interest_overrides_neither_screening_nor_agreements_nor_the_ladder(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    with pytest.raises(ScreeningDenied):
        urgent(world, ngo, embassy, screening=Screening(state="not_required"))
    facility = urgent(world, ngo, embassy, fields=("current_facility",), pur=("care",))
    names = ("current_facility",)
    draft = world.draft(ngo, names, kind="information_response", purpose="care")
    with pytest.raises(StageDenied):
        world.deposit(
            ngo, world.seal(ngo, [world.recipient(ngo, embassy, facility, fields=names, values={})], draft)
        )
    given = urgent(world, ngo, embassy)
    world.agree()
    with pytest.raises(PolicyDenied):
        world.send(ngo, given)
