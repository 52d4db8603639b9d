"""Sharing agreements in the agency's program: its own rule as sender and as recipient, and what it shows."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import update

from exchange.agency import Client
from exchange.directory.events import agreements_event
from exchange.hub.db import writing
from exchange.hub.models.directory import directory_head
from exchange.hub.services import operators
from exchange_schemas.agreement import SharingAgreement, default_file, read_agreements
from exchange_schemas.errors import FieldDenied, PolicyDenied
from tests.integration.agency.exchange_world import (
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]
SHIPPED = [item.agreement for item in read_agreements(default_file())]
FIELDS = ("age_range", "child_ref", "current_area", "name_given", "sex")
ALL = SharingAgreement(snd=("ngo",), rcp=("embassy",), pur=("trace",), fields=FIELDS)


def sign(exchange: Exchange, version: int, *agreements: SharingAgreement) -> None:
    event = agreements_event(
        origin=exchange.hub.settings.origin,
        iat=exchange.hub.clock().replace(microsecond=0),
        version=version,
        agreements=agreements,
        signers=[exchange.operator],
    )
    operators.decide(exchange.hub, event)


def test_what_nobody_named_goes_as_far_as_the_agreements_let_it(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    sign(exchange, 1, ALL)
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.edit(ref, {"languages": ["ar"], "urgent_flags": ["medical_now"]})
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    assert consent.fields == FIELDS
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert set(sent.grants[0].fields) == set(FIELDS)


def test_a_named_field_that_may_never_go_is_refused_at_the_approvers_desk(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    sign(exchange, 1, ALL)
    ngo.sync()
    ref = child_with_decision(ngo)
    with pytest.raises(PolicyDenied) as refused:
        ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=(*FIELDS, "languages")))
    assert (refused.value.rule, refused.value.field) == ("C20-policy", "languages")
    assert "leaving it out" in f"{refused.value.hint}"
    assert list(ngo.consents.each()) == []


def test_a_consent_from_before_gives_no_more_than_a_new_version_lets_go(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=FIELDS))
    sign(exchange, 1, replace(ALL, fields=("age_range", "child_ref", "sex")))
    ngo.sync()
    (checked,) = ngo.check("found_notice", to=["embassy"], record=ref)
    held = [one for one in checked.withheld if one.rule == "C20-policy"]
    assert {one.field for one in held} == {"current_area", "name_given"}
    assert all("signed by the operators" in one.remedy for one in held)
    (there,) = ngo.check("found_notice", to=["embassy"], record=ref, at_hub=True)
    assert there.given == checked.given
    with pytest.raises(FieldDenied, match="needs"):
        ngo.send("found_notice", to=["embassy"], record=ref)
    with pytest.raises(PolicyDenied):
        ngo.send("found_notice", to=["embassy"], record=ref, fields=FIELDS)
    assert ngo.spooled() == []


def test_a_recipient_refuses_what_a_hub_gives_against_the_agreements(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=FIELDS))
    ngo.send("found_notice", to=["embassy"], record=ref)
    sign(exchange, 1)
    # A hub that has lost which agreements are in force: its recipients have not.
    with writing(exchange.hub.engine) as conn:
        conn.execute(update(directory_head).values(agreements=None))
    (item,) = embassy.inbox()
    with pytest.raises(PolicyDenied):
        embassy.open_grant(item.gid)
    assert list(embassy.messages()) == []
    (outcome,) = [one for one in ngo.outbox() if one.recipient == "embassy"]
    assert (outcome.outcome, outcome.outcome_code) == ("refused", "POLICY_DENIED")


def test_what_waits_is_opened_once_a_version_lets_it_go_again(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=FIELDS))
    ngo.send("found_notice", to=["embassy"], record=ref)
    sign(exchange, 1)
    (item,) = embassy.inbox()
    with pytest.raises(PolicyDenied):
        embassy.open_grant(item.gid)
    assert embassy.sync().alarms == ()
    sign(exchange, 2, ALL)
    assert embassy.open_grant(item.gid).fields["sex"] == "female"


def test_the_program_shows_what_may_ever_go(
    exchange: Exchange,
    ngo: Client,
    embassy: Client,
    command_of: Callable[[Client], CommandLine],
) -> None:
    ngo.close()
    command = command_of(ngo)
    assert "signed no sharing agreements" in command("directory", "agreements").out
    sign(exchange, 1, *SHIPPED)
    command("directory", "sync")
    found = json.loads(command("directory", "agreements", "--to", "embassy", "--json").out)
    assert found["version"] == 1
    (one,) = found["agreements"]
    assert one["rcp"] == ["embassy"]
    assert "health_need_codes" not in one["fields"]
    assert len(json.loads(command("directory", "agreements", "--json").out)["agreements"]) == len(SHIPPED)
    assert "version 1" in command("directory", "agreements").out


def test_the_copy_of_the_directory_keeps_them(exchange: Exchange, ngo: Client, embassy: Client) -> None:
    sign(exchange, 1, *SHIPPED)
    ngo.sync()
    ngo.close()
    with exchange.client(exchange.folder / "ngo") as again:
        assert again.agreements() == (1, SHIPPED)
