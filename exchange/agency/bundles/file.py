"""A bundle's file: a signed cover and sealed content. What fails a check is refused before it is opened.

Layout: magic line ‖ length of the cover (4 bytes) ‖ cover (JWS in JSON) ‖ sealed content. Checks in order:
  (1) the whole cover is there                    BUNDLE_BROKEN
  (2) it reads strictly and is of this exchange   MALFORMED, ORIGIN
  (3) it is for this agency                       BUNDLE_FOREIGN
  (4) an envelope key of its maker signed it      SIG_INVALID, KID_UNKNOWN, KEY_REVOKED, KEY_WRONG_USE, …
  (5) its time                                    BUNDLE_EXPIRED
  (6) length and digest of the content            BUNDLE_BROKEN
  (7) not used up, none after it came             REPLAY (office and courier, each by its own count)
  (8) it opens                                    DECRYPT_FAILED
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from exchange.agency.sealing import sealing_key
from exchange.agency.signatures import sole_signer
from exchange.directory.state import ENVELOPE
from exchange.member.files import disk_errors
from exchange.member.locks import hold
from exchange.member.session import Session
from exchange_keys.bundles import BundleContext, open_content, seal_content
from exchange_keys.durable import durable_file
from exchange_keys.jws import Signed, sign
from exchange_schemas.bundle import Cover
from exchange_schemas.codec import b64u
from exchange_schemas.errors import BundleBroken, BundleExpired, BundleForeign, OriginMismatch
from exchange_schemas.ids import AgencyId, new_id
from exchange_schemas.limits import LIMITS

_MAGIC = b"homeward-bundle/1\n"
_LENGTH = struct.Struct(">I")
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Making:
    """What the cover of a new bundle says besides what is found while it is made."""

    way: str
    to: AgencyId
    seq: int
    lasts: timedelta
    answers: str | None = None


def write_bundle(
    session: Session,
    path: Path,
    making: Making,
    fill: Callable[[BinaryIO], None],
    *,
    note: Callable[[Cover], None],
) -> Cover:
    """Make a bundle: `fill` writes the content, which is then sealed, signed and put in place as a whole.

    `note` remembers the bundle before the file has its name: whatever is cut short, a file that is there is
    known to its maker, and a number that was used is not used again.
    Raises: Conflict (the file is there), StorageFull, KeyNotActive, RecipientDenied, ConfigInvalid.
    """
    now = session.now().replace(microsecond=0)
    kid, raw = sealing_key(session, making.to, now)
    origin, me = session.profile.deployment.origin, session.profile.agency
    ctx = BundleContext(origin, new_id(session.random), me, making.to)
    with disk_errors("bundle"), _temporary(session) as plain, _temporary(session) as sealed:
        fill(plain)
        plain.seek(0)
        size, digest = seal_content(raw, plain, sealed, ctx)
        cover = Cover(
            origin=origin,
            id=ctx.id,
            way=making.way,
            iss=me,
            to=making.to,
            to_kid=kid,
            iat=now,
            exp=now + making.lasts,
            seq=making.seq,
            size=size,
            sha256=digest,
            answers=making.answers,
        )
        signed = sign(cover.to_bytes(), Cover.typ, [session.keys.envelope[-1]]).to_bytes()
        sealed.seek(0)
        with durable_file(path, replace=False) as file:
            file.write(_MAGIC + _LENGTH.pack(len(signed)) + signed)
            while chunk := sealed.read(_CHUNK):
                file.write(chunk)
            note(cover)
    return cover


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """One command on this machine works with bundles at a time; what a killed one left behind is deleted.

    Raises: StoreLocked.
    """
    with hold(session.home.spool / ".bundles", what="a courier bundle"):
        for path in session.home.spool.glob("*.frame"):
            path.unlink(missing_ok=True)
        if session.carried is not None:
            session.carried.clear_stray_files()
        yield


@contextmanager
def opened(
    session: Session, path: Path, accept: Callable[[Cover], None]
) -> Iterator[tuple[Signed, Cover, BinaryIO]]:
    """The cover as signed and as read, and the content, for the block. `accept` is check (7).

    Raises: what the checks of this file's head raise.
    """
    with disk_errors("bundle"), path.open("rb") as file:
        signed, cover = _cover(file)
        _check_cover(session, signed, cover)
        begin = file.tell()
        _check_content(file, cover)
        accept(cover)
        file.seek(begin)
        ctx = BundleContext(cover.origin, cover.id, cover.iss, cover.to)
        with _temporary(session) as plain:
            open_content(session.enc_key(cover.to_kid), file, plain, ctx)
            plain.seek(0)
            yield signed, cover, plain


def read_cover(path: Path) -> Cover:
    """What a bundle says about itself, not verified: to show it. Raises: BundleBroken, Malformed."""
    with disk_errors("bundle"), path.open("rb") as file:
        return _cover(file)[1]


def _cover(file: BinaryIO) -> tuple[Signed, Cover]:
    """(1) and the reading of (2)."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise BundleBroken("the file is no courier bundle, or its beginning is missing", rule="B1-cover")
    begun = file.read(_LENGTH.size)
    (length,) = _LENGTH.unpack(begun) if len(begun) == _LENGTH.size else (0,)
    data = file.read(min(length, LIMITS.signed_object_bytes))
    if length == 0 or len(data) != length:
        raise BundleBroken("the bundle's cover is not whole: copy the file again", rule="B1-cover")
    signed = Signed.from_bytes(data, Cover.LIMIT)
    return signed, Cover.from_bytes(signed.payload)


def _check_cover(session: Session, signed: Signed, cover: Cover) -> None:
    """(2) to (5)."""
    if cover.origin != session.profile.deployment.origin:
        raise OriginMismatch("the bundle was made for another deployment", field="origin")
    if cover.to != session.profile.agency:
        raise BundleForeign(f"the bundle is for {cover.to}, not for this agency", field="to", rule="B3-to")
    now = session.now()
    sole_signer(
        session.directory.state(),
        signed,
        Cover.typ,
        agency=cover.iss,
        use=ENVELOPE,
        signed_at=cover.iat,
        now=now,
    )
    if not cover.iat - LIMITS.clock_leeway <= now < cover.exp:
        raise BundleExpired(
            f"the bundle counted from {cover.iat:%Y-%m-%d %H:%M} to {cover.exp:%Y-%m-%d %H:%M} UTC",
            rule="B5-time",
            hint="ask its maker for a new one; check this machine's clock",
        )


def _check_content(file: BinaryIO, cover: Cover) -> None:
    """(6) Both at once: a copy that broke off and one that was altered."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    if size != cover.size:
        raise BundleBroken(
            f"the bundle has {size} of {cover.size} bytes: the copy broke off",
            rule="B6-length",
            hint="copy the file again",
        )
    if b64u(digest.digest()) != cover.sha256:
        raise BundleBroken("the bundle was altered or the stick is damaged", rule="B6-digest")


@contextmanager
def _temporary(session: Session) -> Iterator[BinaryIO]:
    """A file without a name in the agency's own folder: nothing of it stays, whatever happens."""
    with tempfile.TemporaryFile(dir=session.home.spool) as file:
        yield file
