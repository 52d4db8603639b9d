"""Every kind of key is changed while three agencies exchange without pause, and every message opens."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.key_rotation import RootSource
from exchange.hub.hubkeys import TokenKey
from exchange.log.checkpoint import LogKey
from exchange.member.pins import update_pins
from exchange.member.root_file import root_label, write_root
from exchange.member.rotation import COMPROMISED, ROTATED
from exchange.member.session import open_session
from exchange_keys.auth_key import AuthKey
from exchange_keys.root import RootKey
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ExchangeError, HubUnreachable, KeyNotActive, KeyRevoked, Unavailable
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    ROOT_PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.soak import rounds

pytestmark = [pytest.mark.server, pytest.mark.soak, pytest.mark.allow_hosts(["127.0.0.1"])]

AGENCIES = ("ngo", "embassy", "mission")
_PASSES = (HubUnreachable, Unavailable)
SENDS = 2
"""How much each agency sends about each change. Every change of an enc key grants all that was sent again to
its sender's new key: without a bound a hundred rounds would take a hundred times a hundred as long."""


def opened(home: Path) -> Client:
    """A client as a command opens one: it waits between attempts while the hub is started again."""
    return Client(open_session(home, USER, PASSPHRASE))


@dataclass
class Agency(threading.Thread):
    """One agency at work: it sends to the next one and opens what comes, until it is told to stop.

    It never pauses; it has sent `allowed` messages at most.
    """

    home: Path
    to: str
    ref: str
    stop: threading.Event
    sent: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    turns: int = 0
    allowed: int = SENDS

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Work."""
        while not self.stop.is_set():
            try:
                self.turn()
            except _PASSES:
                continue
            except ExchangeError as error:
                self.failures.append(f"{self.home.name}: {error.code} {error.message}")
                return
            finally:
                self.turns += 1

    def turn(self) -> None:
        """One command after another."""
        with opened(self.home) as client:
            if client.spooled():
                self.sent += [one.eid for one in client.resume()]
            if len(self.sent) < self.allowed:
                with suppress(KeyNotActive):
                    # For a moment after a theft the next one has no key at all: nothing was sent.
                    self.sent.append(client.send("found_notice", to=[self.to], record=self.ref).eid)
            self.open_all(client)

    def open_all(self, client: Client) -> None:
        """What waits is opened; what was sealed to a key that is revoked meanwhile comes again."""
        for item in client.inbox(waiting_only=True):
            if item.state == "waiting":
                try:
                    client.open_grant(item.gid)
                except KeyRevoked:
                    continue


def hub_keys_change(exchange: Exchange, *, finish: bool = False) -> None:
    """The hub's token key and log keys, one move on; the hub is started again with them."""
    keys, now = exchange.hub.keys, exchange.hub.clock().replace(microsecond=0)
    if finish:
        assert isinstance(keys.audit_log, LogKey)
        assert isinstance(keys.directory_log, LogKey)
        keys = replace(keys, audit_log=keys.audit_log.current, directory_log=keys.directory_log.current)
    else:
        assert isinstance(keys.audit_log, SigningKey)
        assert isinstance(keys.directory_log, SigningKey)
        token = [item if item.not_before else replace(item, not_before=now) for item in keys.token]
        keys = replace(
            keys,
            token=(*token, TokenKey(AuthKey.generate("ES256"), None)),
            audit_log=LogKey(SigningKey.generate(), keys.audit_log),
            directory_log=LogKey(SigningKey.generate(), keys.directory_log),
        )
    exchange.stop()
    exchange.hub = replace(exchange.hub, keys=keys)
    exchange.start()


def let_all_turn(agencies: list[Agency]) -> None:
    """Wait until every command that runs now has ended: it may still hold the old pins."""
    begun = [agency.turns for agency in agencies]
    for agency, turns in zip(agencies, begun, strict=True):
        while agency.turns == turns and agency.is_alive():
            agency.join(0.05)


