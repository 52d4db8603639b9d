"""Opening a verified grant: steps (6) to (10) of verification.py.

Every digest is proved before a byte is decrypted. A photo's ciphertext streams through the spool folder. It
is opened twice: once to prove all of it, and when everything else has passed too, piece by piece into the
encrypted store. Its plaintext is never whole in memory, and never on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from exchange.agency.downloading import OnBytes, begun, fetch, take
from exchange.agency.fetched import Fetched
from exchange.member.files import disk_errors
from exchange.member.session import Session
from exchange_keys.attachments import Sink, open_stream
from exchange_keys.envelope import UnlockedGrant, unlock_grant
from exchange_keys.grants import part_context
from exchange_keys.parts import PartContext
from exchange_schemas import message, record
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import Malformed, PartDigest, PartMissing
from exchange_schemas.ids import PartId
from exchange_schemas.message import validate_content

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
class ProvedPhoto:
    """A photo of which every byte was proved: its ciphertext, and the key that opens it."""

    _sealed: BinaryIO
    _key: bytes = field(repr=False)
    _context: PartContext

    def open_into(self, sink: Sink) -> None:
        """Write the JPEG bytes, in pieces. Raises: DecryptFailed when the file was changed meanwhile."""
        self._sealed.seek(0)
        open_stream(self._key, self._sealed, sink, self._context)


@dataclass(frozen=True, slots=True)
class Opened:
    """The content: record fields, message fields, and the photo."""

    fields: Mapping[str, JsonValue]
    content: Mapping[str, JsonValue]
    photo: ProvedPhoto | None


@contextmanager
def open_parts(session: Session, fetched: Fetched, core: GrantCore, on_bytes: OnBytes) -> Iterator[Opened]:
    """Steps (6) to (10); the photo can be read within the block.

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
    opened = Opened(fields, content, None)
    if all(ref.f != "photo" for ref in core.parts):
        yield _complete(core, opened)
        return
    ref, _ = unlocked.key_of("photo")
    with begun(session.home.spool, fetched.gid, ref) as sealed:
        photo = _photo(session, unlocked, fetched, sealed=sealed, on_bytes=on_bytes)
        yield _complete(core, replace(opened, photo=photo))


def _complete(core: GrantCore, opened: Opened) -> Opened:
    """Step (10)."""
    shown = {"photo": dict(_PHOTO_THERE)} if opened.photo is not None else {}
    validate_content(core.kind, {**opened.fields, **opened.content, **shown})
    return opened


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
    session: Session, unlocked: UnlockedGrant, fetched: Fetched, *, sealed: BinaryIO, on_bytes: OnBytes
) -> ProvedPhoto:
    core, (ref, key) = unlocked.core, unlocked.key_of("photo")
    inline = {part.p: part.ct for part in fetched.parts}[ref.p]
    with disk_errors("photo"):
        # Step (6): the whole ciphertext, before any of it is decrypted.
        if inline is None:
            fetch(session.hub, f"/v1/grants/{fetched.gid}/parts/{ref.p}", ref, sealed, on_bytes)
        else:
            take(inline, ref, sealed)
    # Steps (7) and (8).
    photo, seen = ProvedPhoto(sealed, key, part_context(core, ref)), _FirstBytes()
    photo.open_into(seen)
    # Step (9): only what this exchange seals, a JPEG. Nothing here decodes it.
    if seen.first != _JPEG:
        raise Malformed("photo: not a JPEG picture", field="photo", rule="photo-format")
    return photo


class _FirstBytes:
    """Keeps the first bytes of what is written to it, and nothing else."""

    def __init__(self) -> None:
        self.first = b""

    def write(self, data: bytes, /) -> None:
        """Look at the next bytes."""
        self.first += data[: len(_JPEG) - len(self.first)]
