"""DPoP nonces without state: an HMAC over a slot of time, so that every worker knows every worker's nonces.

A nonce shows that a proof was made lately; it identifies nobody and is good for every client. It must never
take the place of the replay table. Source: RFC 9449, sections 8 and 9.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

from exchange.hub.services.hub import Hub
from exchange_schemas.codec import b64u, lp

SLOT_S: Final = 60
_LABEL: Final = b"hx1/dpop-nonce"
_NONCE_BYTES: Final = 18


def current_nonce(hub: Hub) -> str:
    """The nonce to put in the next proof; good for one to two minutes."""
    now = hub.clock()
    return _nonce(hub.keys.token_key(now).secret, _slot(now))


def is_current(hub: Hub, nonce: str | None) -> bool:
    """Whether the nonce is of this slot or one beside it.

    Any published key counts: while workers restart after a rotation they do not have the same current key.
    """
    if nonce is None:
        return False
    slot = _slot(hub.clock())
    shown = nonce.encode()
    good = [
        hmac.compare_digest(shown, _nonce(key.secret, near).encode())
        for key in hub.keys.published()
        for near in (slot - 1, slot, slot + 1)
    ]
    return any(good)


def _slot(now: datetime) -> int:
    return int(now.timestamp()) // SLOT_S


def _nonce(secret: bytes, slot: int) -> str:
    return b64u(hmac.digest(secret, lp(_LABEL, slot.to_bytes(8, "big")), "sha256")[:_NONCE_BYTES])
