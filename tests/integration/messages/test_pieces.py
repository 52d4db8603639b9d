"""A part in pieces: any piece may come again, the digest of the whole decides, nothing strange is kept."""

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.hub.models.parts import part
from exchange.hub.services import parts, pieces
from exchange.hub.services.pieces import Place
from exchange.hub.services.release import Caller, Released
from exchange_schemas.errors import (
    Malformed,
    PartDigest,
    PartMissing,
    StorageFull,
    TooLarge,
    Unauthorized,
)
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, MovingClock, World
from tests.integration.messages.test_parts import attachment, digest_of, with_photo


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def whole() -> bytes:
    """Bytes that no other test has uploaded to the shared hub."""
    return os.urandom(1000)


def send(
    world: World,
    agency: Agency,
    whole: bytes,
    offset: int,
    end: int,
    *,
    digest: str | None = None,
    size: int | None = None,
    caller: Caller | None = None,
) -> Released:
    """The piece of `whole` from `offset` to `end`, under the digest of the whole."""
    return pieces.upload_piece(
        world.hub,
        world.caller(agency) if caller is None else caller,
        digest_of(whole) if digest is None else digest,
        Place(offset, len(whole) if size is None else size),
        io.BytesIO(whole[offset:end]),
    )


def begun(world: World, agency: Agency) -> list[Path]:
    return list((world.hub.settings.blobs_dir / "begun" / agency.id).glob("*"))


def test_pieces_in_order_become_a_part(world: World, ngo: Agency, whole: bytes) -> None:
    first = send(world, ngo, whole, 0, 400)
    assert (first.status, first.body["received"]) == (202, 400)
    assert world.last().act == "part:upload"
    assert (world.count(part), world.hub.blobs.has(digest_of(whole))) == (0, False)
    assert send(world, ngo, whole, 400, 900).body["received"] == 900
    last = send(world, ngo, whole, 900, 1000)
    assert (last.status, last.body["bytes"]) == (201, 1000)
    with world.hub.blobs.open(digest_of(whole)) as blob:
        assert blob.read() == whole
    assert begun(world, ngo) == []


def test_any_piece_again_only_tells_how_far_the_hub_has_come(world: World, ngo: Agency, whole: bytes) -> None:
    send(world, ngo, whole, 0, 400)
    for offset, end in ((0, 400), (0, 10), (300, 1000), (600, 1000)):
        again = send(world, ngo, whole, offset, end)
        assert (again.status, again.body["received"]) == (202, 400)
    assert send(world, ngo, whole, 400, 1000).status == 201
    # The part is whole: nothing is read any more, and nothing begins again.
    assert send(world, ngo, whole, 0, 400).status == 200
    assert begun(world, ngo) == []


def test_one_agency_neither_sees_nor_completes_what_another_has_begun(
    world: World, ngo: Agency, commission: Agency, whole: bytes
) -> None:
    send(world, ngo, whole, 0, 900)
    assert send(world, commission, whole, 900, 1000).body["received"] == 0
    send(world, ngo, whole, 900, 1000)
    # The bytes are at the hub; the other agency has no part all the same.
    assert send(world, commission, whole, 900, 1000).body["received"] == 0
    assert [row.agency for row in world.rows(part)] == [ngo.id]


def test_pieces_that_do_not_make_up_their_digest_are_forgotten(
    world: World, ngo: Agency, whole: bytes
) -> None:
    send(world, ngo, whole, 0, 400)
    with pytest.raises(PartDigest):
        send(world, ngo, whole[:400] + bytes(600), 400, 1000, digest=digest_of(whole))
    assert begun(world, ngo) == []
    assert world.count(part) == 0
    assert not world.hub.blobs.has(digest_of(whole))
    assert send(world, ngo, whole, 0, 1000).status == 201


def test_a_shorter_size_than_what_has_come_is_no_way_out(world: World, ngo: Agency, whole: bytes) -> None:
    send(world, ngo, whole, 0, 400)
    with pytest.raises(PartDigest):
        send(world, ngo, whole, 400, 400, size=400)
    assert begun(world, ngo) == []


