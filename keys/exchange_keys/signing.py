"""Ed25519: the signing keys of agencies, operators and logs, and the one way to verify.

Only PyNaCl (libsodium): it refuses small-order keys and lax encodings that other libraries accept, and
two verifiers that disagree about one signature would split the directory. Nothing here may verify
Ed25519 through another library or return a bool.
Source: RFC 8032 section 5.1; protocol.md "Algorithms".
"""

from __future__ import annotations

import os
from collections.abc import Callable

import nacl.bindings
import nacl.exceptions
import nacl.signing

from exchange_keys.public import ED25519, PublicKey
from exchange_keys.secret import Secret, check_length
from exchange_schemas.errors import Malformed, SigInvalid

SEED_BYTES = 32
SIGNATURE_BYTES = 64


class SigningKey(Secret):
    """An Ed25519 key, made from its 32-byte seed; used for `envelope`, `approver`, operators and logs."""

    __slots__ = ("_key", "_public")

    def __init__(self, seed: bytes) -> None:
        self._key = nacl.signing.SigningKey(check_length(seed, SEED_BYTES, field="seed"))
        self._public = PublicKey(ED25519, bytes(self._key.verify_key))

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> SigningKey:
        """A new key from `random(32)`; the default is the operating system's generator."""
        return cls(random(SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte seed. Raises: Malformed."""
        return cls(seed)

    @property
    def public(self) -> PublicKey:
        """The public half, 32 bytes raw."""
        return self._public

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for a key file and nothing else."""
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`; deterministic (RFC 8032)."""
        return self._key.sign(message).signature


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Prove that the holder of `public` (32 bytes) signed `message`; returns nothing, or raises.

    Raises: Malformed (a length is wrong), SigInvalid.
    """
    check_length(public, SEED_BYTES, field="key")
    check_length(signature, SIGNATURE_BYTES, field="signature")
    try:
        nacl.bindings.crypto_sign_open(signature + message, public)
    except nacl.exceptions.BadSignatureError:
        raise SigInvalid("the Ed25519 signature does not verify") from None


def check_ed25519_point(public: bytes) -> None:
    """Refuse a key that is no canonical point of the main subgroup (identity, small order, off the curve).

    Raises: Malformed.
    """
    check_length(public, SEED_BYTES, field="key")
    if not nacl.bindings.crypto_core_ed25519_is_valid_point(public):
        raise Malformed("key: not a valid Ed25519 public key", field="key", rule="ed25519-point")
