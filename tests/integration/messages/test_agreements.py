"""Sharing agreements at the hub: at the deposit, at the fetch, in the dry run, at once in every worker."""

from dataclasses import replace

import pytest

from exchange.hub.db import open_engine
from exchange.hub.services import consent_check
from exchange.hub.services.consent_check import Question
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.errors import PolicyDenied
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, GivenConsent, World
from tests.integration.messages.edits import grant_of

ALL = SharingAgreement(
    snd=("commission", "ngo"), rcp=("embassy",), pur=("trace",), fields=tuple(sorted(FOUND))
)
FEW = replace(ALL, fields=("child_ref", "sex"))


def gid_for(world: World, ngo: Agency, embassy: Agency, given: GivenConsent) -> str:
    return str(grant_of(world.send(ngo, given), embassy).gid)


def test_a_deposit_is_decided_under_them_and_its_entry_says_so(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.send(ngo, given)
    assert world.last().pol is None
    assert world.agree(ALL) == 1
    world.send(ngo, given)
    assert (world.last().out, world.last().pol) == ("allow", "agreements@1")
    assert world.agree(FEW) == 2
    with pytest.raises(PolicyDenied) as refused:
        world.send(ngo, given)
    assert (refused.value.rule, refused.value.field) == ("C20-policy", "age_range")
    assert "from ngo to embassy" in f"{refused.value}"
    assert "signed by the operators" in f"{refused.value.hint}"
    last = world.last()
    assert (last.out, last.rsn, last.pol) == ("deny", "POLICY_DENIED", "C20-policy@2")


def test_what_waits_is_held_back_by_a_new_version_and_given_again_by_the_next(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    gid = gid_for(world, ngo, embassy, world.consent(ngo, embassy))
    world.agree(FEW)
    with pytest.raises(PolicyDenied):
        world.fetch(embassy, gid)
    assert world.last().pol == "C20-policy@1"
    world.agree(ALL)
    assert world.fetch(embassy, gid).status == 200
    assert (world.last().out, world.last().pol) == ("allow", "agreements@2")


def test_a_new_version_counts_at_once_in_another_worker(world: World, ngo: Agency, embassy: Agency) -> None:
    gid = gid_for(world, ngo, embassy, world.consent(ngo, embassy))
    engine = open_engine(world.hub.settings.database_url)
    try:
        other = World(replace(world.hub, engine=engine), world.agencies, world.position)
        world.agree(ALL)
        other.fetch(embassy, gid)
        world.agree()
        with pytest.raises(PolicyDenied):
            other.fetch(embassy, gid)
    finally:
        engine.dispose()


def test_the_dry_run_names_them(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    asked = Question(given.consent.cid, "found_notice", "trace", FOUND, None)
    assert consent_check.check(world.hub, world.caller(ngo), asked).body["agreements"] == 0
    world.agree(FEW)
    for party in (ngo, embassy):
        found = consent_check.check(world.hub, world.caller(party), asked).body
        assert (found["agreements"], found["given"], found["decision"]) == (1, ["child_ref", "sex"], "deny")
        assert {one["rule"] for one in found["withheld"]} == {"C20-policy"}  # type: ignore[union-attr, index, call-overload]
        assert world.last().pol == "agreements@1"


def test_another_rule_that_refuses_first_is_named_under_them(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.agree(ALL)
    gid = gid_for(world, ngo, embassy, given)
    world.withdraw(given)
    with pytest.raises(Exception, match="withdrawn"):
        world.fetch(embassy, gid)
    assert world.last().rsn == "CONSENT_WITHDRAWN"


def test_deletion_requests_pass_whatever_the_agreements_say(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.agree()
    world.withdraw(given)
    names = ("reason_code",)
    asked = world.recipient(ngo, embassy, given, fields=names, values={})
    sealed = world.seal(ngo, [asked], world.draft(ngo, names, kind="deletion_request"))
    assert world.deposit(ngo, sealed).status == 201
    assert world.fetch(embassy, grant_of(sealed, embassy).gid).status == 200
