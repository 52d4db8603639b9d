"""Salted commitments: an entry says "the same consent family" or "the same envelope" without saying which.

Whoever holds salt and value can show what a commitment stands for; without the salt nobody can tell, not even
by trying every value. Pure.
"""

from typing import Final

from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.ids import Digest

SALT_BYTES: Final = 32
_LABEL: Final = b"hx1/commitment"


def commitment(scope: str, salt: bytes, value: str) -> Digest:
    """`H(LP("hx1/commitment") ‖ LP(scope) ‖ LP(salt) ‖ LP(value))` in base64url; scope is "cns" or "rec"."""
    return Digest(b64u(sha256(lp(_LABEL, scope.encode(), salt, value.encode()))))
