"""A second implementation of C2SP chunked-encryption, to check the library against; for tests only.

The published vectors use SHA-256; the two named instantiations (Cobblestone-128 and -256) use SHA-512. This
one takes the hash, proves itself on the vectors, and then speaks Cobblestone-256.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHUNK, TAG, SALT, COMMITMENT, NONCE, KEY = 16 * 1024, 16, 24, 32, 12, 32


class Derived(NamedTuple):
    """AEAD key, base nonce, commitment."""

    key: bytes
    nonce: bytes
    commitment: bytes


def derive(key: bytes, salt: bytes, context: bytes, hash_: hashes.HashAlgorithm) -> Derived:
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    out = HKDFExpand(hash_, KEY + NONCE + COMMITMENT, info).derive(key)
    return Derived(out[:KEY], out[KEY : KEY + NONCE], out[KEY + NONCE :])


def chunk_nonce(base: bytes, index: int) -> bytes:
    return (int.from_bytes(base) ^ index).to_bytes(NONCE)


def seal(key: bytes, salt: bytes, context: bytes, data: bytes, hash_: hashes.HashAlgorithm) -> bytes:
    derived = derive(key, salt, context, hash_)
    chunks = [data[at : at + CHUNK] for at in range(0, len(data) + 1, CHUNK)]
    body = [
        AESGCM(derived.key).encrypt(chunk_nonce(derived.nonce, index), chunk, None)
        for index, chunk in enumerate(chunks)
    ]
    return salt + derived.commitment + b"".join(body)


def open_(key: bytes, context: bytes, data: bytes, hash_: hashes.HashAlgorithm) -> bytes | None:
    """The plaintext, or None where a decryptor must refuse."""
    if len(key) != KEY or len(data) < SALT + COMMITMENT:
        return None
    derived = derive(key, data[:SALT], context, hash_)
    if data[SALT : SALT + COMMITMENT] != derived.commitment:
        return None
    body = data[SALT + COMMITMENT :]
    chunks = [body[at : at + CHUNK + TAG] for at in range(0, len(body), CHUNK + TAG)]
    if not chunks or len(chunks[-1]) == CHUNK + TAG:
        return None
    try:
        return b"".join(
            AESGCM(derived.key).decrypt(chunk_nonce(derived.nonce, index), chunk, None)
            for index, chunk in enumerate(chunks)
        )
    except InvalidTag:
        return None
