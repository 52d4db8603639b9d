"""An agency's root: one Ed25519 and one ML-DSA-65 key that sign together, kept offline.

The root signs root-set and key events and enrolment bundles, always with both algorithms. It must never
sign an envelope, a consent or a token, and one of its signatures alone proves nothing.
Source: protocol.md "Keys of an agency", "Key directory".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exchange_keys import mldsa
from exchange_keys.mldsa import MlDsaKey
from exchange_keys.public import PublicKey
from exchange_keys.secret import Secret, check_length
from exchange_keys.signing import SEED_BYTES, SigningKey
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.ids import Digest

_LABEL = b"hx1/root"


class Signer(Protocol):
    """What can sign a JWS: `SigningKey`, or the ML-DSA half of a root."""

    @property
    def public(self) -> PublicKey:
        """The public key that verifies; its `alg` stands in the header."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature over `message`."""


@dataclass(frozen=True, slots=True)
class RootPublic:
    """Both public keys of a root and the digest that the directory admits."""

    ed25519: PublicKey
    mldsa65: PublicKey

    @property
    def digest(self) -> Digest:
        """`root_digest` of the two raw keys; people compare its fingerprint."""
        return root_digest(self.ed25519.raw, self.mldsa65.raw)


class RootKey(Secret):
    """Both secret halves of an agency's root, each made from a 32-byte seed."""

    __slots__ = ("_ed25519", "_mldsa65")

    def __init__(self, *, ed25519: bytes, mldsa65: bytes) -> None:
        self._ed25519 = SigningKey(ed25519)
        self._mldsa65 = MlDsaKey(mldsa65)

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> RootKey:
        """A new root from two calls of `random(32)`."""
        return cls(ed25519=random(SEED_BYTES), mldsa65=random(SEED_BYTES))

    @classmethod
    def from_seeds(cls, *, ed25519: bytes, mldsa65: bytes) -> RootKey:
        """The root of two 32-byte seeds. Raises: Malformed."""
        return cls(ed25519=ed25519, mldsa65=mldsa65)

    @property
    def public(self) -> RootPublic:
        """Both public keys."""
        return RootPublic(self._ed25519.public, self._mldsa65.public)

    @property
    def publics(self) -> tuple[PublicKey, PublicKey]:
        """The Ed25519 and the ML-DSA-65 public key, in this order."""
        return (self._ed25519.public, self._mldsa65.public)

    @property
    def signers(self) -> tuple[Signer, Signer]:
        """Both halves for `jws.sign`, Ed25519 first; always pass both."""
        return (self._ed25519, self._mldsa65)

    @property
    def seeds(self) -> tuple[bytes, bytes]:
        """The Ed25519 and the ML-DSA-65 seed, for a key file and nothing else."""
        return (self._ed25519.seed, self._mldsa65.seed)


def root_digest(ed25519: bytes, mldsa65: bytes) -> Digest:
    """`base64url(H(LP("hx1/root") ‖ LP(ed25519 pk) ‖ LP(mldsa pk)))` of the two raw keys.

    The lengths differ (32 and 1,952 bytes), so swapped arguments are refused. Raises: Malformed.
    """
    check_length(ed25519, SEED_BYTES, field="ed25519")
    check_length(mldsa65, mldsa.PUBLIC_BYTES, field="mldsa65")
    return Digest(b64u(sha256(lp(_LABEL, ed25519, mldsa65))))
