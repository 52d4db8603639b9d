"""Sealing part keys to a recipient: HPKE single shot with X-Wing, SHAKE256 and AES-256-GCM.

Our own profile of HPKE: the suite is fixed by the protocol's version, `info` binds the grant core, and
an X-Wing key of an agency does nothing else; it is never used in a JWE. Opening fails in one way only,
whatever was wrong inside.
Sources: RFC 9180 section 6.1; draft-ietf-hpke-pq (KEM 0x647a, KDF 0x0011); draft-connolly-cfrg-xwing-kem.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from exchange_keys.public import X_WING, PublicKey
from exchange_keys.secret import Secret, check_length
from exchange_schemas.codec import lp, sha256
from exchange_schemas.errors import DecryptFailed, KeyWrongUse, Malformed
from exchange_schemas.limits import LIMITS

SEED_BYTES = 32
PUBLIC_BYTES = 1216
# X-Wing ciphertext: ML-KEM-768 1,088 ‖ X25519 32; then the AES-GCM tag.
ENC_BYTES = 1120
OVERHEAD_BYTES = ENC_BYTES + 16
KEY_BYTES = 32

_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_X25519_PRIME = 2**255 - 19
_LABEL = b"hx1/grant"
_KEYS_KEPT = 256


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)


def _expand(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """X-Wing expandDecapsulationKey: SHAKE256(seed, 96) = d ‖ z (64 bytes) ‖ X25519 secret (32 bytes)."""
    expanded = hashlib.shake_256(seed).digest(96)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:]),
    )


class EncKey(Secret):
    """An X-Wing key, made from its 32-byte seed; an agency's `enc` key."""

    __slots__ = ("_key", "_public", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = check_length(seed, SEED_BYTES, field="seed")
        mlkem, x25519 = _expand(self._seed)
        self._key = MLKEM768X25519PrivateKey(mlkem, x25519)
        self._public = PublicKey(
            X_WING, mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> EncKey:
        """A new key from `random(32)`; the default is the operating system's generator."""
        return cls(random(SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> EncKey:
        """The key of a 32-byte seed. Raises: Malformed."""
        return cls(seed)

    @property
    def public(self) -> PublicKey:
        """The public half, 1,216 bytes raw: ML-KEM-768 ek ‖ X25519."""
        return self._public

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for a key file and nothing else."""
        return self._seed

    def open(self, sealed: bytes, *, info: bytes) -> bytes:
        """HPKE.open of `enc ‖ ciphertext` under this key and `info`, without aad.

        Raises: DecryptFailed.
        """
        try:
            return _suite().decrypt(sealed, self._key, info)
        except InvalidTag:
            raise DecryptFailed("the sealed keys do not open") from None


def grant_info(core: bytes) -> bytes:
    """HPKE `info` of a grant: `H(LP("hx1/grant") ‖ LP(core))`, 32 bytes."""
    return sha256(lp(_LABEL, core))


def seal_keys(public_raw: bytes, keys: Sequence[bytes], core: bytes) -> bytes:
    """Seal part keys (32 bytes each, in the order of the core's parts) to an X-Wing key, bound to `core`.

    Gives `enc ‖ ciphertext`, 1,136 bytes more than the keys. Draws fresh randomness each time.
    Raises: Malformed (a length), KeyWrongUse (the key cannot be sealed to).
    """
    if len(keys) > LIMITS.parts_per_grant:
        raise Malformed("parts: too many", field="parts")
    joined = b"".join(check_length(key, KEY_BYTES, field="part key") for key in keys)
    return _seal(public_raw, joined, grant_info(core))


def seal_secret(public_raw: bytes, secret: bytes, info: bytes) -> bytes:
    """Seal one 32-byte key to an X-Wing key under an `info` that no grant has.

    Raises: Malformed (a length), KeyWrongUse (the key cannot be sealed to).
    """
    return _seal(public_raw, check_length(secret, KEY_BYTES, field="key"), info)


def open_keys(key: EncKey, sealed: bytes, core: bytes, count: int) -> list[bytes]:
    """The `count` part keys inside `sealed`, in the order of the core's parts.

    Raises: Malformed (not the length that `count` keys have), DecryptFailed.
    """
    if len(sealed) != OVERHEAD_BYTES + KEY_BYTES * count:
        raise Malformed("sealed: not the length that the grant's parts need", field="sealed")
    joined = key.open(sealed, info=grant_info(core))
    return [joined[start : start + KEY_BYTES] for start in range(0, len(joined), KEY_BYTES)]


def trial_seal(public_raw: bytes) -> None:
    """Prove that a key can be sealed to, before the directory takes it.

    A low-order X25519 half loads and fails only when it is used.
    Raises: Malformed (not a key), KeyWrongUse (a key that cannot be sealed to).
    """
    check_length(public_raw, PUBLIC_BYTES, field="key")
    # A second spelling of one key would be a second kid for it.
    if int.from_bytes(public_raw[_MLKEM_PUBLIC_BYTES:], "little") >= _X25519_PRIME:
        raise Malformed("key: the X25519 half is not canonical", field="key", rule="x25519-canonical")
    _seal(public_raw, bytes(KEY_BYTES), grant_info(b"trial"))


@lru_cache(maxsize=_KEYS_KEPT)
def _load(public_raw: bytes) -> MLKEM768X25519PublicKey:
    """A public key ready for use. The same partners are sealed to again and again: the last ones are kept."""
    check_length(public_raw, PUBLIC_BYTES, field="key")
    x25519 = X25519PublicKey.from_public_bytes(public_raw[_MLKEM_PUBLIC_BYTES:])
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public_raw[:_MLKEM_PUBLIC_BYTES])
    except ValueError:
        # FIPS 203 section 7.2, modulus check.
        raise Malformed("key: the ML-KEM half is not a key", field="key", rule="mlkem-modulus") from None
    return MLKEM768X25519PublicKey(mlkem, x25519)


def _seal(public_raw: bytes, plaintext: bytes, info: bytes) -> bytes:
    key = _load(public_raw)
    try:
        return _suite().encrypt(plaintext, key, info)
    except ValueError:
        raise KeyWrongUse("key: nothing can be sealed to this key", field="key", rule="trial-seal") from None
