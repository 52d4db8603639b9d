"""Courier bundles: an office without network sends, receives, withdraws by stick; nobody can bend it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.bundles.counting import Counting
from exchange.agency.bundles.courier import Courier
from exchange.agency.subject import gather
from exchange.member.carried import GRANTS
from exchange_schemas.bundle import OUT
from exchange_schemas.codec import decode
from exchange_schemas.errors import (
    ConsentSuperseded,
    ConsentWithdrawn,
    ExchangeError,
    HubUnreachable,
    Replay,
)
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import (
    Exchange,
    child_with_decision,
    found_terms,
    second_host,
)
from tests.integration.agency.trips import Trip, notice, offer, unplugged
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_two_messages_and_their_consent_go_out_and_every_receipt_comes_back(trip: Trip) -> None:
    ref, cid = offer(trip.office)
    notice(trip.office, ref)
    notice(trip.office, ref)
    done = trip.courier.courier.carry(trip.out())
    assert (done.taken, done.refused) == (3, 0)
    opened = [trip.embassy.open_grant(item.gid) for item in list(trip.embassy.inbox())]
    assert [message.seq for message in opened] == [1, 2]
    assert opened[0].fields["name_given"] == {"text": "Plantedname", "script": "Latn", "language": "ar"}
    taken = trip.office.office.take(trip.back())
    assert (taken.sent, taken.alarms, trip.office.spooled()) == (2, (), [])
    report = gather.of_record(trip.office.session, trip.office.records, ref)
    assert [one.outcome for one in report.given] == ["opened", "opened"]
    assert sorted({proof.act for proof in report.proofs}) == ["consent:register", "envelope:deposit"]
    entry = decode(trip.office.session.receipts.get(report.given[0].entry or "").entry, limit=16384)  # type: ignore[union-attr]
    assert (entry["org"], entry["pol"]) == ("courier", "carried:office")
    assert entry["own"] == ["courier", "embassy", "office"]
    assert trip.office.consents.get(cid).status == "active"


def test_what_waits_is_brought_back_and_opened_without_network(trip: Trip) -> None:
    ref = child_with_decision(trip.embassy)
    trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    taken = trip.office.office.take(trip.whole())
    (item,) = taken.waiting
    assert [one.gid for one in trip.office.inbox(waiting_only=True)] == [item.gid]
    message = trip.office.open_grant(item.gid)
    assert message.fields["name_family"] == {"text": "Isaeva", "script": "Latn"}
    assert any("HUB_UNREACHABLE" in text for text in message.alarms)
    # The receipt travels with the next stick; what was opened is not brought again.
    trip.office.office.take(trip.whole())
    assert [one.outcome for one in trip.embassy.outbox()] == ["opened"]
    assert trip.office.office.take(trip.whole()).waiting == ()


def test_a_courier_holds_nothing_that_it_could_read(trip: Trip) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    stick = trip.out()
    assert b"Plantedname" not in stick.read_bytes()
    assert b"embassy" not in stick.read_bytes().partition(b'"}')[2]
    trip.courier.courier.carry(stick)
    with pytest.raises(ExchangeError):
        trip.courier.open_grant(next(iter(trip.embassy.inbox())).gid)
    assert list(trip.courier.inbox()) == []


def test_an_office_of_the_same_agency_carries_without_anybodys_authority(
    exchange: Exchange, embassy: Client, tmp_path: Path
) -> None:
    with exchange.joined("office") as begun:
        home = begun.session.home.path
        embassy.sync()
    with second_host(exchange, home) as town, unplugged(home) as camp:
        ref, _ = offer(camp)
        notice(camp, ref)
        camp.office.export(tmp_path / "out", to=AgencyId("office"))
        assert town.courier.carry(tmp_path / "out").refused == 0
        town.courier.bring(tmp_path / "back", office="office", lasts=timedelta(days=3))
        assert camp.office.take(tmp_path / "back").sent == 1
        assert [item.kind for item in embassy.inbox()] == ["found_notice"]


def test_who_works_without_network_is_sent_to_the_courier_and_not_to_the_hub(trip: Trip) -> None:
    ref, cid = offer(trip.office)
    with pytest.raises(HubUnreachable) as granting:
        trip.office.consents.grant(ref, to="embassy", terms=found_terms())
    with pytest.raises(HubUnreachable) as sending:
        trip.office.send("found_notice", to=["embassy"], record=ref)
    with pytest.raises(HubUnreachable) as withdrawing:
        trip.office.withdraw(cid)
    for caught in (granting, sending, withdrawing):
        assert "`exchange-agency bundle export` takes it" in str(caught.value.hint)


# -- withdrawals in transit ----------------------------------------------------------------------------


def test_an_envelope_whose_consent_was_withdrawn_while_it_waited_is_not_exported(trip: Trip) -> None:
    ref, cid = offer(trip.office)
    notice(trip.office, ref)
    with pytest.raises(HubUnreachable):
        trip.office.withdraw(cid)
    made = trip.office.office.export(trip.path(), to=AgencyId("courier"))
    assert len(made.dropped) == 1
    assert trip.office.spooled() == []


def test_a_withdrawal_overtakes_the_stick_that_carries_the_envelope(trip: Trip) -> None:
    ref, cid = offer(trip.office)
    notice(trip.office, ref)
    first = trip.out()
    with pytest.raises(HubUnreachable):
        trip.office.withdraw(cid)
    second = trip.out()
    trip.courier.courier.carry(second)
    # The first stick turns up later: what it carries is older than the withdrawal.
    with pytest.raises(Replay) as late:
        trip.courier.courier.carry(first)
    assert late.value.rule == "B7-replay"
    assert list(trip.embassy.inbox()) == []


def test_a_withdrawal_that_follows_the_envelope_stops_it_at_the_hub(trip: Trip) -> None:
    ref, cid = offer(trip.office)
    notice(trip.office, ref)
    trip.courier.courier.carry(trip.out())
    with pytest.raises(HubUnreachable):
        trip.office.withdraw(cid)
    trip.courier.courier.carry(trip.out())
    (item,) = trip.embassy.inbox()
    assert item.state == "dead"
    with pytest.raises(ConsentWithdrawn):
        trip.embassy.open_grant(item.gid)
    trip.office.office.take(trip.back())
    assert list(trip.office.deletions.asked()) == []


def test_what_was_withdrawn_while_the_stick_was_on_its_way_is_not_opened(trip: Trip) -> None:
    ref = child_with_decision(trip.embassy)
    consent = trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    first = trip.whole()
    trip.embassy.withdraw(consent.cid)
    taken = trip.office.office.take(first)
    (item,) = taken.waiting
    # The office cannot know yet; the next stick tells it, before anything on it is opened.
    second = trip.whole()
    alarms = trip.office.office.take(second).alarms
    with pytest.raises(ConsentWithdrawn):
        trip.office.open_grant(item.gid)
    assert trip.office.messages is not None
    assert alarms == ()


def test_a_withdrawal_on_the_same_stick_counts_before_the_grant_that_it_ends(trip: Trip) -> None:
    ref = child_with_decision(trip.embassy)
    consent = trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    trip.courier.courier.carry(trip.out())
    fetched = Courier._grant

    def withdrawn_meanwhile(self: Courier, *args: object) -> object:
        yield from fetched(self, *args)  # type: ignore[arg-type]
        trip.embassy.withdraw(consent.cid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Courier, "_grant", withdrawn_meanwhile)
        stick = trip.back()
    (item,) = trip.office.office.take(stick).waiting
    with pytest.raises(ConsentWithdrawn):
        trip.office.open_grant(item.gid)


# -- crashes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["/v1/consents", "/v1/envelopes"])
def test_a_courier_that_loses_an_answer_goes_on_and_nothing_arrives_twice(
    trip: Trip, exchange: Exchange, lost: str
) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    stick = trip.out()
    exchange.lose[lost] = 3
    with pytest.raises(HubUnreachable):
        trip.courier.courier.carry(stick)
    done = trip.courier.courier.carry(stick)
    assert (done.again, done.refused) == (False, 0)
    assert trip.office.office.take(trip.back()).sent == 1
    assert len(list(trip.embassy.inbox())) == 1


def test_an_office_killed_in_the_middle_of_an_import_goes_on_with_the_same_stick(
    trip: Trip, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    back = trip.whole()

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    for name in ("exchange.agency.sending.move_head", "exchange.agency.bundles.office.Counting.taken"):
        with monkeypatch.context() as patch:
            patch.setattr(name, die)
            with pytest.raises(Killed):
                trip.office.office.take(back)
    taken = trip.office.office.take(back)
    assert not taken.again
    assert trip.office.spooled() == []
    assert len(trip.office.session.store.found("sent", "record", ref)) == 1


def test_an_export_that_is_cut_short_leaves_no_file_and_no_used_number(
    trip: Trip, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = trip.path()
    with monkeypatch.context() as patch:
        patch.setattr("exchange.agency.bundles.office.write_frame", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trip.office.office.export(stick, to=AgencyId("courier"))
    assert not stick.exists()
    assert list(trip.folder.iterdir()) == []
    assert Counting(trip.office.session.store).next_seq(OUT, AgencyId("courier")) == 1
    assert list(trip.office.session.home.spool.glob("*.frame")) == []


def test_an_old_copy_of_the_directory_will_do_for_two_weeks_and_no_longer(trip: Trip) -> None:
    ref = child_with_decision(trip.office)
    now = trip.office.session.now
    hub = trip.office.session.hub
    for days, works in ((13, True), (15, False)):
        trip.office.session.now = hub.tokens.now = lambda days=days: now() + timedelta(days=days)  # type: ignore[misc]
        with pytest.raises(ExchangeError) as said:
            trip.office.consents.grant(ref, to="embassy", terms=found_terms())
        assert said.value.code == ("HUB_UNREACHABLE" if works else "LOG_STALE")


def test_the_commands_of_both_sides(
    trip: Trip, command_of: Callable[[Client], CommandLine], monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    office, courier = command_of(trip.office), command_of(trip.courier)
    out, back = trip.folder / "out", trip.folder / "back"
    monkeypatch.setenv("HOMEWARD_OFFLINE", "1")
    assert "2 requests" in office("bundle", "export", "--to", "courier", out).out
    assert "from office to courier" in office("bundle", "show", out).out
    assert office("bundle", "export", out, ok=False).code == 64
    monkeypatch.delenv("HOMEWARD_OFFLINE")
    assert "took 2, refused 0" in courier("bundle", "import", out).out
    courier("bundle", "export", "--for", "office", back)
    monkeypatch.setenv("HOMEWARD_OFFLINE", "1")
    assert "envelopes that arrived: 1;" in office("bundle", "import", back).out
    assert "imported before" in office("bundle", "import", back).out
    assert office("bundle", "import", out, ok=False).err.startswith("error:")
    assert threading.active_count() < 20


@pytest.mark.parametrize("wide", [False, True])
def test_a_consent_that_was_narrowed_while_a_message_was_on_the_stick_is_caught(
    trip: Trip, wide: bool
) -> None:
    ref = child_with_decision(trip.embassy)
    first = trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    (item,) = trip.office.office.take(trip.whole()).waiting
    fields = {} if wide else {"fields": ("name_given", "sex")}
    trip.embassy.consents.grant(ref, to="office", terms=found_terms(**fields, supersedes=first.cid))
    trip.office.office.take(trip.whole())
    if wide:
        assert trip.office.open_grant(item.gid).fields["name_family"]
        return
    with pytest.raises(ConsentSuperseded):
        trip.office.open_grant(item.gid)
    assert list(trip.office.messages()) == []


def carried_grants(trip: Trip) -> list[str]:
    answers = trip.office.session.carried
    assert answers is not None
    files = [path.name for path in trip.office.session.home.spool.glob("*.carried")]
    return [*answers.paths(GRANTS), *files]


def test_what_was_brought_and_never_opened_is_deleted_with_what_was_opened(trip: Trip) -> None:
    ref = child_with_decision(trip.embassy)
    consent = trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    (item,) = trip.office.office.take(trip.whole()).waiting
    assert carried_grants(trip)
    assert [one.delivered for one in trip.embassy.withdraw(consent.cid)] == [1]
    waiting = trip.office.office.take(trip.whole()).waiting
    (request,) = (one for one in waiting if one.kind == "deletion_request")
    trip.office.open_grant(request.gid)
    with pytest.raises(HubUnreachable):
        trip.office.deletions.answer(request.gid)
    (owed,) = trip.office.deletions.owed()
    assert owed.outcome == {"outcome": "deleted"}
    assert carried_grants(trip) == []
    with pytest.raises(ConsentWithdrawn):
        trip.office.open_grant(item.gid)


def test_what_was_brought_is_forgotten_once_it_may_not_be_opened_any_more(trip: Trip) -> None:
    ref = child_with_decision(trip.embassy)
    consent = trip.embassy.consents.grant(ref, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=ref)
    (item,) = trip.office.office.take(trip.whole()).waiting
    trip.embassy.consents.withdraw(consent.cid)
    trip.office.office.take(trip.whole())
    with pytest.raises(ConsentWithdrawn):
        trip.office.open_grant(item.gid)
    assert carried_grants(trip) == []