def let_all_send(agencies: list[Agency]) -> None:
    """More messages about the next change."""
    for agency in agencies:
        agency.allowed += SENDS


def change_every_key(exchange: Exchange, agencies: list[Agency], tmp_path: Path, number: int) -> None:
    """One round: of each agency the working keys, of one the approver's and the root, then the hub's."""
    for name in AGENCIES:
        for use in ("auth", "envelope", "enc"):
            reason = COMPROMISED if (use, name) == ("enc", "mission") else ROTATED
            with opened(exchange.folder / name) as client:
                assert client.keys.change(use, reason=reason, give_up=True).finished
            let_all_send(agencies)
    home, fresh = exchange.folder / "ngo", tmp_path / f"root-{number}.key"
    write_root(fresh, RootKey.generate(), passphrase=ROOT_PASSPHRASE, label=root_label("ngo"), insecure=True)
    present = None if number == 0 else tmp_path / f"root-{number - 1}.key"
    with opened(home) as client:
        by = RootSource(key=present, passphrase=ROOT_PASSPHRASE)
        assert client.keys.change_approver(PASSPHRASE, by, insecure=True).finished
        both = replace(by, new_key=fresh, new_passphrase=ROOT_PASSPHRASE)
        assert client.keys.change_root(both).finished
    let_all_send(agencies)
    hub_keys_change(exchange)
    for name in AGENCIES:
        with opened(exchange.folder / name) as client:
            update_pins(client.session, exchange.deployment())
    let_all_turn(agencies)
    hub_keys_change(exchange, finish=True)


def kinds_of(exchange: Exchange) -> dict[str, set[str]]:
    """The present keys of every kind: of the agencies those that are active, of the hub those that sign."""
    found: dict[str, set[str]] = {}
    for name in AGENCIES:
        with opened(exchange.folder / name) as client:
            client.session.directory.sync()
            for key in client.keys_of(name):
                if key.status == "active" and (name == "ngo" or key.use not in ("approver", "root")):
                    found.setdefault(key.use, set()).add(key.kid)
    keys = exchange.hub.keys
    return {
        **found,
        "token": {str(keys.token_key(exchange.hub.clock()).public.kid)},
        "audit-log": {str(keys.audit_log.public.kid)},
        "directory-log": {str(keys.directory_log.public.kid)},
    }


KINDS = {"enc", "envelope", "approver", "auth", "root", "token", "audit-log", "directory-log"}


def test_every_message_opens_while_every_key_changes(exchange: Exchange, tmp_path: Path) -> None:
    for name in AGENCIES:
        exchange.joined(name).close()
    stop, agencies = threading.Event(), []
    for name, to in zip(AGENCIES, (*AGENCIES[1:], AGENCIES[0]), strict=True):
        with opened(exchange.folder / name) as client:
            client.sync()
            ref = child_with_decision(client)
            client.consents.grant(ref, to=to, terms=found_terms(lasts=timedelta(days=60)))
        agencies.append(Agency(exchange.folder / name, to, ref, stop))
    before = kinds_of(exchange)
    for agency in agencies:
        agency.start()
    try:
        for number in range(rounds(1)):
            change_every_key(exchange, agencies, tmp_path, number)
    finally:
        stop.set()
        for agency in agencies:
            agency.join(120)
    assert [failure for agency in agencies for failure in agency.failures] == []
    for agency in agencies:
        with opened(agency.home) as client:
            agency.sent += [one.eid for one in client.resume()]
            assert client.sync().alarms == ()
    after = kinds_of(exchange)
    assert before.keys() == after.keys() == KINDS
    assert [kind for kind in KINDS if before[kind] & after[kind]] == []
    for agency in agencies:
        assert len(agency.sent) >= 3
        with opened(exchange.folder / agency.to) as client:
            agency.open_all(client)
            kept = {message.eid for message in client.messages()}
            assert set(agency.sent) <= kept
