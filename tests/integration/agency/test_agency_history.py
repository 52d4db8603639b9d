"""A lost history comes back: docs/keys.md, section 1. What is asked, who answers, and what is never given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.history import ANSWERED, DECLINED, REQUEST
from exchange.agency.model import Sent
from exchange.member.rotation import COMPROMISED
from exchange_schemas.errors import NotPermitted, RecordUnknown
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def told(ngo: Client, embassy: Client) -> list[Sent]:
    """Two messages about two children."""
    ngo.sync()
    sent = []
    for _ in range(2):
        ref = child_with_decision(ngo)
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
        sent.append(ngo.send("found_notice", to=["embassy"], record=ref))
    return sent


@pytest.fixture
def restored(exchange: Exchange, embassy: Client, told: list[Sent], tmp_path: Path) -> Iterator[Client]:
    """The embassy opened both, lost the laptop, and works from a backup of before, without a message."""
    backup = tmp_path / "backup"
    embassy.close()
    shutil.copytree(exchange.folder / "embassy", backup)
    with exchange.client(exchange.folder / "embassy") as laptop:
        laptop.sync()
        for item in list(laptop.inbox()):
            assert laptop.open_grant(item.gid).fields["sex"] == "female"
    with exchange.client(backup) as client:
        client.sync()
        yield client


def compromise(client: Client) -> None:
    """Every working key of it was on the lost laptop."""
    for use in ("auth", "envelope", "enc"):
        assert client.keys.change(use, reason=COMPROMISED).finished


def open_request(ngo: Client) -> str:
    """The sender synchronises and opens the request of the asker; its id."""
    ngo.sync()
    (item,) = [one for one in ngo.inbox(waiting_only=True) if one.kind == REQUEST]
    return ngo.open_grant(item.gid).gid


def test_keys_that_are_still_here_open_everything_again_without_asking(
    restored: Client, told: list[Sent]
) -> None:
    assert [one.eid for one in restored.history.lost()] == [one.eid for one in told]
    done = restored.history.restore()
    assert (done.opened, done.asked, done.left) == (2, (), ())
    assert restored.history.lost() == []
    assert len(list(restored.messages())) == 2


def test_a_lost_laptop_gets_its_history_back(ngo: Client, restored: Client, told: list[Sent]) -> None:
    compromise(restored)
    done = restored.history.restore()
    assert (done.opened, len(done.asked)) == (0, 1)
    assert all(one.asked is not None for one in restored.history.lost())
    # It is not asked twice, unless somebody wants that.
    assert restored.history.restore().asked == ()
    gid = open_request(ngo)
    (asked,) = ngo.history.requests(open_only=True)
    assert set(asked.envelopes) == {one.eid for one in told}
    assert any("history answer" in text for text in ngo.sync().due)
    answered = ngo.history.answer(gid)
    assert (answered.state, answered.granted, answered.left) == (ANSWERED, 2, ())
    assert not any("history answer" in text for text in ngo.sync().due)
    # The same answer again gives nothing twice.
    assert ngo.history.answer(gid).granted == 2
    restored.sync()
    waiting = [item for item in restored.inbox(waiting_only=True) if item.kind == "found_notice"]
    assert len([item for item in waiting if item.state == "waiting"]) == 2
    for item in waiting:
        if item.state == "waiting":
            message = restored.open_grant(item.gid)
            assert message.fields["sex"] == "female"
            assert message.alarms == ()
    assert restored.history.lost() == []


def test_what_the_consent_no_longer_allows_stays_lost(
    ngo: Client, restored: Client, told: list[Sent]
) -> None:
    compromise(restored)
    restored.history.restore()
    withdrawn = next(iter(ngo.consents.each()))
    ngo.consents.withdraw(withdrawn.cid)
    gid = open_request(ngo)
    answered = ngo.history.answer(gid)
    assert answered.granted == 1
    (left,) = answered.left
    assert "CONSENT_WITHDRAWN" in left


def test_who_is_withheld_since_is_given_nothing(ngo: Client, restored: Client) -> None:
    compromise(restored)
    restored.history.restore()
    for record in list(ngo.records.each()):
        ngo.records.withhold(record.ref, "embassy")
    answered = ngo.history.answer(open_request(ngo))
    assert (answered.granted, len(answered.left)) == (0, 2)
    assert all("RECIPIENT_DENIED" in text for text in answered.left)


def test_nobody_gets_what_was_sent_to_another(
    exchange: Exchange, ngo: Client, embassy: Client, told: list[Sent]
) -> None:
    with exchange.joined("stranger", kind="embassy", public=True) as stranger:
        ngo.sync()
        stranger.send(REQUEST, to=["ngo"], content={"lost_envelopes": [one.eid for one in told]})
        gid = open_request(ngo)
        answered = ngo.history.answer(gid)
        assert (answered.granted, len(answered.left)) == (0, 2)
        assert all("RECORD_UNKNOWN" in text for text in answered.left)
        assert [item.kind for item in stranger.inbox()] == []


def test_a_request_is_declined_for_good_and_its_maker_told(ngo: Client, restored: Client) -> None:
    compromise(restored)
    restored.history.restore()
    gid = open_request(ngo)
    assert ngo.history.decline(gid).state == DECLINED
    assert ngo.history.decline(gid).state == DECLINED
    with pytest.raises(NotPermitted):
        ngo.history.answer(gid)
    assert [item.kind for item in restored.inbox(waiting_only=True)].count("declined") == 1
    with pytest.raises(RecordUnknown):
        ngo.history.answer("A" * 22)


def test_our_own_grant_lives_as_long_as_the_consent_and_moves_to_our_new_key(
    ngo: Client, restored: Client, told: list[Sent]
) -> None:
    (first, second) = ngo.consents.each()
    own = [item for item in ngo.inbox() if item.sender == "ngo"] or None
    assert own is None or all(item.expires >= min(first.expires, second.expires) for item in own)
    assert ngo.keys.change("enc").finished
    compromise(restored)
    restored.history.restore()
    answered = ngo.history.answer(open_request(ngo))
    assert (answered.granted, answered.left) == (2, ())
