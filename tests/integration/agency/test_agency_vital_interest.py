"""Vital interest: two approvers, 72 hours, told to the commission; it overrides nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from exchange.agency import Client
from exchange.directory.events import agreements_event
from exchange.hub.db import writing
from exchange.hub.models.notices import notice
from exchange.hub.services import operators
from exchange.member.new_users import add_approver
from exchange.member.users import NewUser, open_user
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import encode
from exchange_schemas.errors import (
    EntryInvalid,
    PolicyDenied,
    RecipientDenied,
    ScreeningDenied,
    StageDenied,
)
from tests.integration.agency.exchange_world import (
    ROOT_PASSPHRASE,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]
URGENT = {"basis": "vital_interest", "lasts": timedelta(days=30)}


@pytest.fixture
def commission(exchange: Exchange) -> Iterator[Client]:
    with exchange.joined("commission", kind="commission") as client:
        yield client


@pytest.fixture
def second(ngo: Client) -> SigningKey | None:
    """The second approver of the NGO."""
    secret = b"sara's own long passphrase"
    add_approver(
        ngo.session, NewUser("sara", secret, insecure=True), root_file=None, root_passphrase=ROOT_PASSPHRASE
    )
    return open_user(ngo.session.home, "sara", secret, allow_insecure=True).approver


def test_the_commissions_program_shows_it_until_somebody_has_looked(
    exchange: Exchange,
    ngo: Client,
    embassy: Client,
    commission: Client,
    second: SigningKey | None,
    command_of: Callable[[Client], CommandLine],
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms(**URGENT), second=second)
    for _ in range(2):
        (alarm,) = commission.sync().alarms
        assert alarm.startswith("VITAL INTEREST: ngo shares ")
        assert "with embassy for trace until " in alarm
    assert embassy.sync().alarms == ()
    commission.close()
    command = command_of(commission)
    said = command("notices")
    assert "VITAL INTEREST: ngo shares" in said.err + said.out
    assert "nothing new" in command("notices").out
    (kept,) = json.loads(command("notices", "--all", "--json").out)
    assert (kept["issuer"], kept["recipient"], kept["seen"]) == ("ngo", "embassy", True)
    ngo.close()
    ours = command_of(ngo)
    assert "VITAL INTEREST" in ours("consent", "list").out
    (listed,) = json.loads(ours("consent", "list", "--json").out)
    assert listed["vital_interest"] is True


@pytest.mark.parametrize("wrong", [{"iss": "embassy"}, {"rcp": "harbour"}, {"fields": ["photo"]}])
def test_a_notice_that_the_log_does_not_bear_out_is_refused(
    exchange: Exchange,
    ngo: Client,
    embassy: Client,
    commission: Client,
    second: SigningKey | None,
    wrong: dict[str, object],
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    given = ngo.consents.grant(ref, to="embassy", terms=found_terms(**URGENT), second=second)
    about = {"iss": "ngo", "rcp": "embassy", "purposes": ["trace"], "fields": [*given.fields]}
    with writing(exchange.hub.engine) as conn:
        conn.execute(update(notice).values(about=encode({**about, **wrong})))  # type: ignore[dict-item]
    with pytest.raises(EntryInvalid):
        commission.notices.collect()
    assert list(commission.notices.each()) == []


def test_it_overrides_neither_screening_nor_the_withhold_list(
    ngo: Client, embassy: Client, second: SigningKey | None
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    unscreened = found_terms(**URGENT, screening="not_required", screening_evidence=None)
    with pytest.raises(ScreeningDenied):
        ngo.consents.grant(ref, to="embassy", terms=unscreened, second=second)
    ngo.records.withhold(ref, "embassy")
    with pytest.raises(RecipientDenied) as refused:
        ngo.consents.grant(ref, to="embassy", terms=found_terms(**URGENT), second=second)
    assert refused.value.rule == "W01-withheld"
    assert list(ngo.consents.each()) == []


def test_it_overrides_neither_the_detention_rule_nor_the_agreements(
    exchange: Exchange, ngo: Client, embassy: Client, second: SigningKey | None
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.edit(ref, {"care_arrangement": "with_parent_in_detention"})
    care = found_terms(
        **URGENT,
        kind=None,
        fields=("age_range", "care_arrangement", "child_ref", "sex"),
        purposes=("care",),
    )
    ngo.consents.grant(ref, to="embassy", terms=care, second=second)
    with pytest.raises(StageDenied) as refused:
        ngo.send(
            "information_response",
            to=["embassy"],
            record=ref,
            fields=["care_arrangement"],
            purpose="care",
            content={},
        )
    assert refused.value.rule == "C23-detention"
    event = agreements_event(
        origin=exchange.hub.settings.origin,
        iat=exchange.hub.clock().replace(microsecond=0),
        version=1,
        agreements=[],
        signers=[exchange.operator],
    )
    operators.decide(exchange.hub, event)
    ngo.sync()
    with pytest.raises(PolicyDenied):
        ngo.consents.grant(ref, to="embassy", terms=found_terms(**URGENT, fields=("sex",)), second=second)
