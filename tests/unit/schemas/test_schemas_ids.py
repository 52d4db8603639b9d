"""Ids and names: length and alphabet, nothing else passes."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_schemas.codec import b64u
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import check_agency, check_digest, check_id, check_kid, check_origin, new_id


def test_a_new_id_is_22_characters_of_the_given_randomness():
    assert new_id(lambda n: bytes(range(n))) == b64u(bytes(range(16)))
    assert check_id(new_id(os.urandom), field="eid")


def test_a_source_of_randomness_that_gives_too_little_is_refused():
    with pytest.raises(Malformed):
        new_id(lambda _n: b"short")


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_every_value_of_the_right_length_passes(id_bytes, digest_bytes):
    assert check_id(b64u(id_bytes), field="f") == b64u(id_bytes)
    assert check_digest(b64u(digest_bytes), field="f") == b64u(digest_bytes)
    assert check_kid(b64u(digest_bytes), field="f") == b64u(digest_bytes)


@pytest.mark.parametrize("check", [check_id, check_digest, check_kid])
@pytest.mark.parametrize(
    "value",
    ["", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 42 + "B", "A" * 44, "A" * 21 + "=", 1, None, ["A"]],
)
def test_other_lengths_spellings_and_types_are_refused(check, value):
    with pytest.raises(Malformed) as caught:
        check(value, field="f")
    assert caught.value.field == "f"


@pytest.mark.parametrize("value", ["ngo", "ngo-one", "a" + "b" * 39, "a--"])
def test_agency_ids(value):
    assert check_agency(value, field="snd") == value


@pytest.mark.parametrize(
    "value", ["ng", "1go", "Ngo", "ngo_one", "a" * 41, "ngo\n", "نgo", "", "-ngo", 3, None]
)
def test_other_agency_ids_are_refused(value):
    with pytest.raises(Malformed):
        check_agency(value, field="snd")


@pytest.mark.parametrize("value", ["exchange.example", "hub", "exchange.example/audit", "a.b-c/x/y"])
def test_origins(value):
    assert check_origin(value) == value


@pytest.mark.parametrize(
    "value", ["", "Hub", "hub/", "/hub", "hub.", "hub//x", "hub\n", "a" * 101, "h b", 1, None]
)
def test_other_origins_are_refused(value):
    with pytest.raises(Malformed):
        check_origin(value)
