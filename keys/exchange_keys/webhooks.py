"""Signatures of webhooks: Standard Webhooks, the symmetric scheme `v1` (HMAC-SHA256).

A secret is 32 random bytes, shown as `whsec_` and base64. While one is replaced, a message bears a signature
under each. What is signed is the message's id, its time and its exact body.
Source: standard-webhooks specification 1.0, "Signature scheme".
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Iterable

from exchange_keys.secret import check_length
from exchange_schemas.errors import Malformed, SigInvalid

SECRET_BYTES = 32
PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


def new_secret(random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh secret in its text form."""
    return PREFIX + b64encode(check_length(random(SECRET_BYTES), SECRET_BYTES, field="secret")).decode()


def signature(secret: str, ident: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. Raises: Malformed for no secret."""
    return "v1," + b64encode(_digest(secret, ident, timestamp, body)).decode()


def headers(secrets: Iterable[str], ident: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, with a signature under each secret."""
    signed = " ".join(signature(secret, ident, timestamp, body) for secret in secrets)
    return {"webhook-id": ident, "webhook-timestamp": str(timestamp), "webhook-signature": signed}


def verify(secret: str, ident: str, timestamp: str, signatures: str, body: bytes, *, now: int) -> None:
    """That a message is signed under the secret and not older or newer than five minutes.

    Raises: SigInvalid, Malformed.
    """
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise SigInvalid("webhook-timestamp: not within five minutes", field="webhook-timestamp")
    right = signature(secret, ident, int(timestamp), body)
    if not any(hmac.compare_digest(one.encode(), right.encode()) for one in signatures.split(" ")):
        raise SigInvalid("webhook-signature: none is right", field="webhook-signature")


def _digest(secret: str, ident: str, timestamp: int, body: bytes) -> bytes:
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (Error, ValueError):
        raise Malformed("secret: whsec_ and base64 are needed", field="secret") from None
    if not 24 <= len(key) <= 64:
        raise Malformed("secret: 24 to 64 bytes are needed", field="secret")
    return hmac.digest(key, f"{ident}.{timestamp}.".encode() + body, "sha256")
