"""What every secret of this package has in common: it does not show itself and cannot be copied out.

A class that holds key bytes derives from `Secret`. It must never give its bytes to repr(), str(),
pickle or copy, because those reach logs, tracebacks and worker processes by accident.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final

from exchange_schemas.errors import Malformed


class Secret:
    """A holder of secret bytes; no useful repr, no pickling, no copying, compared by identity only."""

    __slots__ = ()

    @final
    def __repr__(self) -> str:
        return f"<{type(self).__name__}: secret>"

    @final
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # TypeError, as the standard library does for what cannot be pickled: this is a programming error.
        raise TypeError(f"{type(self).__name__} is secret and cannot be pickled or copied")


def check_length(data: bytes, length: int, *, field: str) -> bytes:
    """`data` itself when it is exactly `length` bytes long.

    Raises: Malformed.
    """
    if len(data) != length:
        raise Malformed(f"{field}: exactly {length} bytes are needed", field=field)
    return data


def same(left: bytes, right: bytes) -> bool:
    """Whether two byte strings are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)
