"""Whatever arrives, the readers of the log answer with a value or with one of our errors."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from exchange.log.checkpoint import open_checkpoint
from exchange.log.note import parse_vkey
from exchange.log.proof import parse_proof, verify_entry
from exchange.log.tiles import encode_bundle, parse_tile_path, split_bundle, split_tile
from exchange.log.tree import Frontier, verify_consistency, verify_inclusion
from exchange_schemas.errors import ExchangeError
from tests.unit.log.test_log_note import NOTE, PROOF, VKEY

anything = st.text(st.characters()) | st.text("— \n+=0123456789/.abxp")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """The text with one piece cut out, doubled or replaced."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 80)))
    return text[:start] + draw(anything | st.just(text[start:end] * 2)) + text[end:]


@given(anything | damaged(NOTE))
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    with suppress(ExchangeError):
        assert open_checkpoint(text, [VKEY]).text() in NOTE


@given(anything | damaged(VKEY))
def test_any_text_is_a_verifier_key_or_refused(text: str) -> None:
    with suppress(ExchangeError):
        parse_vkey(text)


@given(anything | damaged(PROOF))
def test_any_text_proves_an_entry_or_is_refused(text: str) -> None:
    with suppress(ExchangeError):
        parse_proof(text)
    with suppress(ExchangeError):
        verify_entry(b"another entry", text, [VKEY])
        raise AssertionError("this entry is in no log")


@given(anything)
def test_any_text_is_a_tile_path_or_refused(text: str) -> None:
    with suppress(ExchangeError):
        parse_tile_path(text)


@given(st.binary(max_size=600), st.integers(1, 256))
def test_any_bytes_are_a_tile_a_bundle_a_frontier_or_refused(data: bytes, number: int) -> None:
    with suppress(ExchangeError):
        assert len(split_tile(data, number)) == number
    with suppress(ExchangeError):
        assert encode_bundle(split_bundle(data)) == data
    with suppress(ExchangeError):
        assert Frontier.from_bytes(data, size=number).to_bytes() == data


sizes = st.integers(-(2**70), 2**70) | st.integers(-1, 20)
hashes = st.binary(max_size=40) | st.just(bytes(32))


@given(sizes, sizes, st.lists(hashes, max_size=70), hashes, hashes)
def test_any_numbers_and_hashes_prove_nothing(
    first: int, second: int, proof: list[bytes], one: bytes, other: bytes
) -> None:
    with suppress(ExchangeError):
        verify_inclusion(first, second, one, proof, other)
        assert (first, second, proof, one) == (0, 1, [], other)
    with suppress(ExchangeError):
        verify_consistency(first, second, proof, one, other)
        assert (first, one, proof) == (second, other, [])
