"""Stolen keys where a quiet rehearsal does not look: after a backup, amid a calm change, unwitnessed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.key_rotation import RootSource
from exchange.directory.events import sign_event
from exchange.hub.admin.carried_keys import CarriedEvents
from exchange.hub.services.carried_keys import log_carried
from exchange.member.enrolment import open_root
from exchange.member.key_changes import KeyChanges
from exchange.member.root_file import root_label, write_root
from exchange.member.root_request import RootEvents, read_request
from exchange.member.rotation import COMPROMISED, ROTATED, Step
from exchange_keys.root import RootKey
from exchange_schemas.errors import Conflict, LogStale, Malformed, SenderMismatch, Unauthorized
from exchange_schemas.event import read_event
from tests.integration.agency.exchange_world import PASSPHRASE, ROOT_PASSPHRASE, Exchange
from tests.integration.agency.test_agency_keys import ROOT, ref, statuses
from tests.integration.agency.test_agency_watch import witnessed
from tests.unit.agency.cli_runner import CommandLine

__all__ = ["ref", "witnessed"]
pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_backup_whose_envelope_key_was_stolen_sends_on_behind_what_that_key_signed(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str, tmp_path: Path
) -> None:
    """The heads that the hub shows are signed by the key that is revoked by then."""
    lost, backup = exchange.folder / "ngo", tmp_path / "backup"
    ngo.close()
    shutil.copytree(lost, backup)
    with exchange.client(lost) as before:
        before.send("found_notice", to=["embassy"], record=ref)
    with exchange.client(backup) as again:
        assert again.keys.change("envelope", reason=COMPROMISED).finished
        sent = again.send("found_notice", to=["embassy"], record=ref)
    message = embassy.open_grant(sent.grants[0].gid)
    assert (message.seq, message.fields["sex"]) == (2, "female")


@pytest.mark.parametrize("use", ["enc", "envelope", "auth"])
def test_a_theft_amid_a_calm_change_ends_the_new_key_too(ngo: Client, use: str) -> None:
    """What was stolen held the new key of the open change as well as the old one."""
    ngo.sync()
    last = {"enc": Step.EMPTY, "envelope": Step.DRAIN, "auth": Step.REVOKE}[use]
    changes = KeyChanges(ngo.session)
    begun = changes.begin(use, ROTATED)
    while (step := changes.next_step(begun)) is not last:
        assert step is not None
        changes.perform(begun, step)
    done = ngo.keys.change(use, reason=COMPROMISED)
    assert done.finished
    assert done.kid != begun.kid
    assert statuses(ngo, use) == ["active", "revoked", "revoked"]
    assert not ngo.session.keys.kids() & {begun.kid, *begun.old}
    assert all(row.next is None for row in ngo.keys.rows())


def begun_approver(ngo: Client, folder: Path) -> str:
    """A calm change of the approver's key that waits for the root elsewhere; the new key's id."""
    asked = RootSource(request=folder / "ask.json")
    return ngo.keys.change_approver(PASSPHRASE, asked, insecure=True).kid


def test_a_theft_amid_a_calm_change_gives_the_approver_another_key_than_the_waiting_one(
    ngo: Client, tmp_path: Path
) -> None:
    ngo.sync()
    stolen = begun_approver(ngo, tmp_path)
    done = ngo.keys.change_approver(PASSPHRASE, ROOT, reason=COMPROMISED, insecure=True)
    assert (done.finished, done.kid != stolen) == (True, True)
    assert statuses(ngo, "approver") == ["active", "revoked"]
    assert ngo.session.require_approver().public.kid == done.kid
    assert KeyChanges(ngo.session).open_plan("approver", "amal") is None


def test_a_waiting_key_that_is_lost_gives_way_to_another(ngo: Client, tmp_path: Path) -> None:
    ngo.sync()
    lost = begun_approver(ngo, tmp_path)
    (ngo.session.home.path / "users" / "amal.next").unlink()
    done = ngo.keys.change_approver(PASSPHRASE, ROOT, insecure=True)
    assert (done.finished, done.kid != lost) == (True, True)
    assert statuses(ngo, "approver") == ["active", "draining"]


def test_a_planned_root_that_is_lost_gives_way_to_another(ngo: Client, tmp_path: Path) -> None:
    ngo.sync()
    files = [tmp_path / "one.key", tmp_path / "two.key"]
    for file in files:
        write_root(
            file, RootKey.generate(), passphrase=ROOT_PASSPHRASE, label=root_label("ngo"), insecure=True
        )
    ngo.keys.change_root(RootSource(new_key=files[0], request=tmp_path / "ask.json"))
    files[0].unlink()
    source = RootSource(passphrase=ROOT_PASSPHRASE, new_key=files[1], new_passphrase=ROOT_PASSPHRASE)
    assert ngo.keys.change_root(source).finished
    with pytest.raises(Malformed):
        # Nothing of the lost one is open.
        ngo.keys.change_root(RootSource(passphrase=ROOT_PASSPHRASE))


def test_a_stolen_key_is_ended_while_no_witness_sees_the_log_and_the_rest_is_done_later(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str, witnessed: Callable[..., None]
) -> None:
    witnessed(timedelta(hours=1))
    ngo.sync()
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    exchange.change = None
    ngo.session.store.delete("directory", "witnessed")
    with pytest.raises(LogStale):
        ngo.sync()
    assert ngo.keys.change("auth", reason=COMPROMISED).finished
    with pytest.raises(LogStale):
        # What waits is granted again only to keys that are known to stand.
        ngo.keys.change("envelope", reason=COMPROMISED)
    assert statuses(ngo, "auth") == statuses(ngo, "envelope") == ["active", "revoked"]
    assert [row.use for row in ngo.keys.rows() if row.mend(ngo.session.now()) is not None] == ["envelope"]
    kid = ngo.session.keys.envelope[-1].public.kid
    witnessed(timedelta(hours=1))
    done = ngo.keys.change("envelope")
    assert (done.finished, done.kid, done.granted_again) == (True, kid, 1)
    embassy.sync()
    (item,) = [one for one in embassy.inbox() if one.gid != sent.grants[0].gid]
    assert embassy.open_grant(item.gid).eid == sent.eid
    assert [row for row in ngo.keys.rows() if row.mend(ngo.session.now()) is not None] == []


def test_an_agency_that_can_no_longer_log_in_is_let_in_by_its_root(
    exchange: Exchange, ngo: Client, tmp_path: Path, command_of: Callable[[Client], CommandLine]
) -> None:
    """A backup from before a change of the login key; or a thief has changed it."""
    lost, backup = exchange.folder / "ngo", tmp_path / "backup"
    ngo.sync()
    ask, signed = tmp_path / "ask.json", tmp_path / "signed.json"
    with pytest.raises(Conflict):
        ngo.keys.ask_log_in(ask)
    ngo.close()
    shutil.copytree(lost, backup)
    with exchange.client(lost) as thief:
        assert thief.keys.change("auth", reason=COMPROMISED).finished
    with exchange.client(backup) as again:
        for _ in range(2):
            with pytest.raises(Unauthorized):
                again.keys.change("auth", reason=COMPROMISED)
            assert "exchange-hub agency log-in" in command_of(again)("keys", "log-in", ask).out
        again.session.refresh_keys()
        request = read_request(ask)
        assert isinstance(request, RootEvents)
        by_approver = sign_event(read_event(request.events[0].payload), [again.session.require_approver()])
        with pytest.raises(SenderMismatch):
            log_carried(exchange.hub, "asha", request.agency, [(by_approver, request.keys)])
        request.signed_by(open_root(again.session.home, None, ROOT_PASSPHRASE)).write(signed)
        carried = CarriedEvents.read(signed)
        log_carried(exchange.hub, "asha", carried.agency, carried.events)
        done = again.keys.change("auth", reason=COMPROMISED)
        assert done.finished
        assert statuses(again, "auth") == ["active", "revoked", "revoked"]
        # The thief's key is told of; the one that the root signed here is not.
        assert [one.event for one in again.session.directory.own.unread()] == ["key", "revoke"]
    with exchange.client(lost) as thief, pytest.raises(Unauthorized):
        thief.session.hub.get("/v1/inbox", {"limit": 1})
