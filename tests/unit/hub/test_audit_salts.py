"""Commitments: what they are made of, so that an auditor who is given salt and value can recompute them."""

import base64
from hashlib import sha256

from exchange.hub.services.audit_append import microseconds
from exchange.hub.services.hub import utc_now
from exchange.log.commitment import commitment


def prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def test_a_commitment_is_the_digest_of_label_scope_salt_and_value() -> None:
    salt, value = bytes(range(32)), "AAAAAAAAAAAAAAAAAAAAAA"
    parts = (b"hx1/commitment", b"cns", salt, value.encode())
    digest = sha256(b"".join(prefixed(part) for part in parts)).digest()
    assert commitment("cns", salt, value) == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_scope_salt_and_value_each_change_it() -> None:
    salts = b"\x00" * 32, b"\x01" * 32
    made = {
        commitment(scope, salt, value) for scope in ("cns", "rec") for salt in salts for value in ("a", "b")
    }
    assert len(made) == 8


def test_microseconds_are_exact() -> None:
    now = utc_now().replace(microsecond=999_999)
    assert microseconds(now) % 1_000_000 == 999_999
    assert microseconds(now) // 1_000_000 == int(now.timestamp())
