"""Parts: one ciphertext for each field, message field or attachment, under a fresh key of its own.

Cobblestone-256 commits to key and context, so no ciphertext opens as two records, and the context ties a
part to its deployment, envelope, part id, field, schema and sender. A part key is used once and never
stored outside a sealed grant; plaintext is given only after its tag proved right.
Sources: C2SP chunked-encryption v1 (Cobblestone-256); protocol.md "Envelope".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from exchange_keys.padding import pad_to, unpad
from exchange_keys.secret import check_length
from exchange_schemas.codec import lp, sha256
from exchange_schemas.errors import DecryptFailed, Malformed
from exchange_schemas.ids import AgencyId, EnvelopeId, PartId

KEY_BYTES = 32
# C2SP chunked-encryption: salt 24, commitment 32, then chunks of 16 KiB with a tag of 16 bytes each; the
# last chunk is shorter than 16 KiB, so a message of whole chunks ends with an empty one.
HEADER_BYTES = 24 + 32
CHUNK_BYTES = 16 * 1024
TAG_BYTES = 16

_LABEL = b"hx1/part"


@dataclass(frozen=True, slots=True)
class PartContext:
    """What a part is bound to. `schema` is the catalogue's version, `field` its name in the catalogue."""

    origin: str
    eid: EnvelopeId
    part_id: PartId
    field: str
    schema: int
    sender: AgencyId

    def digest(self) -> bytes:
        """`ctx`: H of the LP-framed label and values, 32 bytes; the schema as decimal digits.

        Raises: Malformed when a value has characters outside ASCII.
        """
        names = (self.origin, self.eid, self.part_id, self.field, str(self.schema), self.sender)
        if not "".join(names).isascii():
            raise Malformed("context: only ASCII is allowed")
        return sha256(lp(_LABEL, *[name.encode("ascii") for name in names]))


def new_part_key(random: Callable[[int], bytes] = os.urandom) -> bytes:
    """A fresh 32-byte key for exactly one part. Raises: Malformed when the source gives another length."""
    return check_length(random(KEY_BYTES), KEY_BYTES, field="part key")


def sealed_length(padded: int) -> int:
    """The ciphertext's length in bytes for `padded` bytes of padded plaintext."""
    return HEADER_BYTES + padded + TAG_BYTES * (padded // CHUNK_BYTES + 1)


def encryptor(key: bytes, ctx: PartContext) -> Cobblestone256Encryptor:
    """A Cobblestone-256 encryptor for one message under this part's key and context. Raises: Malformed."""
    return Cobblestone256Encryptor(check_length(key, KEY_BYTES, field="part key"), ctx.digest())


def decryptor(key: bytes, ctx: PartContext) -> Cobblestone256Decryptor:
    """The decryptor for one message under this part's key and context. Raises: Malformed."""
    return Cobblestone256Decryptor(check_length(key, KEY_BYTES, field="part key"), ctx.digest())


def seal_part(key: bytes, value: bytes, bucket: int | None, ctx: PartContext) -> bytes:
    """The ciphertext of a padded value; `key` is 32 bytes from `new_part_key` and used only here.

    `bucket` is the padded size in bytes, or None for PADMÉ. The salt inside is fresh each time.
    Raises: Malformed (the value does not fit, or a length is wrong).
    """
    sealing = encryptor(key, ctx)
    return sealing.update(pad_to(value, bucket)) + sealing.finalize()


def open_part(key: bytes, ciphertext: bytes, ctx: PartContext, bucket: int | None) -> bytes:
    """The value inside a part's ciphertext, with its padding proved and taken off.

    Raises: Malformed (a length that no part of this bucket has), DecryptFailed (anything else).
    """
    if bucket is not None and len(ciphertext) != sealed_length(bucket):
        raise Malformed(f"part: {sealed_length(bucket)} bytes are needed", field=ctx.field)
    opening = decryptor(key, ctx)
    try:
        padded = opening.update(ciphertext) + opening.finalize()
    except InvalidTag:
        raise DecryptFailed("the part does not open", field=ctx.field) from None
    return unpad(padded, bucket)
