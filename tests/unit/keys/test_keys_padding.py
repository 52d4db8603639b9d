"""Padding to buckets and to PADMÉ lengths."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.padding import pad_to, padded_length, padme, unpad
from exchange_schemas.errors import DecryptFailed, Malformed

BUCKETS = [256, 512, 1024, 2048, 4096, 8192]


def padme_as_published(length: int) -> int:
    """PURBs section 4, with floating-point logarithms as the paper writes it."""
    exponent = math.floor(math.log2(length))
    size_bits = math.floor(math.log2(exponent)) + 1
    mask = 2 ** (exponent - size_bits) - 1 if exponent > size_bits else 0
    return (length + mask) & ~mask


def test_padme_is_the_published_function() -> None:
    for length in range(2, 70_000):
        assert padme(length) == padme_as_published(length)


@given(st.integers(2, 2**40))
def test_padme_adds_at_most_12_percent_and_is_stable(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 or padded - length <= 1
    assert padme(padded) == padded
    assert padme(length - 1) <= padded


def test_padme_of_nothing_and_of_one_is_itself() -> None:
    assert (padme(0), padme(1)) == (0, 1)
    with pytest.raises(Malformed):
        padme(-1)


@settings(deadline=None)
@given(st.binary(max_size=600), st.sampled_from([None, 1024, 4096]))
def test_what_is_padded_comes_back_and_only_its_bucket_shows(value: bytes, bucket: int | None) -> None:
    padded = pad_to(value, bucket)
    assert len(padded) == padded_length(len(value), bucket)
    assert unpad(padded, bucket) == value


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_value_may_fill_its_bucket_but_for_one_byte(bucket: int) -> None:
    assert unpad(pad_to(b"x" * (bucket - 1), bucket), bucket) == b"x" * (bucket - 1)
    with pytest.raises(Malformed):
        pad_to(b"x" * bucket, bucket)


@pytest.mark.parametrize("value", [b"", b"\x80", b"\0", b"\x80\0\0", b"a\x80"])
def test_values_that_look_like_padding_come_back(value: bytes) -> None:
    assert unpad(pad_to(value, 256), 256) == value
    assert unpad(pad_to(value, None), None) == value


@pytest.mark.parametrize(
    "data",
    [b"", bytes(256), b"x" * 256, b"x" * 255 + b"\x01", b"\x80" + bytes(254), b"\x80" + bytes(256)],
)
def test_any_other_padding_fails_to_open(data: bytes) -> None:
    with pytest.raises(DecryptFailed):
        unpad(data, 256)


def test_a_padme_padding_of_another_length_fails_to_open() -> None:
    with pytest.raises(DecryptFailed):
        unpad(b"x" * 99 + b"\x80" + bytes(100), None)
    with pytest.raises(DecryptFailed):
        unpad(b"", None)
