"""The local box: bound to its context, one error for everything wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.box import OVERHEAD_BYTES, StoreKey
from exchange_schemas.errors import Malformed, StoreCorrupt
from tests.unit.keys.keys_factory import flip, seed

KEY = StoreKey(seed("store"))
SEALED = KEY.seal(b"a record", b"record 7")


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_a_box_opens_to_what_was_sealed(plaintext: bytes, context: bytes) -> None:
    sealed = KEY.seal(plaintext, context)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert KEY.open(sealed, context) == plaintext


def test_a_box_opens_under_its_key_and_context_only() -> None:
    for key, context in ((KEY, b"record 8"), (KEY, b""), (StoreKey(seed("other")), b"record 7")):
        with pytest.raises(StoreCorrupt):
            key.open(SEALED, context)


@settings(deadline=None)
@given(st.integers(0, len(SEALED) * 8 - 1), st.integers(0, len(SEALED) - 1))
def test_no_bit_of_a_box_can_be_turned_and_no_byte_cut(bit: int, length: int) -> None:
    for bad in (flip(SEALED, bit), SEALED[:length], SEALED + b"\0"):
        with pytest.raises(StoreCorrupt):
            KEY.open(bad, b"record 7")


def test_nonces_come_from_the_given_randomness() -> None:
    assert KEY.seal(b"x", b"", random=bytes) == KEY.seal(b"x", b"", random=bytes)
    assert KEY.seal(b"x", b"") != KEY.seal(b"x", b"")
    with pytest.raises(Malformed):
        KEY.seal(b"x", b"", random=lambda _n: b"short")


def test_a_store_key_gives_its_bytes_for_a_key_file() -> None:
    assert StoreKey(StoreKey.generate(lambda n: seed("s")[:n]).raw).raw == seed("s")
    assert StoreKey.generate().raw != StoreKey.generate().raw
