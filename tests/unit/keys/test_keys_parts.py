"""Parts: bound to their context, committed to their key, one error for every failure to open."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.parts import (
    CHUNK_BYTES,
    HEADER_BYTES,
    PartContext,
    new_part_key,
    open_part,
    seal_part,
    sealed_length,
)
from exchange_schemas.codec import lp, sha256
from exchange_schemas.errors import DecryptFailed, Malformed
from exchange_schemas.ids import EnvelopeId, PartId
from tests.unit.keys.keys_factory import ORIGIN, A, B, an_id, flip, seed

CTX = PartContext(ORIGIN, EnvelopeId(an_id("envelope 1")), PartId(an_id("part 1")), "name_given", 1, A.id)
KEY = seed("part key")


def test_the_context_is_the_hash_of_its_framed_values() -> None:
    framed = lp(
        b"hx1/part",
        ORIGIN.encode(),
        CTX.eid.encode(),
        CTX.part_id.encode(),
        b"name_given",
        b"1",
        b"agency-a",
    )
    assert CTX.digest() == sha256(framed)


def test_a_context_outside_ascii_is_malformed() -> None:
    with pytest.raises(Malformed):
        replace(CTX, field="имя").digest()


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=255))
def test_a_part_opens_to_its_value_and_shows_only_its_bucket(value: bytes) -> None:
    sealed = seal_part(KEY, value, 256, CTX)
    assert len(sealed) == sealed_length(256) == 256 + 72
    assert open_part(KEY, sealed, CTX, 256) == value


def test_two_seals_of_one_value_differ() -> None:
    assert seal_part(KEY, b"x", 256, CTX) != seal_part(KEY, b"x", 256, CTX)


@pytest.mark.parametrize(
    "other",
    [
        replace(CTX, origin="other.example"),
        replace(CTX, eid=EnvelopeId(an_id("envelope 2"))),
        replace(CTX, part_id=PartId(an_id("part 2"))),
        replace(CTX, field="name_family"),
        replace(CTX, schema=2),
        replace(CTX, sender=B.id),
    ],
)
def test_a_part_opens_in_no_other_context(other: PartContext) -> None:
    with pytest.raises(DecryptFailed):
        open_part(KEY, seal_part(KEY, b"x", 256, CTX), other, 256)


def test_a_part_opens_under_no_other_key() -> None:
    with pytest.raises(DecryptFailed):
        open_part(seed("another key"), seal_part(KEY, b"x", 256, CTX), CTX, 256)


SEALED = seal_part(KEY, b"value", 256, CTX)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(SEALED) * 8 - 1))
def test_no_bit_of_salt_commitment_ciphertext_or_tag_can_be_turned(bit: int) -> None:
    with pytest.raises(DecryptFailed):
        open_part(KEY, flip(SEALED, bit), CTX, 256)


@pytest.mark.parametrize("length", [0, 24, 56, len(SEALED) - 1])
def test_a_part_of_another_length_than_its_bucket_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        open_part(KEY, SEALED[:length], CTX, 256)
    with pytest.raises(Malformed):
        open_part(KEY, SEALED + bytes(1), CTX, 256)
    with pytest.raises(Malformed):
        open_part(KEY, SEALED, CTX, 512)


def chunks_of(sealed: bytes) -> tuple[bytes, list[bytes]]:
    step = CHUNK_BYTES + 16
    body = sealed[HEADER_BYTES:]
    return sealed[:HEADER_BYTES], [body[at : at + step] for at in range(0, len(body), step)]


def test_dropped_swapped_and_doubled_chunks_fail_to_open() -> None:
    value = bytes(range(256)) * 200
    header, chunks = chunks_of(seal_part(KEY, value, None, CTX))
    assert len(chunks) == 4
    assert open_part(KEY, header + b"".join(chunks), CTX, None) == value
    first, second, third, last = chunks
    for order in (
        [first, second, third],
        [first, second, last],
        [second, first, third, last],
        [first, first, third, last],
        [first, second, third, last, last],
        [],
    ):
        with pytest.raises(DecryptFailed):
            open_part(KEY, header + b"".join(order), CTX, None)


def test_the_header_of_another_part_fails_to_open() -> None:
    header, _ = chunks_of(seal_part(KEY, b"x", None, CTX))
    _, chunks = chunks_of(seal_part(KEY, b"x", None, CTX))
    with pytest.raises(DecryptFailed):
        open_part(KEY, header + chunks[0], CTX, None)


def test_authentic_bytes_with_a_wrong_padding_fail_to_open_in_the_same_way() -> None:
    # Sealed for another bucket of the same total length cannot be told apart from a bad tag.
    unpadded = seal_part(KEY, b"\0" * 255, 256, CTX)
    assert open_part(KEY, unpadded, CTX, 256) == b"\0" * 255
    with pytest.raises(DecryptFailed) as bad_padding:
        open_part(KEY, seal_part(KEY, b"x" * 100, 128, CTX), CTX, None)
    with pytest.raises(DecryptFailed) as bad_tag:
        open_part(KEY, flip(SEALED, 0), CTX, None)
    assert bad_padding.value.message == bad_tag.value.message


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_part_key_of_another_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        seal_part(bytes(length), b"x", 256, CTX)
    with pytest.raises(Malformed):
        open_part(bytes(length), SEALED, CTX, 256)
    with pytest.raises(Malformed):
        new_part_key(lambda _n: bytes(length))


def test_new_part_keys_differ() -> None:
    assert len({new_part_key() for _ in range(50)}) == 50
