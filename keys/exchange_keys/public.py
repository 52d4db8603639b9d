"""Public keys and their ids: one algorithm name, one raw form, one kid for each key.

The same names stand in the key directory and in a JWS header. Nothing here may hold or derive a secret,
and a key is never accepted in a second form.
Source: protocol.md "Encoding" and "Keys of an agency".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import Kid

ED25519 = "Ed25519"
ML_DSA_65 = "ML-DSA-65"
X_WING = "X-Wing"
ES256 = "ES256"
PS256 = "PS256"

_RAW_LENGTHS = {ED25519: 32, ML_DSA_65: 1952, X_WING: 1216, ES256: 65}
# SubjectPublicKeyInfo of RSA keys from 2,048 to 4,096 bits with a small exponent.
_SPKI_MIN, _SPKI_MAX = 290, 560
# The kids of keys that come again with every request need no second digest.
_KEPT = 256


@lru_cache(maxsize=_KEPT)
def kid_of(alg: str, raw: bytes) -> Kid:
    """`base64url(H(LP(alg) ‖ LP(raw public key)))`, 43 characters."""
    return Kid(b64u(sha256(lp(alg.encode("ascii"), raw))))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: algorithm name and raw bytes, of the length that the algorithm has.

    Raw is 32 bytes for Ed25519, 1,952 for ML-DSA-65, 1,216 for X-Wing (ML-KEM-768 ek ‖ X25519), the
    uncompressed point of 65 bytes for ES256, SubjectPublicKeyInfo DER for PS256. The length is checked
    here; whether the bytes are a usable key is `registration.check_key_for_use`.
    Raises: Malformed.
    """

    alg: str
    raw: bytes

    def __post_init__(self) -> None:
        if self.alg == PS256:
            if not _SPKI_MIN <= len(self.raw) <= _SPKI_MAX:
                raise Malformed("key: not the SubjectPublicKeyInfo of an RSA key of this size", field="key")
        elif self.alg not in _RAW_LENGTHS:
            raise Malformed("alg: not an algorithm of this exchange", field="alg")
        elif len(self.raw) != _RAW_LENGTHS[self.alg]:
            raise Malformed(f"key: {self.alg} needs {_RAW_LENGTHS[self.alg]} bytes", field="key")

    @property
    def kid(self) -> Kid:
        """The key's id; it depends on the algorithm as well, so no key can be read under another one."""
        return kid_of(self.alg, self.raw)
