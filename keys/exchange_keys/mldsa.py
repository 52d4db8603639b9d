"""ML-DSA-65: the post-quantum half of a root key's signatures.

Used beside Ed25519 and never instead of it. The context string is always empty, as JOSE wants; nothing
here may sign with another context or for anything but a root.
Source: FIPS 204; the "ML-DSA-65" JOSE algorithm.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from exchange_keys.public import ML_DSA_65, PublicKey
from exchange_keys.secret import Secret, check_length
from exchange_schemas.errors import SigInvalid

SEED_BYTES = 32
PUBLIC_BYTES = 1952
SIGNATURE_BYTES = 3309


class MlDsaKey(Secret):
    """An ML-DSA-65 key, made from its 32-byte seed (xi of FIPS 204)."""

    __slots__ = ("_key", "_public", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = check_length(seed, SEED_BYTES, field="seed")
        self._key = MLDSA65PrivateKey.from_seed_bytes(self._seed)
        self._public = PublicKey(ML_DSA_65, self._key.public_key().public_bytes_raw())

    @property
    def public(self) -> PublicKey:
        """The public half, 1,952 bytes raw."""
        return self._public

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for a key file and nothing else."""
        return self._seed

    def sign(self, message: bytes) -> bytes:
        """A 3,309-byte signature over `message`; hedged, so two of them differ."""
        return self._key.sign(message)


def verify_ml_dsa_65(public: bytes, message: bytes, signature: bytes) -> None:
    """Prove that the holder of `public` (1,952 bytes) signed `message`; returns nothing, or raises.

    Raises: Malformed (a length is wrong), SigInvalid.
    """
    check_length(public, PUBLIC_BYTES, field="key")
    check_length(signature, SIGNATURE_BYTES, field="signature")
    # Every string of this length is a public key of ML-DSA-65, so loading cannot fail.
    key = MLDSA65PublicKey.from_public_bytes(public)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise SigInvalid("the ML-DSA-65 signature does not verify") from None
