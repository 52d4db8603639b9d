"""Sealing part keys to a recipient, bound to the grant's core."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.sealing import OVERHEAD_BYTES, grant_info, open_keys, seal_keys
from exchange_schemas.codec import lp, sha256
from exchange_schemas.errors import DecryptFailed, KeyWrongUse, Malformed
from tests.unit.keys.keys_factory import B, C, flip, seed

CORE = b'{"typ":"hx-grant"}'
KEYS = [seed("one"), seed("two"), seed("three")]
SEALED = seal_keys(B.enc.public.raw, KEYS, CORE)


def test_sealed_keys_come_back_in_their_order() -> None:
    assert len(SEALED) == OVERHEAD_BYTES + 96
    assert open_keys(B.enc, SEALED, CORE, 3) == KEYS


def test_a_grant_without_parts_has_sealed_bytes_too() -> None:
    assert open_keys(B.enc, seal_keys(B.enc.public.raw, [], CORE), CORE, 0) == []


def test_the_info_is_the_hash_of_the_framed_core() -> None:
    assert grant_info(CORE) == sha256(lp(b"hx1/grant", CORE))


def test_another_recipient_and_another_core_fail_to_open() -> None:
    with pytest.raises(DecryptFailed):
        open_keys(C.enc, SEALED, CORE, 3)
    with pytest.raises(DecryptFailed):
        open_keys(B.enc, SEALED, CORE + b" ", 3)


@settings(deadline=None, max_examples=120)
@given(st.integers(0, len(SEALED) * 8 - 1))
def test_no_bit_of_the_sealed_keys_can_be_turned(bit: int) -> None:
    with pytest.raises(DecryptFailed):
        open_keys(B.enc, flip(SEALED, bit), CORE, 3)


def test_a_low_order_x25519_half_of_the_ciphertext_fails_to_open_in_the_same_way() -> None:
    low = SEALED[:1088] + bytes(32) + SEALED[1120:]
    with pytest.raises(DecryptFailed):
        open_keys(B.enc, low, CORE, 3)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 64])
def test_sealed_keys_of_another_count_are_malformed(count: int) -> None:
    with pytest.raises(Malformed):
        open_keys(B.enc, SEALED, CORE, count)


@pytest.mark.parametrize("length", [0, 1119, 1120, OVERHEAD_BYTES, len(SEALED) - 1, len(SEALED) + 1])
def test_sealed_keys_of_another_length_are_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        open_keys(B.enc, (SEALED + b"\0")[:length], CORE, 3)


def test_short_hpke_input_fails_to_open() -> None:
    for length in (0, 10, 1120, 1135):
        with pytest.raises(DecryptFailed):
            B.enc.open(SEALED[:length], info=b"")


def test_too_many_keys_and_keys_of_another_length_are_malformed() -> None:
    seal_keys(B.enc.public.raw, [bytes(32)] * 64, CORE)
    for keys in ([bytes(32)] * 65, [bytes(31)], [bytes(33), bytes(31)]):
        with pytest.raises(Malformed):
            seal_keys(B.enc.public.raw, keys, CORE)


def test_nothing_is_sealed_to_a_key_that_is_none() -> None:
    with pytest.raises(Malformed):
        seal_keys(B.enc.public.raw[:-1], KEYS, CORE)
    with pytest.raises(KeyWrongUse):
        seal_keys(B.enc.public.raw[:1184] + bytes(32), KEYS, CORE)


@pytest.mark.parametrize("length", [0, 1, 1184, 1215, 1217])
def test_nothing_is_sealed_to_a_key_of_another_length(length: int) -> None:
    raw = (B.enc.public.raw + b"x")[:length]
    with pytest.raises(Malformed, match="1216 bytes"):
        seal_keys(raw, KEYS, CORE)
