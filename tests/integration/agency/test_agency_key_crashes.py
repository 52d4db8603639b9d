"""A change of a key that dies at any point goes on with the same command, and nothing in flight is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from exchange.agency import Client
from exchange.agency.key_rotation import Changed, RootSource
from exchange.member.key_changes import KeyChanges
from exchange.member.rotation import COMPROMISED, ROTATED
from exchange_schemas.errors import KeyRevoked
from tests.integration.agency.crashes import Crash, dying_at
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    ROOT_PASSPHRASE,
    Exchange,
    child_with_decision,
    found_terms,
)

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

Change = Callable[[Client], Changed]


def change_of(use: str, reason: str) -> Change:
    if use == "approver":
        root = RootSource(passphrase=ROOT_PASSPHRASE)
        return lambda client: client.keys.change_approver(PASSPHRASE, root, reason=reason, insecure=True)
    return lambda client: client.keys.change(use, reason=reason)


def active(client: Client, use: str) -> list[str]:
    client.session.directory.sync()
    mine = client.keys_of(client.session.profile.agency)
    return [key.kid for key in mine if key.use == use and key.status == "active"]


def held(client: Client, use: str) -> list[str]:
    if use == "approver":
        return [client.session.require_approver().public.kid]
    return [entry.kid for entry in client.session.keys.public() if entry.use == use]


STEP = 1 if os.environ.get("SOAK") else 3


def die_everywhere(exchange: Exchange, ngo: Client, change: Change, use: str, ref: str) -> int:
    """Let the embassy's change die at every `STEP`-th point, and each time repeat it; how many there are."""
    home, number = exchange.folder / "embassy", 0
    while True:
        sent = ngo.send("found_notice", to=["embassy"], record=ref)
        with dying_at(number) as injector:
            with suppress(Crash), exchange.client(home) as client:
                change(client)
        with exchange.client(home) as client:
            done = change(client)
            assert done.finished, injector.met
            assert active(client, use) == held(client, use) == [done.kid], injector.met
            assert all(plan.finished for plan in KeyChanges(client.session).plans()), injector.met
            ngo.sync()
            gids = [item.gid for item in client.inbox() if item.eid == sent.eid and item.state == "waiting"]
            for gid in gids:
                # The one to the revoked key is not served; its sender has granted it again.
                with suppress(KeyRevoked):
                    client.open_grant(gid)
            kept = [message for message in client.messages() if message.eid == sent.eid]
            assert len(kept) == 1, injector.met
            assert client.sync().alarms == (), injector.met
        if not injector.fired:
            return len(injector.met)
        number += STEP


def meet(exchange: Exchange, ngo: Client) -> str:
    """An embassy joins; a record that may be sent to it."""
    exchange.joined("embassy", kind="embassy", country="MA", public=True).close()
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    return ref


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ("enc", ROTATED),
        ("enc", COMPROMISED),
        ("envelope", ROTATED),
        ("auth", ROTATED),
        ("approver", ROTATED),
    ],
)
def test_a_change_that_dies_goes_on(exchange: Exchange, ngo: Client, use: str, reason: str) -> None:
    ref = meet(exchange, ngo)
    assert die_everywhere(exchange, ngo, change_of(use, reason), use, ref) >= 10


def test_granting_again_that_dies_goes_on_and_grants_once(exchange: Exchange, ngo: Client) -> None:
    ref = meet(exchange, ngo)
    fired, number = True, 0
    while fired:
        sent = ngo.send("found_notice", to=["embassy"], record=ref)
        with exchange.client(exchange.folder / "embassy") as embassy:
            done = embassy.keys.change("enc", reason=COMPROMISED)
            with (
                dying_at(number) as injector,
                suppress(Crash),
                exchange.client(exchange.folder / "ngo") as again,
            ):
                again.sync()
            with exchange.client(exchange.folder / "ngo") as again:
                assert again.sync().alarms == ()
            new = [item for item in embassy.inbox() if item.eid == sent.eid and item.kid == done.kid]
            assert len(new) == 1, injector.met
            assert embassy.open_grant(new[0].gid).fields["sex"] == "female"
        fired, number = injector.fired, number + 1
    assert number > 4
