"""What a sync finds: foreign events, hidden withdrawals, lost registrations, forked directories."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from sqlalchemy import update

from exchange.agency import Client, consent_rows
from exchange.directory.events import suspend_event
from exchange.hub.db import writing
from exchange.hub.models.consents import consent_family
from exchange.hub.services import operators
from exchange.member.enrolment import pseudonym
from exchange.member.new_users import add_approver
from exchange.member.users import NewUser, open_user
from exchange_keys.jws import sign
from exchange_keys.signing import SigningKey
from exchange_schemas.consent import Withdrawal
from exchange_schemas.errors import (
    AuthorityMissing,
    ConfigInvalid,
    ConsentUnknown,
    ConsentWithdrawn,
    HubUnreachable,
    LogFork,
    LogIncomplete,
    LogStale,
    NotPermitted,
    ProofInvalid,
    RecipientDenied,
    Unauthorized,
)
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import (
    ROOT_PASSPHRASE,
    Exchange,
    child_with_decision,
    found_terms,
    log_a_thiefs_key,
)

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_an_event_of_this_agency_that_was_not_made_here_is_an_alarm(exchange: Exchange, ngo: Client) -> None:
    log_a_thiefs_key(ngo)
    (alarm,) = ngo.sync().alarms
    assert "not made here" in alarm
    assert ngo.sync().alarms == ()


def test_an_approver_added_here_is_no_alarm_and_may_decide(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    secret = b"sara's own long passphrase"
    add_approver(
        ngo.session, NewUser("sara", secret, insecure=True), root_file=None, root_passphrase=ROOT_PASSPHRASE
    )
    assert ngo.sync().alarms == ()
    with exchange.client(exchange.folder / "ngo", "sara", secret) as sara:
        ref = child_with_decision(sara)
        sara.consents.grant(ref, to="embassy", terms=found_terms())
    assert pseudonym(ngo.session, "sara") != pseudonym(ngo.session, "amal")


def test_vital_interest_needs_two_approvers_and_lasts_72_hours(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    secret = b"sara's own long passphrase"
    add_approver(
        ngo.session, NewUser("sara", secret, insecure=True), root_file=None, root_passphrase=ROOT_PASSPHRASE
    )
    ngo.sync()
    ref = child_with_decision(ngo)
    terms = found_terms(basis="vital_interest", lasts=timedelta(days=30))
    with pytest.raises(AuthorityMissing):
        ngo.consents.grant(ref, to="embassy", terms=terms)
    assert list(ngo.consents.each()) == []
    second = open_user(ngo.session.home, "sara", secret, allow_insecure=True).approver
    granted = ngo.consents.grant(ref, to="embassy", terms=terms, second=second)
    assert granted.expires - ngo.session.now() <= timedelta(hours=72)
    ngo.send("found_notice", to=["embassy"], record=ref)
    (item,) = embassy.inbox()
    assert embassy.open_grant(item.gid).fields["sex"] == "female"


def test_a_suspension_is_told_and_stops_what_others_send(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    event = suspend_event(
        origin=exchange.hub.settings.origin,
        iat=exchange.hub.clock().replace(microsecond=0) + timedelta(seconds=1),
        agency=embassy.session.profile.agency,
        reason="security",
        signers=[exchange.operator],
    )
    operators.decide(exchange.hub, event)
    ngo.sync()
    with pytest.raises(RecipientDenied):
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    with pytest.raises(Unauthorized) as caught:
        exchange.client(exchange.folder / "embassy").sync()
    assert "operator" in str(caught.value.hint)


def test_a_withdrawal_that_the_hub_lost_is_asserted_again(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    ngo.consents.withdraw(consent.cid)
    with writing(exchange.hub.engine) as conn:
        conn.execute(update(consent_family).values(status="active", withdrawal=None))
    (alarm,) = ngo.sync().alarms
    assert "asserted again" in alarm
    assert ngo.sync().alarms == ()
    (item,) = embassy.inbox()
    with pytest.raises(ConsentWithdrawn):
        embassy.open_grant(item.gid)


def test_a_withdrawal_without_a_hub_counts_here_at_once_and_is_told_later(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.consents.withdraw(consent.cid)
    assert ngo.consents.get(consent.cid).status == "withdrawn"
    with pytest.raises(ConsentWithdrawn):
        ngo.send("found_notice", to=["embassy"], record=ref)
    exchange.start()
    ngo.sync()
    embassy.sync()
    (received,) = embassy.consents.received()
    assert received.status == "withdrawn"


def test_a_consent_that_could_not_be_registered_is_registered_by_the_next_sync(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.start()
    ngo.sync()
    ngo.send("found_notice", to=["embassy"], record=ref)
    assert len(list(embassy.inbox())) == 1


def test_a_newer_consent_supersedes_the_older_one_of_its_family(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    first = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    few = ("name_given", "sex", "age_range", "current_area")
    second = ngo.consents.grant(ref, to="embassy", terms=found_terms(fields=few, supersedes=first.cid))
    assert second.family == first.family
    assert ngo.consents.get(first.cid).status == "superseded"
    ngo.send("found_notice", to=["embassy"], record=ref)
    (item,) = embassy.inbox()
    assert set(embassy.open_grant(item.gid).fields) == {*few, "child_ref"}
    other = child_with_decision(ngo)
    with pytest.raises(NotPermitted):
        ngo.consents.grant(other, to="embassy", terms=found_terms(supersedes=second.cid))
    ngo.consents.withdraw(second.cid)
    assert {one.status for one in ngo.consents.each()} == {"withdrawn"}
    with pytest.raises(ConsentWithdrawn):
        ngo.consents.grant(ref, to="embassy", terms=found_terms(supersedes=second.cid))


def test_only_the_issuer_withdraws(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    embassy.sync()
    with pytest.raises(NotPermitted):
        embassy.consents.withdraw(consent.cid)
    with pytest.raises(ConsentUnknown):
        embassy.consents.withdraw("unknown-consent")


def test_a_receipt_that_could_not_be_sent_is_sent_by_the_next_sync(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    exchange.lose[f"/v1/grants/{sent.grants[0].gid}/receipt"] = 99
    message = embassy.open_grant(sent.grants[0].gid)
    assert "receipt could not be sent" in message.alarms[0]
    exchange.lose.clear()
    embassy.sync()
    (row,) = ngo.outbox()
    assert row.outcome == "opened"


def test_a_directory_that_goes_back_or_forks_is_refused(exchange: Exchange, ngo: Client) -> None:
    def older(path: str, body: bytes) -> bytes:
        if path != "/v1/directory/events":
            return body
        answer = json.loads(body)
        return json.dumps({**answer, "events": [], "size": answer["size"] - 1}).encode()

    exchange.change = older
    with pytest.raises((LogFork, LogIncomplete)):
        ngo.sync()
    exchange.change = None
    assert ngo.sync().new_events == 0


def test_pages_of_the_directory_that_were_changed_on_disk_are_found(exchange: Exchange, ngo: Client) -> None:
    ngo.close()
    folder = exchange.folder / "ngo" / "directory"
    (page,) = folder.glob("*.json")
    kept = page.read_bytes()
    changed = json.loads(kept)
    changed["events"][0]["event"]["payload"] = changed["events"][1]["event"]["payload"]
    for data, error in ((json.dumps(changed).encode(), LogFork), (b"{}", LogIncomplete)):
        page.write_bytes(data)
        with exchange.client(exchange.folder / "ngo") as client, pytest.raises(error):
            client.session.directory.verify_all()
        box = (folder / "state.box").read_bytes()
        (folder / "state.box").unlink()
        with exchange.client(exchange.folder / "ngo") as client, pytest.raises(error):
            client.agencies()
        (folder / "state.box").write_bytes(box)
    page.write_bytes(kept)
    with exchange.client(exchange.folder / "ngo") as client:
        assert client.session.directory.verify_all() == len(changed["events"])
        assert [one.agency for one in client.agencies()] == ["ngo"]
        assert {key.use for key in client.keys_of("ngo")} == {"root", "approver", "envelope", "enc", "auth"}
        with pytest.raises(RecipientDenied):
            client.keys_of("nobody")


def test_a_sealed_state_that_was_altered_is_noticed_and_made_again(exchange: Exchange, ngo: Client) -> None:
    before = ngo.keys_of("ngo")
    ngo.close()
    folder = exchange.folder / "ngo" / "directory"
    box = (folder / "state.box").read_bytes()
    for changed in (box[:-1] + bytes([box[-1] ^ 1]), box[:60], b"", b"{}"):
        (folder / "state.box").write_bytes(changed)
        with exchange.client(exchange.folder / "ngo") as client:
            assert client.keys_of("ngo") == before
        assert (folder / "state.box").read_bytes()[:60] not in (changed[:60], box[:60])


def test_commands_go_on_from_the_sealed_state_without_the_pages(exchange: Exchange, ngo: Client) -> None:
    before = ngo.keys_of("ngo")
    ngo.close()
    (page,) = (exchange.folder / "ngo" / "directory").glob("*.json")
    page.write_bytes(b"{}")
    with exchange.client(exchange.folder / "ngo") as client:
        assert client.keys_of("ngo") == before


def test_without_a_copy_of_the_directory_nothing_is_decided(exchange: Exchange, ngo: Client) -> None:
    ngo.close()
    home = exchange.found("late")
    with exchange.client(home) as client, pytest.raises(ConfigInvalid):
        client.agencies()
    shutil.rmtree(exchange.folder / "ngo" / "directory")
    (exchange.folder / "ngo" / "directory").mkdir()
    with exchange.client(exchange.folder / "ngo") as client:
        with pytest.raises(LogIncomplete):
            client.agencies()
        assert client.sync().new_events > 0
        assert client.agencies()


def test_a_hub_that_goes_back_is_refused_even_when_the_copy_was_deleted(
    exchange: Exchange, ngo: Client
) -> None:
    shown: list[dict[str, object]] = []

    def older(path: str, body: bytes) -> bytes:
        if path == "/v1/directory/events":
            shown.append(json.loads(body))
            return json.dumps({**shown[0], "receipt": json.loads(body).get("receipt")}).encode()
        return body

    with exchange.client(exchange.found("before")) as client:
        exchange.change = older
        client.sync()
        exchange.change = None
        exchange.found("after")
        client.sync()
    shutil.rmtree(exchange.folder / "before" / "directory")
    (exchange.folder / "before" / "directory").mkdir()
    with exchange.client(exchange.folder / "before") as client:
        exchange.change = older
        with pytest.raises(LogFork) as caught:
            client.sync()
        assert caught.value.rule == "L2-forward"
        exchange.change = None
        client.sync()


def test_a_day_old_copy_is_not_enough_without_a_hub(exchange: Exchange, ngo: Client) -> None:
    exchange.stop()
    start = ngo.session.now()
    ngo.session.hub.tokens.now = lambda: start + timedelta(hours=23)
    ngo.session.directory.ensure_fresh()
    ngo.session.hub.tokens.now = lambda: start + timedelta(hours=25)
    with pytest.raises(LogStale):
        ngo.session.directory.ensure_fresh()


def test_a_receipt_that_proves_nothing_is_refused(exchange: Exchange, ngo: Client) -> None:
    def forged(path: str, body: bytes) -> bytes:
        if path != "/v1/consents":
            return body
        answer = json.loads(body)
        lines = answer["receipt"]["proof"].split("\n")
        lines[2] = ("A" if lines[2][0] != "A" else "B") + lines[2][1:]
        answer["receipt"]["proof"] = "\n".join(lines)
        return json.dumps(answer).encode()

    exchange.change = forged
    with pytest.raises(ProofInvalid):
        ngo.sync()


def test_a_withdrawal_of_ours_that_no_approver_of_ours_signed_ends_nothing_and_asks_nobody(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    """Believed, it would have this agency itself ask recipients to delete what a child needs."""
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.open_grant(sent.grants[0].gid)
    row = consent_rows.get(ngo.session.store, consent_rows.OWN, consent.cid)
    assert row is not None
    withdrawal = Withdrawal(
        origin=exchange.hub.settings.origin,
        iss=AgencyId("ngo"),
        family=row.consent.family,
        reason="consent_withdrawn",
        iat=exchange.hub.clock().replace(microsecond=0),
    )
    forged = sign(withdrawal.to_bytes(), Withdrawal.typ, [SigningKey.generate()]).to_json()

    def shown(path: str, body: bytes) -> bytes:
        if path != "/v1/consents":
            return body
        answer = json.loads(body)
        items = [{**item, "status": "withdrawn", "withdrawal": forged} for item in answer["items"]]
        return json.dumps({**answer, "items": items}).encode()

    exchange.change = shown
    (alarm,) = ngo.sync().alarms
    assert "none of its approvers has signed" in alarm
    exchange.change = None
    assert ngo.sync().alarms == ()
    assert list(ngo.deletions.asked()) == []
    assert [one.status for one in ngo.consents.each()] == ["active"]
    assert embassy.message(sent.grants[0].gid) is not None


def test_a_consent_of_ours_is_not_superseded_on_the_hubs_word_alone(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ngo.consents.grant(child_with_decision(ngo), to="embassy", terms=found_terms())

    def shown(path: str, body: bytes) -> bytes:
        if path != "/v1/consents":
            return body
        answer = json.loads(body)
        return json.dumps(
            {**answer, "items": [{**item, "status": "superseded"} for item in answer["items"]]}
        ).encode()

    exchange.change = shown
    ngo.sync()
    exchange.change = None
    ngo.sync()
    assert [one.status for one in ngo.consents.each()] == ["active"]
