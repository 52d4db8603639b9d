"""Changing keys while messages are on their way: nothing is lost, and what was signed before still counts."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.key_rotation import RootSource
from exchange.member.enrolment import open_root
from exchange.member.new_users import add_caseworker
from exchange.member.root_file import root_label, write_root
from exchange.member.root_request import RootEvents, read_request
from exchange.member.rotation import COMPROMISED
from exchange.member.transport import Transport
from exchange.member.users import NewUser
from exchange_keys.root import RootKey
from exchange_schemas.errors import (
    AuthorityMissing,
    HubUnreachable,
    KeyRevoked,
    KidUnknown,
    ManifestMismatch,
    NotPermitted,
    SenderMismatch,
)
from tests.integration.agency.crashes import Crash, dying_at
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    ROOT_PASSPHRASE,
    Exchange,
    child_with_decision,
    found_terms,
)

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

ROOT = RootSource(passphrase=ROOT_PASSPHRASE)


@pytest.fixture
def ref(ngo: Client, embassy: Client) -> str:
    """A record of the NGO that may be sent to the embassy."""
    ngo.sync()
    found = child_with_decision(ngo)
    ngo.consents.grant(found, to="embassy", terms=found_terms())
    return found


def statuses(client: Client, use: str) -> list[str]:
    agency = client.session.profile.agency
    return sorted(key.status for key in client.keys_of(agency) if key.use == use)


def waiting(client: Client) -> list[str]:
    return [item.gid for item in client.inbox() if item.state == "waiting"]


def test_a_recipients_enc_key_changes_while_messages_wait(ngo: Client, embassy: Client, ref: str) -> None:
    old = embassy.session.keys.enc[-1].public.kid
    ngo.send("found_notice", to=["embassy"], record=ref)
    done = embassy.keys.change("enc")
    assert done.finished
    assert done.emptied is not None
    assert (done.emptied.opened, done.emptied.left) == (1, ())
    assert statuses(embassy, "enc") == ["active", "revoked"]
    assert [key.public.kid for key in embassy.session.keys.enc] == [done.kid]
    assert old != done.kid
    ngo.send("found_notice", to=["embassy"], record=ref)
    (gid,) = waiting(embassy)
    assert embassy.open_grant(gid).fields["sex"] == "female"
    with pytest.raises(KidUnknown):
        embassy.session.enc_key(old)


def test_a_sender_that_knows_only_the_old_key_seals_anew(ngo: Client, embassy: Client, ref: str) -> None:
    embassy.keys.change("enc")
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert embassy.open_grant(sent.grants[0].gid).fields["sex"] == "female"


def test_after_a_compromise_the_senders_next_sync_grants_again(
    ngo: Client, embassy: Client, ref: str
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    done = embassy.keys.change("enc", reason=COMPROMISED)
    assert (done.finished, statuses(embassy, "enc")) == (True, ["active", "revoked"])
    with pytest.raises(KeyRevoked):
        embassy.open_grant(sent.grants[0].gid)
    assert ngo.sync().alarms == ()
    assert ngo.sync().alarms == ()
    new = [item for item in embassy.inbox() if item.state == "waiting" and item.kid == done.kid]
    assert len(new) == 1
    message = embassy.open_grant(new[0].gid)
    assert (message.eid, message.fields["sex"]) == (sent.eid, "female")
    assert message.alarms == ()
    states = {item.gid: item.outcome for item in ngo.outbox()}
    assert states[new[0].gid] == "opened"


def test_after_a_compromise_what_waits_is_granted_again_under_the_consent_that_renewed_its_own(
    ngo: Client, embassy: Client, ref: str
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    (first,) = ngo.consents.each()
    ngo.consents.grant(ref, to="embassy", terms=found_terms(supersedes=first.cid))
    done = embassy.keys.change("enc", reason=COMPROMISED)
    assert ngo.sync().alarms == ()
    (new,) = (item for item in embassy.inbox() if item.state == "waiting" and item.kid == done.kid)
    message = embassy.open_grant(new.gid)
    assert (message.eid, message.fields["sex"]) == (sent.eid, "female")
    # Both know under which consent it is there now: a withdrawal of the family finds it.
    assert message.consent == next(one.cid for one in ngo.consents.each() if one.status == "active")
    assert [one.delivered for one in ngo.withdraw(first.cid)] == [1]


def test_what_a_narrower_consent_forbids_is_not_granted_again_and_is_no_alarm(
    ngo: Client, embassy: Client, ref: str
) -> None:
    ngo.send("found_notice", to=["embassy"], record=ref)
    (first,) = ngo.consents.each()
    few = ("name_given", "sex", "age_range", "current_area")
    ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=few, supersedes=first.cid))
    embassy.keys.change("enc", reason=COMPROMISED)
    assert ngo.sync().alarms == ()
    assert len(list(embassy.inbox())) == 1


def test_a_grant_that_was_withdrawn_is_not_granted_again(ngo: Client, embassy: Client, ref: str) -> None:
    ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.keys.change("enc", reason=COMPROMISED)
    (consent,) = ngo.consents.each()
    ngo.consents.withdraw(consent.cid)
    assert ngo.sync().alarms == ()
    assert len(list(embassy.inbox())) == 1


def test_our_own_grants_are_renewed_so_that_we_can_grant_again_after_our_own_change(
    ngo: Client, embassy: Client, ref: str
) -> None:
    ngo.send("found_notice", to=["embassy"], record=ref)
    done = ngo.keys.change("enc")
    assert done.emptied is not None
    assert (done.emptied.renewed, done.emptied.failed) == (1, ())
    fresh = embassy.keys.change("enc", reason=COMPROMISED)
    ngo.sync()
    (item,) = [one for one in embassy.inbox() if one.kid == fresh.kid]
    assert embassy.open_grant(item.gid).fields["sex"] == "female"


def test_an_envelope_key_changes_and_what_it_signed_still_counts(
    ngo: Client, embassy: Client, ref: str
) -> None:
    before = ngo.send("found_notice", to=["embassy"], record=ref)
    done = ngo.keys.change("envelope")
    assert (done.finished, statuses(ngo, "envelope")) == (True, ["active", "draining"])
    assert [key.public.kid for key in ngo.session.keys.envelope] == [done.kid]
    after = ngo.send("found_notice", to=["embassy"], record=ref)
    for sent in (before, after):
        assert embassy.open_grant(sent.grants[0].gid).fields["sex"] == "female"
    embassy.keys.change("envelope")
    assert {item.outcome for item in ngo.outbox()} == {"opened"}


def test_a_stolen_envelope_key_voids_what_waits_and_it_is_granted_again(
    ngo: Client, embassy: Client, ref: str
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    done = ngo.keys.change("envelope", reason=COMPROMISED)
    assert (done.granted_again, done.notes) == (1, ())
    embassy.sync()
    with pytest.raises(KeyRevoked):
        embassy.open_grant(sent.grants[0].gid)
    gids = [gid for gid in waiting(embassy) if gid != sent.grants[0].gid]
    assert [embassy.open_grant(gid).eid for gid in gids] == [sent.eid]


def test_a_partners_stolen_envelope_key_does_not_hide_the_outbox(
    ngo: Client, embassy: Client, ref: str
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.open_grant(sent.grants[0].gid)
    embassy.keys.change("envelope", reason=COMPROMISED)
    ngo.sync()
    (item,) = ngo.outbox()
    assert (item.outcome, item.outcome_code) == (None, "KEY_REVOKED")


def test_a_receipt_that_waits_is_signed_anew_after_a_change(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    post = embassy.session.hub.post

    def lost(path: str, *args: object, **options: object) -> object:
        if path.endswith("/receipt"):
            raise HubUnreachable("gone")
        return post(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Transport, "post", lambda self, *args, **options: lost(*args, **options))
    assert embassy.open_grant(sent.grants[0].gid).alarms != ()
    monkeypatch.undo()
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    with exchange.client(exchange.folder / "embassy") as other:
        other.keys.change("envelope", reason=COMPROMISED)
    embassy.sync()
    ngo.sync()
    (item,) = ngo.outbox()
    assert item.outcome == "opened"


def test_an_auth_key_changes_and_a_running_program_logs_in_with_the_new_one(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str
) -> None:
    with exchange.client(exchange.folder / "ngo") as running:
        running.sync()
        done = ngo.keys.change("auth")
        assert (done.finished, statuses(ngo, "auth")) == (True, ["active", "revoked"])
        running.session.hub.tokens.drop()
        running.send("found_notice", to=["embassy"], record=ref)
        assert running.session.keys.auth[-1].public.kid == done.kid


def test_a_running_program_goes_on_after_another_command_changed_every_key(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str
) -> None:
    with exchange.client(exchange.folder / "embassy") as command:
        for use in ("auth", "envelope", "enc"):
            assert command.keys.change(use).finished
    with exchange.client(exchange.folder / "ngo") as command:
        for use in ("auth", "envelope", "enc"):
            assert command.keys.change(use, reason=COMPROMISED).finished
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    assert embassy.open_grant(sent.grants[0].gid).fields["sex"] == "female"
    (item,) = ngo.outbox()
    assert item.outcome == "opened"


def test_an_approver_changes_with_the_root_at_hand(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str
) -> None:
    before = ngo.send("found_notice", to=["embassy"], record=ref)
    done = ngo.keys.change_approver(PASSPHRASE, ROOT, insecure=True)
    assert (done.finished, statuses(ngo, "approver")) == (True, ["active", "draining"])
    assert embassy.open_grant(before.grants[0].gid).fields["sex"] == "female"
    with exchange.client(exchange.folder / "ngo") as again:
        assert again.session.require_approver().public.kid == done.kid
        other = child_with_decision(again)
        again.consents.grant(other, to="embassy", terms=found_terms())
        again.send("found_notice", to=["embassy"], record=other)
    (gid,) = waiting(embassy)
    assert embassy.open_grant(gid).fields["sex"] == "female"
    assert ngo.sync().alarms == ()


def test_an_approver_changes_with_a_root_elsewhere(ngo: Client, tmp_path: Path) -> None:
    asked, signed = tmp_path / "asked", tmp_path / "signed"
    stop = ngo.keys.change_approver(PASSPHRASE, RootSource(request=asked), insecure=True)
    assert (stop.finished, stop.waits) == (False, "root")
    request = read_request(asked)
    assert isinstance(request, RootEvents)
    assert [one["event"] for one in request.facts()] == ["key", "drain"]
    root = _root_of(ngo)
    with pytest.raises(SenderMismatch):
        ngo.keys.change_approver(PASSPHRASE, RootSource(signed=asked), insecure=True)
    other = RootEvents(request.origin, request.agency, request.events[::-1], request.keys)
    other.signed_by(root).write(signed)
    with pytest.raises(ManifestMismatch):
        ngo.keys.change_approver(PASSPHRASE, RootSource(signed=signed), insecure=True)
    request.signed_by(root).write(signed)
    done = ngo.keys.change_approver(PASSPHRASE, RootSource(signed=signed), insecure=True)
    assert (done.finished, done.kid) == (True, stop.kid)
    assert ngo.session.require_approver().public.kid == done.kid


def test_a_stolen_approver_key_voids_its_consents(ngo: Client, embassy: Client, ref: str) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    done = ngo.keys.change_approver(PASSPHRASE, ROOT, reason=COMPROMISED, insecure=True)
    assert (done.finished, statuses(ngo, "approver")) == (True, ["active", "revoked"])
    embassy.sync()
    with pytest.raises(KeyRevoked):
        embassy.open_grant(sent.grants[0].gid)
    with pytest.raises(AuthorityMissing):
        ngo.send("found_notice", to=["embassy"], record=ref)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    again = ngo.send("found_notice", to=["embassy"], record=ref)
    assert embassy.open_grant(again.grants[0].gid).fields["sex"] == "female"


def _root_of(client: Client) -> RootKey:
    return open_root(client.session.home, None, ROOT_PASSPHRASE)


def test_the_root_changes_signed_by_both(ngo: Client, tmp_path: Path) -> None:
    new = tmp_path / "new-root.key"
    secret = b"the new root's passphrase"
    write_root(new, RootKey.generate(), passphrase=secret, label=root_label("ngo"), insecure=True)
    source = RootSource(passphrase=ROOT_PASSPHRASE, new_key=new, new_passphrase=secret)
    done = ngo.keys.change_root(source)
    assert (done.finished, statuses(ngo, "root")) == (True, ["active", "active", "revoked", "revoked"])
    assert ngo.sync().alarms == ()
    with pytest.raises(KeyRevoked):
        ngo.keys.change_approver(PASSPHRASE, ROOT, insecure=True)
    again = RootSource(key=new, passphrase=secret)
    # The refused signatures are void; a person asks the new root.
    assert ngo.keys.change_approver(PASSPHRASE, again, insecure=True).finished


def test_a_caseworker_changes_no_key(exchange: Exchange, ngo: Client) -> None:
    add_caseworker(ngo.session, NewUser("noor", b"noor's long passphrase", insecure=True))
    with exchange.client(exchange.folder / "ngo", "noor", b"noor's long passphrase") as noor:
        with pytest.raises(NotPermitted):
            noor.keys.change("enc")
        with pytest.raises(NotPermitted):
            noor.keys.change_approver(b"noor's long passphrase", ROOT, insecure=True)


def test_what_cannot_be_opened_waits_for_a_person_and_is_granted_again_by_its_sender(
    exchange: Exchange, ngo: Client, embassy: Client, ref: str
) -> None:
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    path = f"/v1/grants/{sent.grants[0].gid}"

    def spoiled(where: str, body: bytes) -> bytes:
        return body.replace(b'"sealed":"', b'"sealed":"AAAA') if where == path else body

    exchange.change = spoiled
    stop = embassy.keys.change("enc")
    assert stop.emptied is not None
    assert (stop.finished, stop.waits, len(stop.emptied.left)) == (False, "empty", 1)
    assert statuses(embassy, "enc") == ["active", "draining"]
    done = embassy.keys.change("enc", give_up=True)
    assert (done.finished, done.kid) == (True, stop.kid)
    exchange.change = None
    ngo.sync()
    (item,) = [one for one in embassy.inbox() if one.kid == done.kid]
    assert embassy.open_grant(item.gid).fields["sex"] == "female"


def test_keys_are_listed_with_what_is_due(ngo: Client) -> None:
    rows = {row.use: row for row in ngo.keys.rows() if row.use != "root"}
    assert set(rows) == {"approver", "auth", "enc", "envelope"}
    assert all(row.here and row.due is not None and row.next is None for row in rows.values())
    assert rows["approver"].user == "amal"


def test_what_is_overdue_or_was_cut_short_is_named_with_its_remedy(exchange: Exchange, ngo: Client) -> None:
    now = ngo.session.now()
    assert [row.mend(now) for row in ngo.keys.rows() if row.mend(now) is not None] == []
    later = now + timedelta(days=366)
    late = {row.use: row.mend(later) for row in ngo.keys.rows() if row.overdue(later)}
    assert late["enc"] == "exchange-agency keys rotate enc"
    assert late["approver"] == "exchange-agency --user amal keys rotate approver"
    with dying_at(6), suppress(Crash):
        ngo.keys.change("enc")
    with exchange.client(exchange.folder / "ngo") as again:
        begun = [row for row in again.keys.rows() if row.mend(now) is not None]
        assert {row.use for row in begun} == {"enc"}
        assert all(row.next is not None for row in begun)
        assert again.keys.change("enc").finished
        assert [row for row in again.keys.rows() if row.mend(now) is not None] == []
