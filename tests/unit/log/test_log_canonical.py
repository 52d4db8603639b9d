"""A bundle read in one go: it takes what the reading of entry by entry takes, with the same result."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.log.canonical import Bundle, bundle_reader
from exchange.log.slices import parties_of
from exchange.log.tiles import encode_bundle, split_bundle
from exchange_schemas.entry import Entry, entry_reader
from exchange_schemas.errors import EntryInvalid
from tests.unit.schemas.examples import entry
from tests.unit.schemas.test_schemas_entry import LOG, entries

read_bundle = bundle_reader(LOG)
GOOD = entry().to_bytes()


def one_by_one(data: bytes) -> Bundle | None:
    """What the slow way finds; None where it refuses."""
    try:
        found = split_bundle(data)
        times = [entry_reader(LOG)(one) for one in found]
    except EntryInvalid:
        return None
    return Bundle(found, times, [parties_of(one) for one in found]) if found else None


def same(quick: Bundle | None, slow: Bundle | None) -> bool:
    if quick is None or slow is None:
        return quick is slow
    columns: list[tuple[Sequence[object], Sequence[object]]] = [
        (quick.entries, slow.entries),
        (quick.times, slow.times),
        (quick.parties, slow.parties),
    ]
    return all(list(one) == list(other) for one, other in columns)


@settings(max_examples=60)
@given(st.lists(entries(), min_size=1, max_size=8))
def test_a_bundle_of_right_entries_is_read_whole(values: list[Entry]) -> None:
    data = encode_bundle([value.to_bytes() for value in values])
    found = read_bundle(data)
    assert found is not None
    assert same(found, one_by_one(data))


@settings(max_examples=250)
@given(st.lists(entries(), min_size=1, max_size=4), st.data())
def test_a_damaged_bundle_is_judged_as_entry_by_entry(values: list[Entry], data: st.DataObject) -> None:
    whole = encode_bundle([value.to_bytes() for value in values])
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 60)))
    pieces = st.binary(max_size=4) | st.sampled_from([b'"', b",", b"]", b"0", b"}", whole[start:end] * 2])
    damaged = whole[:start] + data.draw(pieces) + whole[end:]
    assert same(read_bundle(damaged), one_by_one(damaged))


def longer(data: bytes, by: int) -> bytes:
    """A bundle of one entry whose length says so many bytes more than it has."""
    return (len(data) + by).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode_bundle([GOOD])[:-1],
        encode_bundle([GOOD]) + b"\0",
        b"\0" + encode_bundle([GOOD]),
        longer(GOOD, 1),
        longer(GOOD, -1),
        encode_bundle([GOOD + b" "]),
        encode_bundle([GOOD, GOOD[:-1]]),
        encode_bundle([GOOD, replace(entry(), log="other.example/audit").to_bytes()]),
        encode_bundle([GOOD.replace(b'"fld":["age_range","sex"]', b'"fld":["sex","age_range"]')]),
        encode_bundle([GOOD.replace(b'"own":["commission","ngo-one"]', b'"own":["ngo-one","commission"]')]),
        encode_bundle([GOOD.replace(b'"org":"ngo-one"', b'"org":"ngo-two"')]),
        encode_bundle([GOOD]) * 257,
    ],
)
def test_a_bundle_that_breaks_a_rule_is_left_to_the_slow_way(data: bytes) -> None:
    assert one_by_one(data) is None
    assert read_bundle(data) is None


def test_a_time_of_sixteen_digits_may_be_too_late() -> None:
    late = replace(entry(), ts=2**53 - 1).to_bytes()
    assert read_bundle(encode_bundle([late])) is not None
    assert read_bundle(encode_bundle([late.replace(b"9007199254740991", b"9007199254740992")])) is None


def test_an_agency_whose_name_is_part_of_a_partys_is_no_party() -> None:
    right = replace(entry(), org="ngo-one", own=("ngo-one",)).to_bytes()
    assert read_bundle(encode_bundle([right])) is not None
    assert read_bundle(encode_bundle([right.replace(b'"org":"ngo-one"', b'"org":"ngo"')])) is None
