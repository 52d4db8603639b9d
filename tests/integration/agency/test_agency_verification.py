"""What a recipient refuses: each step of "The recipient", with a hub that omits, swaps, adds and replays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.agency import Client, InboxItem
from exchange.agency.chains import note_proved
from exchange.agency.fetched import read_fetched
from exchange.agency.opening import open_parts
from exchange.agency.verification import verify
from exchange_keys.jws import Signed, sign
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, sha256, unb64u
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import (
    ClockSkew,
    ConsentMismatch,
    ConsentUnknown,
    ConsentWithdrawn,
    DecryptFailed,
    ExchangeError,
    GrantExpired,
    KidUnknown,
    LogFork,
    LogStale,
    Malformed,
    ManifestMismatch,
    PartDigest,
    PartMissing,
    RecipientDenied,
    Replay,
    SeqConflict,
    SigInvalid,
)
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

Answer = dict[str, Any]


@pytest.fixture
def item(ngo: Client, embassy: Client) -> InboxItem:
    """A grant that waits for the embassy."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    (found,) = embassy.inbox()
    return found


def tamper(exchange: Exchange, change: Callable[[Answer], None]) -> None:
    """Let the hub change its answers for a fetched grant."""

    def spoil(path: str, body: bytes) -> bytes:
        if not path.startswith("/v1/grants/") or path.endswith("/receipt"):
            return body
        answer = json.loads(body)
        if "core" in answer:
            change(answer)
        return json.dumps(answer).encode()

    exchange.change = spoil


def flipped(text: str, at: int = 40) -> str:
    """The same base64url with one bit of one byte changed."""
    data = bytearray(unb64u(text, field="x"))
    data[at] ^= 1
    return b64u(bytes(data))


def flip(name: str) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        answer[name] = flipped(answer[name])

    return change


def flip_part(answer: Answer) -> None:
    answer["parts"][0]["ct"] = flipped(answer["parts"][0]["ct"], 100)


def swap_parts(answer: Answer) -> None:
    first, second = answer["parts"][0], answer["parts"][1]
    first["ct"], second["ct"] = second["ct"], first["ct"]


def cut_part(answer: Answer) -> None:
    part = answer["parts"][0]
    part["ct"] = b64u(unb64u(part["ct"], field="ct")[:-20])


def drop_part(answer: Answer) -> None:
    answer["parts"].pop()


def leave_out_ciphertext(answer: Answer) -> None:
    del answer["parts"][0]["ct"]


def double_part(answer: Answer) -> None:
    answer["parts"][1] = answer["parts"][0]


def drop_consent(answer: Answer) -> None:
    answer["consent"] = None


def flip_consent(answer: Answer) -> None:
    answer["consent"]["signatures"][0]["signature"] = flipped(answer["consent"]["signatures"][0]["signature"])


def flip_manifest(answer: Answer) -> None:
    answer["manifest"]["signatures"][0]["signature"] = flipped(
        answer["manifest"]["signatures"][0]["signature"]
    )


def foreign_signature(answer: Answer) -> None:
    signed = Signed.from_json(answer["manifest"], LIMITS.manifest_bytes)
    answer["manifest"] = sign(signed.payload, "hx-manifest", [SigningKey.generate()]).to_json()


def drop_core(answer: Answer) -> None:
    answer["core"] = None


CASES: dict[str, tuple[Callable[[Answer], None], type[ExchangeError]]] = {
    "a flipped manifest signature": (flip_manifest, SigInvalid),
    "a manifest signed by somebody else": (foreign_signature, KidUnknown),
    "a flipped core": (flip("core"), ExchangeError),
    "flipped sealed keys": (flip("sealed"), ManifestMismatch),
    "no core": (drop_core, Malformed),
    "the consent left out": (drop_consent, ConsentUnknown),
    "a flipped consent signature": (flip_consent, SigInvalid),
    "a flipped part": (flip_part, PartDigest),
    "two parts swapped": (swap_parts, PartDigest),
    "a part cut short": (cut_part, PartDigest),
    "a part left out": (drop_part, PartMissing),
    "a ciphertext left out": (leave_out_ciphertext, PartMissing),
    "one part twice": (double_part, PartMissing),
}


def test_whatever_the_hub_changes_is_named_and_nothing_is_kept(
    exchange: Exchange, embassy: Client, item: InboxItem
) -> None:
    for what, (change, error) in CASES.items():
        tamper(exchange, change)
        with pytest.raises(error) as caught:
            embassy.open_grant(item.gid)
        assert caught.value.code, what
        assert list(embassy.messages()) == [], what
    assert embassy.message(item.gid) is None


