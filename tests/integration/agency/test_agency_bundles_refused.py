"""Courier bundles that are refused: broken, altered, foreign, expired, replayed, or without authority."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from exchange.agency.bundles.file import Making, write_bundle
from exchange.directory.events import sign_event
from exchange.hub.models.log import log_entry
from exchange.hub.services import operators
from exchange_keys.jws import Signed
from exchange_schemas.bundle import BACK, COURIER_HEADER
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import (
    BundleBroken,
    BundleExpired,
    BundleForeign,
    ConfigInvalid,
    Conflict,
    ExchangeError,
    Forbidden,
    HubUnreachable,
    KidUnknown,
    Malformed,
    OriginMismatch,
    Replay,
    SigInvalid,
)
from exchange_schemas.event import SuspendEvent
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import (
    Exchange,
)
from tests.integration.agency.trips import Trip, notice, offer

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def copied(stick: Path, change: Callable[[bytearray], object]) -> Path:
    """The stick's copy with a change."""
    data = bytearray(stick.read_bytes())
    change(data)
    other = stick.with_suffix(".copy")
    other.write_bytes(data)
    return other


def test_a_copy_that_broke_off_or_was_altered_is_refused_and_nothing_is_done(trip: Trip) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    stick = trip.out()
    size = stick.stat().st_size
    for kept in (0, 5, 18, 20, 200, size // 2, size - 1):
        with pytest.raises(BundleBroken):
            trip.courier.courier.carry(
                copied(stick, lambda data, kept=kept: data.__delitem__(slice(kept, None)))
            )
    with pytest.raises(BundleBroken) as altered:
        trip.courier.courier.carry(copied(stick, lambda data: data.__setitem__(-9, data[-9] ^ 1)))
    assert altered.value.rule == "B6-digest"
    with pytest.raises(BundleBroken):
        trip.courier.courier.carry(copied(stick, lambda data: data.extend(b"more")))
    for place in (30, 120, 400):
        with pytest.raises((BundleBroken, Malformed, SigInvalid, BundleForeign, KidUnknown, OriginMismatch)):
            trip.courier.courier.carry(
                copied(stick, lambda data, place=place: data.__setitem__(place, data[place] ^ 1))
            )
    assert list(trip.embassy.inbox()) == []
    assert trip.courier.courier.carry(stick).refused == 0


def test_a_bundle_for_somebody_else_or_of_the_other_way_is_refused(trip: Trip) -> None:
    stick = trip.out()
    with pytest.raises(BundleForeign) as other:
        trip.embassy.courier.carry(stick)
    assert other.value.rule == "B3-to"
    trip.courier.courier.carry(stick)
    back = trip.back()
    with pytest.raises(BundleForeign):
        trip.courier.courier.carry(back)
    with pytest.raises(BundleForeign):
        trip.office.office.take(stick)
    with pytest.raises(ConfigInvalid):
        trip.courier.office.export(trip.path(), to=AgencyId("office"))
    stranger = trip.path()
    making = Making(BACK, AgencyId("office"), 1, timedelta(days=1), "A" * 22)
    write_bundle(trip.embassy.session, stranger, making, lambda file: None, note=lambda cover: None)
    with pytest.raises(BundleForeign) as unasked:
        trip.office.office.take(stranger)
    assert unasked.value.rule == "B3-answers"


def test_a_bundle_is_taken_once_and_an_older_one_never_after_a_newer_one(trip: Trip) -> None:
    first = trip.out()
    assert not trip.courier.courier.carry(first).again
    assert trip.courier.courier.carry(first).again
    early, late = trip.back(), trip.back()
    assert not trip.office.office.take(late).again
    assert trip.office.office.take(late).again
    with pytest.raises(Replay):
        trip.office.office.take(early)
    with pytest.raises(Conflict):
        trip.office.office.export(first, to=AgencyId("courier"))


def test_an_expired_bundle_is_refused_by_courier_office_and_hub(trip: Trip, exchange: Exchange) -> None:
    stick = trip.path()
    trip.office.office.export(stick, to=AgencyId("courier"), lasts=timedelta(days=1))
    trip.courier.courier.carry(stick)
    back = trip.path()
    trip.courier.courier.bring(back, office="office", lasts=timedelta(days=1))
    now = trip.courier.session.now
    trip.office.session.now = trip.courier.session.now = lambda: now() + timedelta(days=2)
    with pytest.raises(BundleExpired):
        trip.courier.courier.carry(stick)
    with pytest.raises(BundleExpired):
        trip.courier.courier.bring(trip.path(), office="office", lasts=timedelta(days=1))
    with pytest.raises(BundleExpired):
        trip.office.office.take(back)


def cover_of(stick: Path) -> str:
    """The courier's header."""
    data = stick.read_bytes()
    begin = data.index(b"\n") + 5
    length = int.from_bytes(data[begin - 4 : begin], "big")
    return b64u(Signed.from_bytes(data[begin : begin + length], LIMITS.receipt_bytes).to_bytes())


def test_the_hub_lets_only_the_named_courier_carry_and_only_what_couriers_do(trip: Trip) -> None:
    cover = cover_of(trip.out())
    hub = trip.embassy.session.hub
    hub.also = {COURIER_HEADER: cover}
    with pytest.raises(Forbidden) as other:
        hub.get("/v1/inbox", {"limit": 1})
    assert other.value.rule == "courier-other"
    hub = trip.courier.session.hub
    hub.also = {COURIER_HEADER: cover}
    assert hub.get("/v1/inbox", {"limit": 1})["items"] == []
    with pytest.raises(Forbidden) as never:
        hub.get("/v1/outbox/heads", {"rcp": "embassy"})
    assert never.value.rule == "courier-operation"
    hub.also = {}
    trip.courier.courier.carry(trip.out())
    hub.also = {COURIER_HEADER: cover_of(trip.back())}
    with pytest.raises(Forbidden) as back:
        hub.get("/v1/inbox", {"limit": 1})
    assert back.value.rule == "courier-cover"
    for bad in ("A", "AAAA", cover[:-8] + "AAAAAAAA"):
        hub.also = {COURIER_HEADER: bad}
        with pytest.raises((Malformed, SigInvalid, ExchangeError)):
            hub.get("/v1/inbox", {"limit": 1})
    hub.also = {}


def suspended(exchange: Exchange, agency: str) -> None:
    """What `exchange-hub agency suspend` does."""
    event = SuspendEvent(
        origin=exchange.hub.settings.origin,
        iat=exchange.hub.clock().replace(microsecond=0) + timedelta(seconds=2),
        agency=AgencyId(agency),
        reason="security",
    )
    operators.decide(exchange.hub, sign_event(event, [exchange.operator]))


def test_what_the_hub_refuses_the_office_goes_back_to_it_and_holds_nothing_else_up(
    trip: Trip, exchange: Exchange
) -> None:
    with exchange.joined("clinic") as clinic:
        trip.office.office.take(trip.whole())
        for to in ("embassy", "clinic"):
            ref, _ = offer(trip.office, to)
            with pytest.raises(HubUnreachable):
                trip.office.send("found_notice", to=[to], record=ref)
        stick = trip.out()
        suspended(exchange, "embassy")
        done = trip.courier.courier.carry(stick)
        # The clinic's consent is taken; its envelope stands behind the refused one in the office's own chain.
        assert (done.taken, done.refused) == (1, 3)
        taken = trip.office.office.take(trip.back())
        assert [text.partition(":")[0] for text in taken.alarms] == ["a consent", "the found_notice"]
        assert all("RECIPIENT_DENIED" in text for text in taken.alarms)
        # The office learns of the suspension from the same stick, and has sealed the other one anew.
        assert trip.office.session.directory.state().agencies[AgencyId("embassy")].status == "suspended"
        (job,) = trip.office.spooled()
        assert job.recipients == ("clinic",)
        assert trip.office.office.take(trip.whole()).sent == 1
        assert [item.kind for item in clinic.inbox()] == ["found_notice"]


def test_the_entry_of_what_was_refused_names_the_office_and_the_rule(trip: Trip, exchange: Exchange) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    stick = trip.out()
    suspended(exchange, "embassy")
    trip.courier.courier.carry(stick)
    with exchange.hub.engine.connect() as conn:
        found = [Entry.from_bytes(bytes(one)) for one in conn.execute(select(log_entry.c.entry)).scalars()]
    denied = [one for one in found if one.out == "deny"]
    assert [one.act for one in denied] == [Act.CONSENT_REGISTER, Act.ENVELOPE_DEPOSIT]
    assert {(one.org, one.pol) for one in denied} == {("courier", "carried:office/agency-active")}
    assert all(one.own == ("courier", "embassy", "office") for one in denied)


def test_without_the_offices_cover_its_signed_bytes_are_worth_nothing(trip: Trip) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    (job,) = trip.office._spool.each()
    with pytest.raises(ExchangeError) as refused:
        trip.courier.session.hub.post_bytes("/v1/envelopes", trip.office._spool.deposit(job))
    assert refused.value.code == "SENDER_MISMATCH"
