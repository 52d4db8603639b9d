"""Courier bundles that are refused: broken, altered, foreign, expired, replayed, or without authority."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency.bundles.courier import HEADER
from exchange.agency.bundles.file import Making, write_bundle
from exchange_keys.jws import Signed
from exchange_schemas.bundle import BACK
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    BundleBroken,
    BundleExpired,
    BundleForeign,
    ConfigInvalid,
    Conflict,
    ExchangeError,
    Forbidden,
    KidUnknown,
    Malformed,
    OriginMismatch,
    Replay,
    SigInvalid,
)
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
    write_bundle(trip.embassy.session, stranger, making, lambda file: None)
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
    hub.also = {HEADER: cover}
    with pytest.raises(Forbidden) as other:
        hub.get("/v1/inbox", {"limit": 1})
    assert other.value.rule == "courier-other"
    hub = trip.courier.session.hub
    hub.also = {HEADER: cover}
    assert hub.get("/v1/inbox", {"limit": 1})["items"] == []
    with pytest.raises(Forbidden) as never:
        hub.get("/v1/outbox/heads", {"rcp": "embassy"})
    assert never.value.rule == "courier-operation"
    hub.also = {}
    trip.courier.courier.carry(trip.out())
    hub.also = {HEADER: cover_of(trip.back())}
    with pytest.raises(Forbidden) as back:
        hub.get("/v1/inbox", {"limit": 1})
    assert back.value.rule == "courier-cover"
    for bad in ("A", "AAAA", cover[:-8] + "AAAAAAAA"):
        hub.also = {HEADER: bad}
        with pytest.raises((Malformed, SigInvalid, ExchangeError)):
            hub.get("/v1/inbox", {"limit": 1})
    hub.also = {}


def test_without_the_offices_cover_its_signed_bytes_are_worth_nothing(trip: Trip) -> None:
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    (job,) = trip.office._spool.each()
    with pytest.raises(ExchangeError) as refused:
        trip.courier.session.hub.post_bytes("/v1/envelopes", trip.office._spool.deposit(job))
    assert refused.value.code == "SENDER_MISMATCH"
