"""Uploading parts: digest, owner, share, time, and what a deposit may then do with them."""

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.hub.blobs import CHUNK
from exchange.hub.models.parts import part
from exchange.hub.services import deposit, grants, parts
from exchange.hub.services.ranges import WHOLE
from exchange.hub.services.release import Released
from exchange_keys.envelope import SealedEnvelope
from exchange_keys.padding import padded_length
from exchange_keys.parts import sealed_length
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import (
    Malformed,
    NotFound,
    PartDigest,
    PartMissing,
    StorageFull,
    TooLarge,
    Unauthorized,
)
from exchange_schemas.ids import Digest, PartId
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, GivenConsent, MovingClock, World
from tests.integration.messages.edits import body_of, core_of, edited, grant_of

PHOTO = tuple(sorted((*FOUND, "photo")))


@pytest.fixture
def world(shared: World) -> World:
    return shared


def digest_of(data: bytes) -> Digest:
    return Digest(b64u(sha256(data)))


def upload(world: World, agency: Agency, data: bytes, digest: str | None = None) -> Released:
    named = digest_of(data) if digest is None else digest
    return parts.upload(world.hub, world.caller(agency), named, io.BytesIO(data))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def with_photo(world: World, ngo: Agency, given: GivenConsent, spool: Path, size: int) -> SealedEnvelope:
    """A sealed found_notice with a photo of `size` bytes."""
    photo = spool / "photo"
    photo.write_bytes(os.urandom(size))
    recipient = world.recipient(ngo, world.agencies["embassy"], given, fields=(*FOUND, "photo"))
    return world.seal(ngo, [recipient], world.draft(ngo, attachments={"photo": photo}), spool=spool)


def attachment(sealed: SealedEnvelope) -> tuple[Digest, bytes]:
    ((digest, path),) = sealed.attachments.items()
    return digest, path.read_bytes()


def test_a_part_is_kept_for_24_hours(world: World, ngo: Agency) -> None:
    done = upload(world, ngo, b"sealed bytes")
    assert (done.status, done.body["bytes"]) == (201, 12)
    (row,) = world.rows(part)
    assert (row.agency, row.eid, row.ct) == (ngo.id, None, None)
    assert 86_000 < row.expires - world.now.timestamp() <= 86_400
    assert world.last().act == "part:upload"


def test_the_same_part_again_is_there_already(world: World, ngo: Agency) -> None:
    upload(world, ngo, b"sealed bytes")
    assert upload(world, ngo, b"sealed bytes").status == 200
    assert world.count(part) == 1


def test_a_part_belongs_to_who_uploaded_it(world: World, ngo: Agency, commission: Agency) -> None:
    upload(world, ngo, b"sealed bytes")
    assert upload(world, commission, b"sealed bytes").status == 201
    assert world.count(part) == 2


def test_bytes_under_another_digest_are_refused_and_nothing_stays(world: World, ngo: Agency) -> None:
    with pytest.raises(PartDigest):
        upload(world, ngo, b"sealed bytes", digest_of(b"other bytes"))
    assert world.count(part) == 0
    assert not world.hub.blobs.has(digest_of(b"other bytes"))


@pytest.mark.parametrize("digest", ["", "x", "../../etc/passwd", "A" * 42 + "B"])
def test_a_name_that_is_no_digest_is_refused(world: World, ngo: Agency, digest: str) -> None:
    with pytest.raises(Malformed):
        upload(world, ngo, b"sealed bytes", digest)


