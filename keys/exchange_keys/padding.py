"""Padding, so that a ciphertext's length says nothing about its content.

A field is padded to the fixed bucket that the catalogue gives it, an attachment to its PADMÉ length:
0x80, then zeros. Padding is read only after the ciphertext proved authentic, and a padding that is not
exactly what sealing makes is a failure to open.
Sources: ISO/IEC 7816-4 (0x80 and zeros); PURBs, Nikitin et al. 2019, section 4 (PADMÉ).
"""

from __future__ import annotations

from exchange_schemas.errors import DecryptFailed, Malformed

MARK = b"\x80"


def padme(length: int) -> int:
    """The PADMÉ length: the least allowed length that is not under `length`, at most 12 % more.

    Raises: Malformed when `length` is negative.
    """
    if length < 0:
        raise Malformed("length: not negative is needed", field="length")
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (length + mask) & ~mask


def padded_length(size: int, bucket: int | None) -> int:
    """The padded length in bytes of a value of `size` bytes; `bucket` None means PADMÉ.

    Raises: Malformed when the value does not fit its bucket with the mark.
    """
    length = padme(size + 1) if bucket is None else bucket
    if size + 1 > length:
        raise Malformed(f"the value does not fit {length - 1} bytes", rule="bucket")
    return length


def pad_to(value: bytes, bucket: int | None) -> bytes:
    """`value ‖ 0x80 ‖ zeros` of the bucket's length in bytes; `bucket` None means PADMÉ.

    Raises: Malformed.
    """
    return (value + MARK).ljust(padded_length(len(value), bucket), b"\0")


def unpad(data: bytes, bucket: int | None) -> bytes:
    """The value inside authentic padded bytes.

    Raises: DecryptFailed when the length or the padding is not what `pad_to` makes.
    """
    value = data.rstrip(b"\0")
    if not value.endswith(MARK):
        raise DecryptFailed("the part does not open")
    length = padme(len(value)) if bucket is None else bucket
    if len(data) != length:
        raise DecryptFailed("the part does not open")
    return value[:-1]
