"""Sealing the content of a courier bundle: one fresh key, HPKE to the receiver, Cobblestone-256 as a stream.

The key is bound to the bundle's id, maker and receiver, and the stream to the same, so that content cannot be
put under another cover. The cover's signature over the digest of the sealed bytes says who made it.
Sources: C2SP chunked-encryption v1; RFC 9180 section 6.1; ADR 36.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from exchange_keys.parts import new_part_key
from exchange_keys.sealing import KEY_BYTES, OVERHEAD_BYTES, EncKey, seal_secret
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.errors import DecryptFailed
from exchange_schemas.ids import AgencyId, Digest

SEALED_KEY_BYTES = OVERHEAD_BYTES + KEY_BYTES
_BLOCK = 64 * 1024
_LABEL = b"hx1/bundle"


@dataclass(frozen=True, slots=True)
class BundleContext:
    """What a bundle's content is bound to."""

    origin: str
    id: str
    iss: AgencyId
    to: AgencyId

    def digest(self) -> bytes:
        """H of the LP-framed label and values, 32 bytes."""
        names = (self.origin, self.id, self.iss, self.to)
        return sha256(lp(_LABEL, *[name.encode("ascii") for name in names]))


def seal_content(public_raw: bytes, src: BinaryIO, dst: BinaryIO, ctx: BundleContext) -> tuple[int, Digest]:
    """Seal all of `src` into `dst` (sealed key ‖ ciphertext); its length in bytes and SHA-256.

    Raises: Malformed, KeyWrongUse (the key cannot be sealed to).
    """
    key, digest, length = new_part_key(), hashlib.sha256(), 0

    def put(data: bytes) -> None:
        nonlocal length
        dst.write(data)
        digest.update(data)
        length += len(data)

    put(seal_secret(public_raw, key, ctx.digest()))
    sealing = Cobblestone256Encryptor(key, ctx.digest())
    while block := src.read(_BLOCK):
        put(sealing.update(block))
    put(sealing.finalize())
    return length, Digest(b64u(digest.digest()))


def open_content(key: EncKey, src: BinaryIO, dst: BinaryIO, ctx: BundleContext) -> None:
    """Open the rest of `src` into `dst`; until this returns, `dst` must be shown to nobody.

    Raises: DecryptFailed.
    """
    sealed = src.read(SEALED_KEY_BYTES)
    if len(sealed) != SEALED_KEY_BYTES:
        raise DecryptFailed("the bundle's content does not open")
    opening = Cobblestone256Decryptor(key.open(sealed, info=ctx.digest()), ctx.digest())
    try:
        while block := src.read(_BLOCK):
            dst.write(opening.update(block))
        dst.write(opening.finalize())
    except InvalidTag:
        raise DecryptFailed("the bundle's content does not open") from None
