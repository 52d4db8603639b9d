"""A sealed part that is uploaded in pieces, so that a broken line costs one piece and not the whole.

Every piece names its place and the size of the whole. The answer says how far the hub has come, whatever was
sent: a sender that has lost its place sends any piece and goes on from there. The last piece makes it a part
like any other: the digest of the whole is proved then, and only then can an envelope use it.
Nothing is kept of a piece whose request was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exchange.hub.services import parts
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.uploads import Added, Uploads
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act
from exchange_schemas.errors import (
    ExchangeError,
    Malformed,
    PartDigest,
    PartMissing,
    StorageFull,
    TooLarge,
)
from exchange_schemas.ids import Digest, check_digest
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.blobs import Readable
    from exchange.hub.services.hub import Hub

PIECE_BYTES: Final = LIMITS.request_body_bytes
"""The longest piece; it is read whole before anything is written, so that no half piece is ever kept."""
BEGUN_AT_ONCE: Final = 64
"""How many uploads one agency may have begun and not finished."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece belongs: its first byte, and the size of the whole ciphertext."""

    offset: int
    size: int


def upload_piece(hub: Hub, caller: Caller, digest: str, place: Place, source: Readable) -> Released:
    """Take one piece: 202 with `received` while bytes are missing, else what `parts.upload` answers.

    Raises: Malformed, TooLarge, PartDigest (the whole has another digest: all of it is forgotten),
    StorageFull (also when the caller's share is used up).
    """
    checked = check_digest(digest, field="sha256")
    piece = _read(source, place)
    parts.give_up_expired(hub, caller)
    uploads = uploads_of(hub)
    uploads.give_up(hub.clock() - parts.UNUSED_FOR)
    if parts.is_kept(hub, caller, checked):
        return parts.register(hub, caller, checked, place.size)
    _check_room(hub, caller, checked, place)
    added = uploads.add(caller.agency, checked, place.offset, piece)
    try:
        if added.received < place.size:
            return release(hub, caller, Trace(act=Act.PART_UPLOAD), lambda unit: _begun(hub, checked, added))
        return _finish(hub, caller, checked, place)
    except ExchangeError:
        uploads.cut(caller.agency, checked, added.before)
        raise


def uploads_of(hub: Hub) -> Uploads:
    """Where uploads in pieces lie until they are whole."""
    return Uploads(hub.settings.blobs_dir / "begun")


def _read(source: Readable, place: Place) -> bytes:
    """The whole piece. Raises: Malformed (also when the sender stopped), TooLarge."""
    if place.size > parts.MAX_BYTES:
        raise TooLarge(f"the part is over {parts.MAX_BYTES} bytes", field="size")
    piece = bytearray()
    while data := source.read(PIECE_BYTES + 1 - len(piece)):
        piece += data
        if len(piece) > PIECE_BYTES:
            raise TooLarge(f"a piece is at most {PIECE_BYTES} bytes", field="body")
    if place.offset + len(piece) > place.size:
        raise Malformed("body: the piece ends beyond the size of the whole", field="body", rule="piece-place")
    return bytes(piece)


def _check_room(hub: Hub, caller: Caller, digest: Digest, place: Place) -> None:
    begun = uploads_of(hub).begun(caller.agency, besides=digest)
    if begun.count >= BEGUN_AT_ONCE:
        raise StorageFull(
            f"this agency has begun {begun.count} uploads and finished none of them",
            rule="unused-parts",
            hint="finish them, or wait until they expire",
        )
    parts.check_room(hub, caller, digest, begun.bytes + place.size)


def _begun(hub: Hub, digest: Digest, added: Added) -> Answer:
    expires = format_time(hub.clock() + parts.UNUSED_FOR)
    body: dict[str, JsonValue] = {"sha256": digest, "received": added.received, "expires_at": expires}
    return Answer(body=body, trace=Trace(act=Act.PART_UPLOAD), status=202)


def _finish(hub: Hub, caller: Caller, digest: Digest, place: Place) -> Released:
    """All bytes are here: prove them, keep them as a part, forget the upload."""
    uploads = uploads_of(hub)
    try:
        with uploads.open(caller.agency, digest) as whole:
            hub.blobs.put(digest, whole, limit=place.size)
    except FileNotFoundError:
        # Another host of this agency finished it at this very moment, or it was given up. Bytes that others
        # have under this digest are no reason to give this agency a part of that name.
        if parts.is_kept(hub, caller, digest):
            return parts.register(hub, caller, digest, place.size)
        raise PartMissing("the upload was given up meanwhile", field="sha256", hint="send it anew") from None
    except (PartDigest, TooLarge) as error:
        uploads.discard(caller.agency, digest)
        raise PartDigest(
            "the pieces do not make up the part that they were sent as", field="sha256", hint="send it anew"
        ) from error
    done = parts.register(hub, caller, digest, place.size)
    uploads.discard(caller.agency, digest)
    return done
