"""A suspended agency withdraws: signed here, carried by an operator."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.directory.events import resume_event, suspend_event
from exchange.hub.services import operators, withdrawals
from exchange_keys.jws import Signed
from exchange_schemas.errors import ConsentUnknown, ConsentWithdrawn, Unauthorized
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import (
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_suspended_agency_takes_a_consent_back_through_an_operator(
    exchange: Exchange,
    ngo: Client,
    embassy: Client,
    tmp_path: Path,
    command_of: Callable[[Client], CommandLine],
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    (item,) = embassy.inbox()
    embassy.sync()
    with pytest.raises(ConsentUnknown):
        ngo.consents.signed_withdrawal(consent.cid)
    origin, signers = exchange.hub.settings.origin, [exchange.operator]
    iat = exchange.hub.clock().replace(microsecond=0) + timedelta(seconds=1)
    about = {"origin": origin, "agency": ngo.session.profile.agency, "signers": signers}
    operators.decide(exchange.hub, suspend_event(iat=iat, reason="security", **about))
    home = exchange.folder / "ngo"
    with exchange.client(home) as outside, pytest.raises(Unauthorized):
        outside.consents.withdraw(consent.cid)
    file = tmp_path / "withdrawal.json"
    command = command_of(ngo)
    assert str(file) in command("consent", "withdrawal", consent.cid, file).out
    signed = Signed.from_bytes(file.read_bytes().removesuffix(b"\n"), LIMITS.withdrawal_bytes)
    assert withdrawals.withdraw_by_operator(exchange.hub, "asha", signed).body["undelivered"] == 1
    # The recipient believes it while its issuer is shut out: a withdrawal counts whatever became of its key.
    embassy.sync()
    assert embassy.consents.get(consent.cid).status == "withdrawn"
    operators.decide(exchange.hub, resume_event(iat=iat + timedelta(seconds=1), **about))
    with pytest.raises(ConsentWithdrawn):
        embassy.open_grant(item.gid)
