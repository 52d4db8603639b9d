"""What all recorded vectors share: secrets made from labels, a fixed time, small ways to spoil bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import ExchangeError
from exchange_schemas.ids import Digest

ORIGIN = "vectors.example"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
Case = dict[str, Any]


def seed(label: str) -> bytes:
    """The secret that a label stands for."""
    return sha256(f"homeward vector {label}".encode()).digest()


def an_id(label: str) -> str:
    """The id that a label stands for."""
    return b64u(seed(label)[:16])


def digest(data: bytes) -> Digest:
    return Digest(b64u(sha256(data).digest()))


def signing(label: str) -> SigningKey:
    return SigningKey.from_seed(seed(label))


def enc(label: str) -> EncKey:
    return EncKey.from_seed(seed(label))


def root(label: str) -> RootKey:
    return RootKey.from_seeds(ed25519=seed(f"{label} ed25519"), mldsa65=seed(f"{label} mldsa65"))


def flipped(data: bytes, at: int) -> bytes:
    """The same bytes with one bit turned."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def code_of(call: Callable[[], object]) -> str | None:
    """The error code that a call ends with; None when it does not fail."""
    try:
        call()
    except ExchangeError as error:
        return error.code
    return None