@pytest.mark.parametrize(("offset", "end", "size"), [(0, 1000, 999), (999, 1000, 999), (1000, 1001, 1000)])
def test_a_piece_beyond_the_size_of_the_whole_is_refused(
    world: World, ngo: Agency, offset: int, end: int, size: int
) -> None:
    with pytest.raises(Malformed) as caught:
        send(world, ngo, bytes(2000), offset, end, size=size)
    assert caught.value.rule == "piece-place"
    assert begun(world, ngo) == []


def test_sizes_over_the_limits_are_refused(
    world: World, ngo: Agency, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    with pytest.raises(TooLarge):
        send(world, ngo, whole, 0, 10, size=parts.MAX_BYTES + 1)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 100)
    with pytest.raises(TooLarge):
        send(world, ngo, whole, 0, 101)
    assert begun(world, ngo) == []


def test_a_refused_request_leaves_nothing_of_its_piece(world: World, ngo: Agency, whole: bytes) -> None:
    caller = world.caller(ngo)
    send(world, ngo, whole, 0, 300, caller=caller)
    with pytest.raises(Unauthorized):
        send(world, ngo, whole, 300, 700, caller=caller)
    assert send(world, ngo, whole, 900, 1000).body["received"] == 300
    with pytest.raises(Unauthorized):
        send(world, ngo, whole, 300, 1000, caller=caller)
    assert world.count(part) == 0
    assert not world.hub.blobs.has(digest_of(whole))


def test_what_has_begun_takes_of_the_agencys_share(
    world: World, ngo: Agency, commission: Agency, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    monkeypatch.setattr(parts, "UNUSED_BYTES", 1500)
    send(world, ngo, whole, 0, 900)
    other = os.urandom(1000)
    with pytest.raises(StorageFull):
        send(world, ngo, other, 0, 100)
    assert send(world, ngo, whole, 900, 1000).status == 201
    with pytest.raises(StorageFull):
        send(world, ngo, other, 0, 100)
    assert send(world, commission, other, 0, 100).status == 202


def test_an_agency_begins_so_many_uploads_and_no_more(
    world: World, ngo: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BEGUN_AT_ONCE", 2)
    wholes = [os.urandom(20) for _ in range(3)]
    for one in wholes[:2]:
        send(world, ngo, one, 0, 10)
    with pytest.raises(StorageFull):
        send(world, ngo, wholes[2], 0, 10)
    assert send(world, ngo, wholes[0], 10, 20).status == 201
    assert send(world, ngo, wholes[2], 0, 10).status == 202


def test_what_does_not_grow_for_a_day_is_given_up(make_world: Any, whole: bytes) -> None:
    clock = MovingClock()
    world: World = make_world(clock=clock, travel=True)
    ngo = world.agencies["ngo"]
    send(world, ngo, whole, 0, 400)
    clock.shift = timedelta(hours=25)
    assert send(world, ngo, whole, 400, 1000).body["received"] == 0


def test_an_upload_that_has_only_begun_is_missing_to_a_deposit(
    world: World, ngo: Agency, embassy: Agency, tmp_path: Path
) -> None:
    given = world.consent(ngo, embassy, fields=tuple(sorted((*FOUND, "photo"))))
    sealed = with_photo(world, ngo, given, tmp_path, 90_000)
    _, data = attachment(sealed)
    send(world, ngo, data, 0, len(data) - 1)
    with pytest.raises(PartMissing):
        world.deposit(ngo, sealed)
    send(world, ngo, data, len(data) - 1, len(data))
    assert world.deposit(ngo, sealed).status == 201


def test_a_full_disk_keeps_no_half_piece(
    world: World, ngo: Agency, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    send(world, ngo, whole, 0, 400)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("exchange.hub.uploads.os.fsync", full)
        with pytest.raises(StorageFull):
            send(world, ngo, whole, 400, 1000)
    assert send(world, ngo, whole, 0, 1).body["received"] == 400
