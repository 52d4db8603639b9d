"""Ranges of a part (RFC 9110, sections 13.1.5 and 14): which bytes are given, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.hub.services.ranges import WHOLE, Asked, entity_tag, span_of
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import RangeUnsatisfiable
from exchange_schemas.ids import Digest

DIGEST = Digest(b64u(sha256(b"ciphertext")))
TAG = entity_tag(DIGEST)
SIZE = 10_000


def asked(wanted: str, if_range: str | None = None, size: int = SIZE) -> tuple[int, int]:
    """(first byte, how many) of a part of `size` bytes."""
    span = span_of(Asked(wanted, if_range), size, DIGEST)
    return span.first, span.length


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        # The examples of RFC 9110, section 14.1.2.
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 500)),
        ("bytes=-500", (9500, 500)),
        ("bytes=9500-", (9500, 500)),
        ("bytes=0-0", (0, 1)),
        ("bytes=-1", (9999, 1)),
        # An end beyond the whole is the end of it; so is a suffix that is longer than it.
        ("bytes=9999-20000", (9999, 1)),
        ("bytes=-20000", (0, SIZE)),
        ("BYTES=1-2", (1, 2)),
        ("bytes= 1-2 ", (1, 2)),
    ],
)
def test_one_range_is_given_as_the_rfc_says(wanted: str, expected: tuple[int, int]) -> None:
    assert asked(wanted) == expected


@pytest.mark.parametrize("wanted", [None, "items=0-5", "pages=1-2,3-4"])
def test_without_a_range_of_bytes_the_whole_is_given(wanted: str | None) -> None:
    span = span_of(Asked(wanted), SIZE, DIGEST)
    assert (span.first, span.length, span.status) == (0, SIZE, 200)
    assert span.headers() == {"Accept-Ranges": "bytes", "ETag": TAG}


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=10000-",
        "bytes=10000-10001",
        "bytes=-0",
        "bytes=5-2",
        "bytes=0-4,6-9",
        "bytes=",
        "bytes=-",
        "bytes=x-y",
        "bytes=1 -2",
        "bytes=٣-٤",
        "bytes=0x1-2",
        "bytes=1_0-20",
        f"bytes={'9' * 16}-",
        "bytes",
        "",
        "0-499",
    ],
)
def test_what_is_no_byte_of_the_part_is_refused_with_its_length(wanted: str) -> None:
    with pytest.raises(RangeUnsatisfiable) as caught:
        asked(wanted)
    assert (caught.value.field, caught.value.detail) == ("Range", {"bytes": SIZE})


@pytest.mark.parametrize(
    "other", [f"W/{TAG}", f'"{"A" * 43}"', DIGEST, "Thu, 26 Nov 2026 07:00:00 GMT", "", "*", f"{TAG}, {TAG}"]
)
def test_another_tag_a_weak_one_or_a_date_gives_the_whole(other: str) -> None:
    assert asked("bytes=500-", other) == (0, SIZE)
    # Even where the range could not be given: the caller has something else.
    assert asked("bytes=99999-", other) == (0, SIZE)


def test_the_same_tag_gives_the_range_and_says_so() -> None:
    span = span_of(Asked("bytes=500-", TAG), SIZE, DIGEST)
    assert (span.status, span.headers()["Content-Range"]) == (206, "bytes 500-9999/10000")


def test_a_range_that_is_the_whole_is_a_range_all_the_same() -> None:
    span = span_of(Asked("bytes=0-", TAG), SIZE, DIGEST)
    assert (span.status, span.headers()["Content-Range"]) == (206, "bytes 0-9999/10000")


PLACE = st.integers(0, 2**41)


@given(st.integers(1, 2**40), PLACE, st.none() | PLACE, st.booleans())
def test_what_is_given_lies_within_the_part(size: int, first: int, last: int | None, suffix: bool) -> None:
    wanted = f"bytes=-{first}" if suffix else f"bytes={first}-{'' if last is None else last}"
    try:
        span = span_of(Asked(wanted), size, DIGEST)
    except RangeUnsatisfiable:
        assert first == 0 if suffix else (first >= size or (last is not None and last < first))
        return
    assert 0 <= span.first < span.first + span.length <= size
    if suffix:
        assert span.first + span.length == size
        assert span.length == min(first, size)
    else:
        assert span.first == first
        assert span.length == min(size - 1 if last is None else last, size - 1) - first + 1


@given(st.text(max_size=40), st.none() | st.text(max_size=60))
def test_whatever_the_header_says_is_answered_or_refused(wanted: str, if_range: str | None) -> None:
    try:
        span = span_of(Asked(wanted, if_range), SIZE, DIGEST)
    except RangeUnsatisfiable:
        return
    assert 0 <= span.first < span.first + span.length <= SIZE
    assert span.status == 206 or span == span_of(WHOLE, SIZE, DIGEST)
