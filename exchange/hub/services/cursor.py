"""Cursors of listings: a position in one agency's own list, in a form that nobody has to understand.

A cursor is checked, not secret: it can only be used where it was made (deployment, listing, agency), and one
that was altered is refused instead of silently starting somewhere else. It must never widen what is listed;
the SQL names the agency in any case.
"""

from typing import Final

from exchange_schemas.codec import b64u, lp, sha256, unb64u
from exchange_schemas.errors import Malformed

START: Final = 0
_POSITION_BYTES: Final = 8
_CHECK_BYTES: Final = 16
_MAX_POSITION: Final = 2**63 - 1


def write_cursor(origin: str, listing: str, agency: str, position: int) -> str:
    """The cursor after `position` (0 or more) in `listing` of `agency`: 32 characters."""
    data = position.to_bytes(_POSITION_BYTES, "big")
    return b64u(data + _check(origin, listing, agency, data))


def read_cursor(text: str | None, origin: str, listing: str, agency: str) -> int:
    """The position that a cursor stands for; the start when there is none.

    Raises: Malformed when it was altered, or made for another agency, listing or deployment.
    """
    if text is None:
        return START
    data = unb64u(text, field="cursor", length=_POSITION_BYTES + _CHECK_BYTES)
    number, check = data[:_POSITION_BYTES], data[_POSITION_BYTES:]
    position = int.from_bytes(number, "big")
    if check != _check(origin, listing, agency, number) or position > _MAX_POSITION:
        raise Malformed("cursor: not one that this listing gave to this agency", field="cursor")
    return position


def _check(origin: str, listing: str, agency: str, position: bytes) -> bytes:
    words = lp(b"hx1/cursor", origin.encode(), listing.encode(), agency.encode(), position)
    return sha256(words)[:_CHECK_BYTES]
