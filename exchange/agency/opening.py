"""Opening a verified grant: steps (6) to (10) of verification.py.

Every digest is proved before a byte is decrypted. A photo's ciphertext streams through the spool folder, its
plaintext only through memory into the encrypted store.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from exchange.agency.fetched import Fetched
from exchange.member.files import disk_errors
from exchange.member.session import Session
from exchange_keys.attachments import open_stream
from exchange_keys.envelope import UnlockedGrant, unlock_grant
from exchange_keys.grants import part_context
from exchange_schemas import message, record
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import Malformed, PartDigest, PartMissing
from exchange_schemas.ids import PartId
from exchange_schemas.message import validate_content

OnBytes = Callable[[str, int, int], None]
_JPEG = b"\xff\xd8\xff"
# What stands for the photo while the content of the kind is checked: the descriptor stays with the sender.
_PHOTO_THERE: Mapping[str, JsonValue] = {
    "media_type": "image/jpeg",
    "width": 1,
    "height": 1,
    "bytes": 1,
    "sha256": "A" * 43,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The content: record fields, message fields, and the photo's JPEG bytes."""

    fields: Mapping[str, JsonValue]
    content: Mapping[str, JsonValue]
    photo: bytes | None


def open_parts(session: Session, fetched: Fetched, core: GrantCore, on_bytes: OnBytes) -> Opened:
    """Steps (6) to (10).

    Raises: PartMissing, PartDigest, Malformed, DecryptFailed, FieldDenied, HubUnreachable.
    """
    _check_listed(fetched, core)
    unlocked = unlock_grant(fetched.core, fetched.sealed, session.enc_key(core.rcp_kid))
    inline = {part.p: part.ct for part in fetched.parts}
    # Steps (6) to (8) for all but the photo.
    plain = unlocked.fields(lambda ref: _ciphertext(inline, ref))
    catalogue = load_catalogue()
    # Step (9): every value, by the schema of its field.
    content = {n: message.decode_field(n, data) for n, data in plain.items() if n in catalogue.message_fields}
    fields = {n: record.decode_field(n, data) for n, data in plain.items() if n in catalogue.fields}
    names = {ref.f for ref in core.parts}
    photo = _photo(session, unlocked, core, fetched, on_bytes) if "photo" in names else None
    # Step (10).
    shown = {"photo": dict(_PHOTO_THERE)} if photo is not None else {}
    validate_content(core.kind, {**fields, **content, **shown})
    return Opened(fields, content, photo)


def _check_listed(fetched: Fetched, core: GrantCore) -> None:
    """(6) The hub lists exactly the grant's parts: none left out, none added."""
    listed = {part.p: part.sha256 for part in fetched.parts}
    named = {ref.p: ref.sha256 for ref in core.parts}
    for ref in core.parts:
        if ref.p not in listed:
            raise PartMissing(f"{ref.f}: the hub left out this part", field=ref.f)
    if len(fetched.parts) != len(named) or set(listed) != set(named):
        raise PartDigest("parts: the hub added a part that the grant does not name", field="parts")
    for ref in core.parts:
        if listed[ref.p] != ref.sha256:
            raise PartDigest(f"{ref.f}: the hub names another part than the grant", field=ref.f)


def _ciphertext(inline: Mapping[PartId, bytes | None], ref: PartRef) -> bytes:
    found = inline.get(ref.p)
    if found is None:
        raise PartMissing(f"{ref.f}: the hub left out this part", field=ref.f)
    return found


def _photo(
    session: Session, unlocked: UnlockedGrant, core: GrantCore, fetched: Fetched, on_bytes: OnBytes
) -> bytes:
    ref, key = unlocked.key_of("photo")
    inline = {part.p: part.ct for part in fetched.parts}[ref.p]
    with disk_errors("photo"), tempfile.TemporaryFile(dir=session.home.spool) as sealed:
        if inline is None:
            _download(session, fetched, ref, sealed, on_bytes)
        else:
            sealed.write(inline)
        # Step (6): the whole ciphertext, before any of it is decrypted.
        sealed.seek(0)
        digest = b64u(hashlib.file_digest(sealed, "sha256").digest())
        if sealed.seek(0, os.SEEK_END) != ref.len or digest != ref.sha256:
            raise PartDigest("photo: the part is not the one that the grant names", field="photo")
        sealed.seek(0)
        plain = io.BytesIO()
        # Steps (7) and (8).
        open_stream(key, sealed, plain, part_context(core, ref))
    jpeg = plain.getvalue()
    # Step (9): only what this exchange seals, a JPEG. Nothing here decodes it.
    if not jpeg.startswith(_JPEG):
        raise Malformed("photo: not a JPEG picture", field="photo", rule="photo-format")
    return jpeg


def _download(session: Session, fetched: Fetched, ref: PartRef, target: BinaryIO, on_bytes: OnBytes) -> None:
    done = 0
    with session.hub.download(f"/v1/grants/{fetched.gid}/parts/{ref.p}") as pieces:
        for piece in pieces:
            done += len(piece)
            if done > ref.len:
                raise PartDigest("photo: the part is longer than the grant says", field="photo")
            target.write(piece)
            on_bytes("downloading", done, ref.len)
