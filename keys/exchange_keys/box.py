"""Encryption of local data at rest: one store key, a context for each thing.

The agency program keeps records and outgoing bytes with this; the key lies in the key file. It is never
used for anything that leaves the machine, and a box opens only under the context it was sealed with.
Source: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), from libsodium.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import nacl.bindings
import nacl.exceptions

from exchange_keys.secret import Secret, check_length
from exchange_schemas.codec import lp
from exchange_schemas.errors import StoreCorrupt

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16
OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES

_VERSION = b"\x01"
_LABEL = b"hx1/store"


class StoreKey(Secret):
    """The 32-byte key of a local store."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = check_length(key, KEY_BYTES, field="store key")

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> StoreKey:
        """A new key from `random(32)`; the default is the operating system's generator."""
        return cls(random(KEY_BYTES))

    @property
    def raw(self) -> bytes:
        """The 32 secret bytes, for a key file and nothing else."""
        return self._key

    def seal(self, plaintext: bytes, context: bytes, *, random: Callable[[int], bytes] = os.urandom) -> bytes:
        """`0x01 ‖ nonce ‖ ciphertext ‖ tag`, 41 bytes longer; bound to `context` (what and where it is).

        The nonce is 24 bytes from `random`, so that random nonces never meet.
        """
        nonce = check_length(random(NONCE_BYTES), NONCE_BYTES, field="nonce")
        sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plaintext, lp(_LABEL, context), nonce, self._key
        )
        return _VERSION + nonce + sealed

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext sealed under this key and `context`.

        Raises: StoreCorrupt (altered, cut short, of another version, under another key or context).
        """
        if len(sealed) < OVERHEAD_BYTES or sealed[:1] != _VERSION:
            raise StoreCorrupt("the stored box is cut short or of another version")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                ciphertext, lp(_LABEL, context), nonce, self._key
            )
        except nacl.exceptions.CryptoError:
            raise StoreCorrupt("the stored box does not open") from None
