"""A cursor is good for its deployment, listing and agency, and for no altered text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.errors import Malformed

WHERE = ("exchange.example", "inbox", "agency-a")


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_stands_for_its_position(position: int) -> None:
    assert read_cursor(write_cursor(*WHERE, position), *WHERE) == position


def test_no_cursor_is_the_start() -> None:
    assert read_cursor(None, *WHERE) == 0


@given(st.integers(0, 2**63 - 1), st.integers(0, 23), st.integers(1, 255))
def test_no_altered_byte_is_accepted(position: int, at: int, mask: int) -> None:
    data = bytearray(unb64u(write_cursor(*WHERE, position), field="cursor"))
    data[at] ^= mask
    with pytest.raises(Malformed):
        read_cursor(b64u(bytes(data)), *WHERE)


@pytest.mark.parametrize(
    "where",
    [
        ("test.example", "inbox", "agency-a"),
        ("exchange.example", "outbox", "agency-a"),
        ("exchange.example", "inbox", "agency-b"),
        # The parts are framed: moving a character from one to the next is another place.
        ("exchange.example", "inboxa", "gency-a"),
    ],
)
def test_a_cursor_of_elsewhere_is_refused(where: tuple[str, str, str]) -> None:
    with pytest.raises(Malformed):
        read_cursor(write_cursor(*where, 7), *WHERE)


@given(st.text(max_size=64))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read_cursor(text, *WHERE)
