"""A change of a key that dies at any point goes on with the same command, and nothing in flight is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from exchange.agency import Client
from exchange.agency.key_rotation import Changed, RootSource
from exchange.member.key_changes import KeyChanges
from exchange.member.new_users import add_approver
from exchange.member.root_file import root_label, write_root
from exchange.member.rotation import COMPROMISED, ROTATED
from exchange.member.transport import Transport
from exchange.member.users import NewUser, public_of
from exchange_keys.public import ML_DSA_65
from exchange_keys.root import RootKey
from exchange_schemas.errors import Conflict, HubUnreachable, KeyRevoked, WrongPassphrase
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


def change_of(use: str, reason: str, folder: Path) -> Change:
    if use == "root":
        return Roots(folder, reason).change
    if use == "approver":
        root = RootSource(passphrase=ROOT_PASSPHRASE)
        return lambda client: client.keys.change_approver(PASSPHRASE, root, reason=reason, insecure=True)
    return lambda client: client.keys.change(use, reason=reason)


@dataclass
class Roots:
    """Changes the root to a new one; the next change begins when the one before is finished."""

    folder: Path
    reason: str
    present: RootSource = field(default_factory=lambda: RootSource(passphrase=ROOT_PASSPHRASE))
    made: int = 0

    def change(self, client: Client) -> Changed:
        new = self.folder / f"root-{self.made}.key"
        if not new.exists():
            label = root_label(client.session.profile.agency)
            write_root(new, RootKey.generate(), passphrase=ROOT_PASSPHRASE, label=label, insecure=True)
        source = replace(self.present, new_key=new, new_passphrase=ROOT_PASSPHRASE)
        done = client.keys.change_root(source, reason=self.reason)
        self.present, self.made = RootSource(key=new, passphrase=ROOT_PASSPHRASE), self.made + 1
        return done


def active(client: Client, use: str) -> list[str]:
    client.session.directory.sync()
    mine = client.keys_of(client.session.profile.agency)
    # Of a root's two keys the Ed25519 one names a change.
    return [key.kid for key in mine if key.use == use and key.status == "active" and key.alg != ML_DSA_65]


def held(client: Client, use: str) -> list[str]:
    if use == "approver":
        return [client.session.require_approver().public.kid]
    return [entry.kid for entry in client.session.keys.public() if entry.use == use]


USES = ("enc", "envelope", "auth", "approver", "root")
STEP = 1 if os.environ.get("SOAK") else len(USES)


def die_everywhere(exchange: Exchange, ngo: Client, change: Change, use: str, ref: str) -> int:
    """Let the embassy's change die at every `STEP`-th point, and each time repeat it; how many there are.

    Each use begins at a point of its own: the steps are the same ones, so together they die at every point.
    """
    home, number = exchange.folder / "embassy", USES.index(use) % STEP
    while True:
        sent = ngo.send("found_notice", to=["embassy"], record=ref)
        with dying_at(number) as injector:
            with suppress(Crash), exchange.client(home) as client:
                change(client)
        with exchange.client(home) as client:
            done = change(client)
            assert done.finished, injector.met
            assert active(client, use) == [done.kid], injector.met
            assert use == "root" or held(client, use) == [done.kid], injector.met
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


@pytest.mark.soak  # every point of every use in `make soak`, each fifth one in `make test`
@pytest.mark.parametrize(
    ("use", "reason"),
    [(use, reason) for reason in (ROTATED, COMPROMISED) for use in USES],
)
def test_a_change_that_dies_goes_on(
    exchange: Exchange, ngo: Client, use: str, reason: str, tmp_path: Path
) -> None:
    ref = meet(exchange, ngo)
    points = die_everywhere(exchange, ngo, change_of(use, reason, tmp_path), use, ref)
    assert points >= (6 if use == "root" else 10)


def test_adding_an_approver_that_dies_goes_on_and_leaves_no_key_without_its_secret(
    exchange: Exchange, ngo: Client
) -> None:
    ngo.close()
    home, number = exchange.folder / "ngo", 0
    while True:
        new = NewUser(f"noor{number}", b"noor's long passphrase", insecure=True)
        with dying_at(number) as injector, suppress(Crash), exchange.client(home) as client:
            add_approver(client.session, new, root_file=None, root_passphrase=ROOT_PASSPHRASE)
        with exchange.client(home) as client:
            with suppress(Conflict):
                # It may have come to its end.
                add_approver(client.session, new, root_file=None, root_passphrase=ROOT_PASSPHRASE)
            assert client.sync().alarms == (), injector.met
            logged = set(active(client, "approver"))
        shown = [public_of(path) for path in (home / "users").glob("*.key")]
        assert logged == {key.kid for key in shown if key is not None}, injector.met
        assert list((home / "users").glob("*.next")) == []
        with exchange.client(home, new.name, new.passphrase) as noor:
            assert noor.session.require_approver().public.kid in logged
        if not injector.fired:
            assert number > 4
            return
        number += 1


def test_going_on_with_another_passphrase_is_refused(ngo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    new, post = NewUser("noor", b"noor's long passphrase", insecure=True), Transport.post

    def lost(*args: Any, **options: Any) -> None:
        post(*args, **options)
        raise HubUnreachable("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Transport, "post", lost)
        with pytest.raises(HubUnreachable):
            add_approver(ngo.session, new, root_file=None, root_passphrase=ROOT_PASSPHRASE)
    other = replace(new, passphrase=b"another long passphrase")
    with pytest.raises(WrongPassphrase):
        add_approver(ngo.session, other, root_file=None, root_passphrase=ROOT_PASSPHRASE)
    add_approver(ngo.session, new, root_file=None, root_passphrase=ROOT_PASSPHRASE)
    assert ngo.sync().alarms == ()


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
