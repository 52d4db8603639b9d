"""Sending when things go wrong: no hub, a lost answer, two hosts at once, a rolled-back hub, rules."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from exchange.agency import Client
from exchange.directory.events import drain_event, key_event
from exchange.hub.db import writing
from exchange.hub.models.envelopes import chain_head
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    ConsentUnknown,
    ConsentWithdrawn,
    ExchangeError,
    HubUnreachable,
    LogFork,
    LogIncomplete,
    Malformed,
    NotPermitted,
    RecipientDenied,
    RecordUnknown,
    ScreeningDenied,
    SigInvalid,
)
from tests.integration.agency.exchange_world import (
    CHILD,
    Exchange,
    child_with_decision,
    found_terms,
    second_host,
)

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_hub_that_is_down_loses_nothing_and_a_repeat_sends_once(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    exchange.stop()
    with pytest.raises(HubUnreachable) as caught:
        ngo.send("found_notice", to=["embassy"], record=consented)
    assert "--resume" in str(caught.value.hint)
    (job,) = ngo.spooled()
    assert job.last_error == "HUB_UNREACHABLE"
    with pytest.raises(HubUnreachable):
        ngo.resume()
    exchange.start()
    (sent,) = ngo.resume()
    assert sent.eid == job.eid
    assert ngo.spooled() == []
    assert ngo.resume() == []
    assert len(list(embassy.inbox())) == 1


def test_an_answer_that_is_lost_after_the_deposit_arrives_once(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    exchange.lose["/v1/envelopes"] = 1
    sent = ngo.send("found_notice", to=["embassy"], record=consented)
    assert len(list(embassy.inbox())) == 1
    exchange.lose["/v1/envelopes"] = 9
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=consented)
    exchange.lose.clear()
    (again,) = ngo.resume()
    items = list(embassy.inbox())
    assert [item.eid for item in items] == [sent.eid, again.eid]
    assert [item.seq for item in items] == [1, 2]


def test_a_spooled_job_survives_the_program(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=consented)
    ngo.close()
    exchange.start()
    with exchange.client(exchange.folder / "ngo") as later:
        assert len(later.resume()) == 1
    assert len(list(embassy.inbox())) == 1


def test_a_second_host_proves_the_head_and_goes_on(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    with second_host(exchange, exchange.folder / "ngo") as other:
        ngo.send("found_notice", to=["embassy"], record=consented)
        other.send("found_notice", to=["embassy"], record=consented)
        ngo.send("found_notice", to=["embassy"], record=consented)
    items = list(embassy.inbox())
    assert [item.seq for item in items] == [1, 2, 3]
    assert all(embassy.open_grant(item.gid).alarms == () for item in items)


def test_two_hosts_that_send_at_the_same_time_both_arrive(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    ngo.close()
    homes = [exchange.folder / "ngo", second_host(exchange, exchange.folder / "ngo").session.home.path]
    failures: list[ExchangeError] = []

    def send(home: Path) -> None:
        try:
            with exchange.client(home) as client:
                for _ in range(3):
                    client.send("found_notice", to=["embassy"], record=consented)
        except ExchangeError as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(home,)) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [item.seq for item in embassy.inbox()] == [1, 2, 3, 4, 5, 6]


def test_two_processes_of_one_host_take_turns(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    with exchange.client(exchange.folder / "ngo") as other:
        ngo.send("found_notice", to=["embassy"], record=consented)
        other.send("found_notice", to=["embassy"], record=consented)
    assert [item.seq for item in embassy.inbox()] == [1, 2]


def test_a_head_that_this_agency_did_not_sign_is_an_alarm(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    with second_host(exchange, exchange.folder / "ngo") as other:
        ngo.send("found_notice", to=["embassy"], record=consented)

        def spoil(path: str, body: bytes) -> bytes:
            if path != "/v1/envelopes" or b'"head"' not in body:
                return body
            at = body.index(b'"signature"') + len(b'"signature":"') + 4
            return body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]

        exchange.change = spoil
        with pytest.raises(SigInvalid):
            other.send("found_notice", to=["embassy"], record=consented)


def test_a_hub_that_forgot_what_it_took_is_an_alarm(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    ngo.send("found_notice", to=["embassy"], record=consented)
    with writing(exchange.hub.engine) as conn:
        conn.execute(delete(chain_head))
    with pytest.raises(LogIncomplete) as caught:
        ngo.send("found_notice", to=["embassy"], record=consented)
    assert caught.value.rule == "chain-rollback"


def test_rules_of_the_holder_are_kept_before_anything_is_signed(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    no_age = {name: value for name, value in CHILD.items() if name != "age_range"}
    ref = ngo.records.add(no_age).ref
    with pytest.raises(NotPermitted) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    assert caught.value.rule == "S03-age"
    ref = ngo.records.add(CHILD).ref
    with pytest.raises(NotPermitted) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    assert caught.value.rule == "S08-decision"
    with pytest.raises(NotPermitted) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms(basis="consent"))
    assert caught.value.rule == "S07-guardian"
    ngo.records.decide(ref, procedure="bia", outcome="for_sharing", body="panel")
    with pytest.raises(ScreeningDenied):
        ngo.consents.grant(ref, to="embassy", terms=found_terms(screening="not_required"))
    with pytest.raises(RecipientDenied):
        ngo.consents.grant(ref, to="nobody-here", terms=found_terms())
    with pytest.raises(NotPermitted) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms(lasts=timedelta(days=120)))
    assert caught.value.rule == "S09-ninety"
    ngo.records.decide(ref, procedure="bia", outcome="against", body="panel")
    with pytest.raises(NotPermitted) as caught:
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    assert caught.value.rule == "S02-against"
    assert list(ngo.consents.each()) == []


def test_what_cannot_be_sent_says_what_is_missing(ngo: Client, embassy: Client, consented: str) -> None:
    other = child_with_decision(ngo)
    with pytest.raises(ConsentUnknown):
        ngo.send("found_notice", to=["embassy"], record=other)
    with pytest.raises(RecordUnknown):
        ngo.send("found_notice", to=["embassy"])
    with pytest.raises(RecordUnknown):
        ngo.send("found_notice", to=["embassy"], record="zzzz")
    with pytest.raises(Malformed):
        ngo.send("found_notice", to=["embassy", "embassy"], record=consented)
    with pytest.raises(Malformed):
        ngo.send("found_notice", to=[], record=consented)
    with pytest.raises(Malformed):
        ngo.send("no_such_kind", to=["embassy"], record=consented)


def test_a_request_without_a_record_is_answered_in_its_thread(
    ngo: Client, embassy: Client, consented: str
) -> None:
    ngo.send("found_notice", to=["embassy"], record=consented)
    (notice,) = embassy.inbox()
    embassy.open_grant(notice.gid)
    embassy.sync()
    embassy.send(
        "information_request",
        to=["ngo"],
        content={"asked_fields": ["birth_date", "languages"], "need_code": "identify"},
        in_reply_to=notice.gid,
        reply_by=datetime.now(UTC) + timedelta(days=7),
    )
    (asked,) = ngo.inbox()
    assert asked.thread == notice.thread
    request = ngo.open_grant(asked.gid)
    assert request.content["need_code"] == "identify"
    ngo.consents.grant(
        consented, to="embassy", terms=found_terms(kind=None, fields=("languages",), purposes=("verify",))
    )
    sent = ngo.send(
        "information_response",
        to=["embassy"],
        record=consented,
        in_reply_to=asked.gid,
        content={"refusals": [{"field": "birth_date", "code": "not_held"}]},
    )
    assert sent.grants[0].thread == notice.thread
    answer = embassy.open_grant(list(embassy.inbox())[-1].gid)
    assert answer.fields["languages"] == ["ar"]
    assert answer.content["refusals"] == [{"field": "birth_date", "code": "not_held"}]


def test_a_refusal_by_a_rule_is_final_and_leaves_the_spool(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    (consent,) = ngo.consents.each()
    with second_host(exchange, exchange.folder / "ngo") as other:
        other.consents.withdraw(consent.cid)
    with pytest.raises(ConsentWithdrawn):
        ngo.send("found_notice", to=["embassy"], record=consented)
    assert ngo.spooled() == []
    (alarm,) = ngo.sync().alarms
    assert "not made on this machine" in alarm
    assert ngo.consents.get(consent.cid).status == "withdrawn"


def test_a_recipient_that_has_rotated_its_key_is_sealed_to_anew(
    ngo: Client, embassy: Client, consented: str
) -> None:
    session, new = embassy.session, EncKey.generate()
    now = session.now().replace(microsecond=0)
    approver = session.require_approver()
    common: dict[str, Any] = {
        "origin": session.profile.deployment.origin,
        "agency": session.profile.agency,
        "iat": now,
    }
    logged = key_event(
        **common, use="enc", key=new.public, nbf=now, exp=now + timedelta(days=9), signers=[approver]
    )
    old = session.keys.enc[0].public.kid
    drained = drain_event(**common, kid=old, until=now + timedelta(days=3), signers=[approver])
    session.hub.post(
        "/v1/directory/events",
        {"event": logged.to_json(), "keys": {str(new.public.kid): b64u(new.public.raw)}},
    )
    session.hub.post("/v1/directory/events", {"event": drained.to_json(), "keys": {}})
    ngo.send("found_notice", to=["embassy"], record=consented)
    session.keys = replace(session.keys, enc=(*session.keys.enc, new))
    (item,) = embassy.inbox()
    assert embassy.open_grant(item.gid).fields["sex"] == "female"


def test_an_answer_for_other_grants_is_an_alarm(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    exchange.change = lambda path, body: (
        body.replace(b'"seq":1', b'"seq":9') if path == "/v1/envelopes" else body
    )
    with pytest.raises(LogFork):
        ngo.send("found_notice", to=["embassy"], record=consented)