def test_a_part_over_the_largest_attachment_is_refused(
    world: World, ngo: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_BYTES", 11)
    with pytest.raises(TooLarge):
        upload(world, ngo, b"sealed bytes")


def test_the_largest_part_is_the_largest_attachment_padded_and_sealed() -> None:
    assert 25 * 1024 * 1024 < parts.MAX_BYTES <= 28 * 1024 * 1024


def test_an_agency_has_a_share_of_unused_bytes(
    world: World, ngo: Agency, commission: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "UNUSED_BYTES", 20)
    upload(world, ngo, b"twelve bytes")
    with pytest.raises(StorageFull):
        upload(world, ngo, b"another nine")
    assert not world.hub.blobs.has(digest_of(b"another nine"))
    # The same part again takes no more room, and another agency has a share of its own.
    assert upload(world, ngo, b"twelve bytes").status == 200
    assert upload(world, commission, b"another nine").status == 201


def test_an_unused_part_is_given_up_after_its_time(make_world: Any) -> None:
    clock = MovingClock()
    world: World = make_world(clock=clock, travel=True)
    ngo = world.agencies["ngo"]
    upload(world, ngo, b"sealed bytes")
    clock.shift = timedelta(hours=25)
    upload(world, ngo, b"something else")
    assert [row.sha256 for row in world.rows(part)] == [digest_of(b"something else")]
    assert not world.hub.blobs.has(digest_of(b"sealed bytes"))


def test_bytes_that_another_agency_still_needs_are_not_given_up(make_world: Any) -> None:
    clock = MovingClock()
    world: World = make_world(clock=clock, travel=True)
    upload(world, world.agencies["ngo"], b"sealed bytes")
    clock.shift = timedelta(hours=20)
    upload(world, world.agencies["commission"], b"sealed bytes")
    clock.shift = timedelta(hours=25)
    upload(world, world.agencies["ngo"], b"something else")
    assert world.hub.blobs.has(digest_of(b"sealed bytes"))


def test_a_replayed_proof_leaves_no_bytes_behind(world: World, ngo: Agency) -> None:
    caller = world.caller(ngo)
    parts.upload(world.hub, caller, digest_of(b"first"), io.BytesIO(b"first"))
    with pytest.raises(Unauthorized):
        parts.upload(world.hub, caller, digest_of(b"second"), io.BytesIO(b"second"))
    assert not world.hub.blobs.has(digest_of(b"second"))


# -- with an envelope ------------------------------------------------------------------------------


def test_an_uploaded_part_travels_with_its_envelope(
    world: World, ngo: Agency, embassy: Agency, spool: Path
) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 100_000)
    digest, data = attachment(sealed)
    upload(world, ngo, data)
    world.deposit(ngo, sealed)
    row = next(row for row in world.rows(part) if row.sha256 == digest)
    assert (row.f, row.expires) == ("photo", None)
    item = grant_of(sealed, embassy)
    ref = next(ref for ref in core_of(item.core).parts if ref.f == "photo")
    (shown,) = [p for p in world.fetch(embassy, item.gid).body["parts"] if p["p"] == ref.p]  # type: ignore[union-attr,index,call-overload]
    assert "ct" not in shown
    assert world.fetch_part(embassy, item.gid, ref.p) == data
    assert upload(world, ngo, data).body["expires_at"] is None


def test_a_part_that_is_not_there_is_missing(world: World, ngo: Agency, embassy: Agency, spool: Path) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    with pytest.raises(PartMissing):
        world.deposit(ngo, with_photo(world, ngo, given, spool, 5000))


def test_another_agencys_upload_is_missing(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, spool: Path
) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 5000)
    upload(world, commission, attachment(sealed)[1])
    with pytest.raises(PartMissing):
        world.deposit(ngo, sealed)


def test_an_upload_past_its_time_is_missing(make_world: Any, spool: Path) -> None:
    clock = MovingClock()
    world: World = make_world(clock=clock, travel=True)
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 5000)
    upload(world, ngo, attachment(sealed)[1])
    clock.shift = timedelta(hours=24)
    with pytest.raises(PartMissing):
        world.deposit(ngo, sealed)


def test_a_part_whose_bytes_are_gone_is_missing(
    world: World, ngo: Agency, embassy: Agency, spool: Path
) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 5000)
    digest, data = attachment(sealed)
    upload(world, ngo, data)
    world.hub.blobs.delete(digest)
    with pytest.raises(PartMissing):
        world.deposit(ngo, sealed)


def test_an_upload_of_another_length_than_the_grant_says_does_not_fit(
    world: World, ngo: Agency, embassy: Agency, spool: Path
) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 5000)
    upload(world, ngo, attachment(sealed)[1])
    longer = sealed_length(padded_length(9000, None))

    def lie(core: dict[str, Any]) -> None:
        next(ref for ref in core["parts"] if ref["f"] == "photo")["len"] = longer

    with pytest.raises(PartDigest):
        deposit.deposit(world.hub, world.caller(ngo), edited(sealed, ngo, lie))


def test_an_upload_may_come_inline_as_well(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, world.consent(ngo, embassy))])
    digest, data = next(iter(sealed.parts.items()))
    upload(world, ngo, data)
    body = body_of(sealed)
    body["parts"] = [item for item in body["parts"] if item["sha256"] != digest]
    assert deposit.deposit(world.hub, world.caller(ngo), body).status == 201


def test_a_part_is_fetched_by_its_own_id(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    with pytest.raises(NotFound):
        world.fetch_part(embassy, grant_of(sealed, embassy).gid, PartId("A" * 22))


def test_a_large_part_is_sent_in_pieces_and_closed_when_nobody_reads_on(
    world: World, ngo: Agency, embassy: Agency, spool: Path
) -> None:
    given = world.consent(ngo, embassy, fields=PHOTO)
    sealed = with_photo(world, ngo, given, spool, 1_000_000)
    data = attachment(sealed)[1]
    upload(world, ngo, data)
    world.deposit(ngo, sealed)
    item = grant_of(sealed, embassy)
    ref = next(ref for ref in core_of(item.core).parts if ref.f == "photo")
    released, pieces = grants.fetch_part(world.hub, world.caller(embassy), item.gid, ref.p, WHOLE)
    assert released.receipt is not None
    assert pieces.length == len(data)
    first = next(pieces)
    assert (first, len(first)) == (data[:CHUNK], CHUNK)
    pieces.close()
    with pytest.raises(ValueError, match="closed file"):
        next(pieces)