def test_what_was_refused_opens_when_the_hub_gives_it_right_and_the_sender_sees_the_first_receipt(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    tamper(exchange, flip_part)
    with pytest.raises(PartDigest):
        embassy.open_grant(item.gid)
    exchange.change = None
    assert embassy.open_grant(item.gid).fields["sex"] == "female"
    (row,) = ngo.outbox()
    assert (row.outcome, row.outcome_code) == ("refused", "PART_DIGEST")


def test_another_grant_than_the_one_asked_for_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    ngo.send("found_notice", to=["embassy"], record=next(ngo.records.each()).ref)
    second = list(embassy.inbox())[1]
    kept: list[Answer] = []
    tamper(exchange, lambda answer: kept.append(json.loads(json.dumps(answer))))
    embassy.open_grant(item.gid)

    def replay(answer: Answer) -> None:
        answer.update({name: kept[0][name] for name in kept[0] if name != "receipt"})

    tamper(exchange, replay)
    with pytest.raises(ManifestMismatch):
        embassy.open_grant(second.gid)


def test_the_consent_of_another_child_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    other = child_with_decision(ngo)
    ngo.consents.grant(other, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=other)
    second = list(embassy.inbox())[1]
    kept: list[Answer] = []
    tamper(exchange, lambda answer: kept.append(json.loads(json.dumps(answer))))
    embassy.open_grant(item.gid)
    tamper(exchange, lambda answer: answer.update(consent=kept[0]["consent"]))
    with pytest.raises(ConsentMismatch):
        embassy.open_grant(second.gid)


def test_a_consent_that_the_grant_does_not_name_is_refused(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    kept: list[Answer] = []
    tamper(exchange, lambda answer: kept.append(json.loads(json.dumps(answer))))
    embassy.open_grant(item.gid)
    exchange.change = None
    ngo.send(
        "information_request",
        to=["embassy"],
        content={"asked_fields": ["birth_date"], "need_code": "identify"},
        reply_by=datetime.now(UTC) + timedelta(days=7),
    )
    asked = list(embassy.inbox())[1]
    tamper(exchange, lambda answer: answer.update(consent=kept[0]["consent"]))
    with pytest.raises(ConsentMismatch):
        embassy.open_grant(asked.gid)


def test_another_agencys_grant_is_not_ours(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    with exchange.joined("commission", kind="commission") as commission:
        ref = child_with_decision(ngo)
        ngo.consents.grant(ref, to="commission", terms=found_terms())
        ngo.send("found_notice", to=["commission"], record=ref)
        (theirs,) = commission.inbox()
        kept: list[Answer] = []
        tamper(exchange, lambda answer: kept.append(json.loads(json.dumps(answer))))
        commission.open_grant(theirs.gid)
    tamper(exchange, lambda answer: answer.update({n: kept[0][n] for n in ("core", "sealed", "manifest")}))
    with pytest.raises((RecipientDenied, ManifestMismatch)):
        embassy.open_grant(item.gid)


def test_a_grant_past_its_time_is_refused_whatever_the_hub_says(
    ngo: Client, embassy: Client, item: InboxItem
) -> None:
    later = datetime.now(UTC) + timedelta(days=31)
    embassy.session.now = lambda: later
    with pytest.raises((GrantExpired, LogStale, ClockSkew)):
        embassy.open_grant(item.gid)


def test_a_gap_in_the_chain_is_an_alarm_but_the_message_is_shown(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    ngo.send("found_notice", to=["embassy"], record=next(ngo.records.each()).ref)

    def hide(path: str, body: bytes) -> bytes:
        if path != "/v1/inbox":
            return body
        answer = json.loads(body)
        answer["items"] = [one for one in answer["items"] if one["seq"] != 1]
        return json.dumps(answer).encode()

    embassy.session.store.delete("seen_in", "ngo/1")
    exchange.change = hide
    (second,) = (one for one in embassy.inbox() if one.seq == 2)
    message = embassy.open_grant(second.gid)
    assert "was never shown" in message.alarms[0]
    assert message.fields["sex"] == "female"


def test_a_predecessor_that_does_not_fit_is_refused(ngo: Client, embassy: Client, item: InboxItem) -> None:
    ngo.send("found_notice", to=["embassy"], record=next(ngo.records.each()).ref)
    second = list(embassy.inbox())[1]
    embassy.session.store.put("seen_in", "ngo/1", {"digest": "B" * 42 + "A"})
    with pytest.raises(SeqConflict):
        embassy.open_grant(second.gid)


def test_two_grants_under_one_number_are_a_replay(embassy: Client, item: InboxItem) -> None:
    embassy.open_grant(item.gid)
    with pytest.raises(Replay):
        note_proved(embassy.session.store, item.sender, item.seq, Digest("B" * 42 + "A"))
    embassy.session.store.put("seen_in", "ngo/1", {"digest": "B" * 42 + "A"})
    with pytest.raises(Replay):
        list(embassy.inbox())


def test_a_false_listing_is_an_alarm_and_refuses_no_honest_message(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    ngo.send("found_notice", to=["embassy"], record=next(ngo.records.each()).ref)
    embassy.session.store.delete("seen_in", "ngo/1")

    def lie(path: str, body: bytes) -> bytes:
        if path != "/v1/inbox":
            return body
        answer = json.loads(body)
        items = [{**one, "digest": "B" * 42 + "A"} for one in answer["items"]]
        return json.dumps({**answer, "items": items}).encode()

    exchange.change = lie
    first, second = (one.gid for one in embassy.inbox())
    assert any("listed another message" in text for text in embassy.open_grant(second).alarms)
    exchange.change = None
    with pytest.raises(Replay):
        list(embassy.inbox())
    # It is told once; nobody is shut out, and no honest sender gets a signed refusal.
    assert [one.gid for one in embassy.inbox()] == [first, second]
    assert embassy.open_grant(first).alarms == ()
    assert {one.outcome for one in ngo.outbox()} == {"opened"}


def test_a_tombstone_keeps_the_chain_whole(ngo: Client, embassy: Client, item: InboxItem) -> None:
    record = next(ngo.records.each())
    (consent,) = ngo.consents.each()
    ngo.consents.withdraw(consent.cid)
    ngo.consents.grant(record.ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=record.ref)
    items = list(embassy.inbox())
    assert [one.state for one in items] == ["dead", "waiting"]
    assert embassy.open_grant(items[1].gid).alarms == ()


def test_a_withdrawal_after_opening_is_told_at_the_next_sync(
    ngo: Client, embassy: Client, item: InboxItem
) -> None:
    embassy.open_grant(item.gid)
    (consent,) = ngo.consents.each()
    done = ngo.consents.withdraw(consent.cid)
    assert (done.undelivered, done.delivered) == (0, 1)
    (alarm,) = embassy.sync().alarms
    assert "withdrawn" in alarm
    assert embassy.sync().alarms == ()
    (received,) = embassy.consents.received()
    assert received.status == "withdrawn"


def test_a_withdrawal_that_the_hub_hides_from_the_recipient_still_counts_once_seen(
    exchange: Exchange, ngo: Client, embassy: Client, item: InboxItem
) -> None:
    embassy.sync()
    kept: list[Answer] = []
    tamper(exchange, lambda answer: kept.append(json.loads(json.dumps(answer))))
    embassy.session.hub.get(f"/v1/grants/{item.gid}")
    exchange.change = None
    (consent,) = ngo.consents.each()
    ngo.consents.withdraw(consent.cid)
    embassy.sync()

    fetched = read_fetched(item.gid, kept[0])
    receiver = embassy._receiver()
    assert receiver._known_withdrawn(fetched)
    with pytest.raises(ConsentWithdrawn):
        verify(embassy.session, fetched, withdrawn=True)


def test_a_sender_who_saw_another_directory_is_a_fork(embassy: Client, item: InboxItem) -> None:

    embassy.sync()
    position = embassy.session.directory.position()
    embassy.session.directory.check_position(position)
    with pytest.raises(LogFork):
        embassy.session.directory.check_position(replace(position, root=Digest("A" * 43)))
    with pytest.raises(LogStale):
        embassy.session.directory.check_position(replace(position, size=position.size + 1))


def test_a_sealed_grant_for_a_lost_key_says_what_to_do(embassy: Client, item: InboxItem) -> None:

    session, keys = embassy.session, embassy.session.keys
    lost = type(keys)(keys.envelope, (EncKey.generate(),), keys.auth)
    lost.save(session.home.keys_file, session.store_key, session.profile)
    session.refresh_keys()
    with pytest.raises(KidUnknown) as caught:
        embassy.open_grant(item.gid)
    assert caught.value.hint is not None


def test_the_consent_digest_is_over_the_payload_that_was_signed(ngo: Client, item: InboxItem) -> None:
    (consent,) = ngo.consents.each()
    row = ngo.consents.row(consent.cid)
    assert consent.digest == b64u(sha256(row.signed.payload))
    assert Consent.from_bytes(row.signed.payload).to_bytes() == row.signed.payload


def test_an_opened_part_never_opens_with_another_context(embassy: Client, item: InboxItem) -> None:

    fetched = read_fetched(item.gid, embassy.session.hub.get(f"/v1/grants/{item.gid}"))
    core = GrantCore.from_bytes(fetched.core)

    spoiled = replace(fetched, core=replace(core, pur="verify").to_bytes())
    with pytest.raises(DecryptFailed), open_parts(embassy.session, spoiled, core, lambda *told: None):
        pass
