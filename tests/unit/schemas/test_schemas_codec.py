"""The strict codec: what it reads is exactly what it would write, and everything else is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_schemas.codec import (
    MAX_INT,
    b64u,
    decode,
    decode_value,
    encode,
    format_time,
    lp,
    parse_time,
    sha256,
    unb64u,
)
from exchange_schemas.errors import Malformed

LIMIT = 1 << 22
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def nesting(value):
    if isinstance(value, list):
        return 1 + max(map(nesting, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(nesting, value.values()), default=0)
    return 0


@given(VALUES)
def test_what_is_written_reads_back_the_same(value):
    if nesting(value) > 8:
        with pytest.raises(Malformed):
            encode(value)
        return
    data = encode(value)
    assert decode_value(data, limit=LIMIT) == value
    assert encode(decode_value(data, limit=LIMIT)) == data


@given(VALUES)
def test_any_json_within_the_rules_is_read_whatever_its_spacing_and_escapes(value):
    data = json.dumps(value, indent=1).encode()
    if nesting(value) > 8:
        with pytest.raises(Malformed):
            decode_value(data, limit=LIMIT)
    else:
        assert decode_value(data, limit=LIMIT) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(data):
    try:
        value = decode_value(data, limit=LIMIT)
    except Malformed:
        return
    assert decode_value(encode(value), limit=LIMIT) == value


@given(st.text(alphabet='[]{}",:\\a1 ', max_size=40))
def test_brackets_in_and_out_of_strings_never_pass_the_depth(text):
    try:
        value = decode_value(text.encode(), limit=LIMIT, depth=2)
    except Malformed:
        return
    assert nesting(value) <= 2


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":1E400}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":["\\udfff"]}',
        b'{"a":"\\u0000"}',
        b'{"\\u0000":1}',
        b'{"a":"\x00"}',
        b'{"a":"\n"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\xaf"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}{}',
        b'{"a":1} x',
        b'{"a":1',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":"b}',
        b'{"a":"\\"',
        b'{"a":"\\',
        b"{]",
        b"",
        b" ",
        b"\xff\xfe{\x00}\x00",
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_the_codec_refuses(data):
    with pytest.raises(Malformed):
        decode(data, limit=LIMIT)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_only_an_object_is_an_object(data):
    decode_value(data, limit=LIMIT)
    with pytest.raises(Malformed):
        decode(data, limit=LIMIT)


def test_the_limit_is_the_last_length_allowed():
    assert decode(b'{"a":1}', limit=7) == {"a": 1}
    with pytest.raises(Malformed):
        decode(b'{"a":1}', limit=6)


def test_the_largest_numbers_are_read():
    data = b'{"a":9007199254740991,"b":-9007199254740991}'
    assert decode(data, limit=LIMIT) == {"a": MAX_INT, "b": -MAX_INT}


@pytest.mark.parametrize("escape", ["", '"\\u0061",'])
def test_eight_levels_are_read_and_nine_refused(escape):
    def nested(levels):
        return ("[" * (levels - 1) + "[" + escape + "1]" + "]" * (levels - 1)).encode()

    assert nesting(decode_value(nested(8), limit=LIMIT)) == 8
    with pytest.raises(Malformed):
        decode_value(nested(9), limit=LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"a":"\\"",' + b'"b":[' * 200_000,
        b'["]",' * 200_000 + b"0" + b',"["]' * 200_000,
        b'["\\"]",' * 200_000 + b"0" + b',"["]' * 200_000,
        b'"' + b'\\"' * 1_000_000,
        b"[" * 500_000 + b"]" * 500_000,
        b"]" * 100 + b"\\" + b"[" * 1_000_000,
    ],
)
def test_a_deeply_nested_input_is_refused_without_recursion(data):
    with pytest.raises(Malformed):
        decode_value(data, limit=len(data))


def test_brackets_beside_escaped_quotes_are_no_nesting():
    for text in ('a"{"b', '"[[[[[[[[[["', '\\"{', '{"}"{"}"'):
        data = json.dumps({"a": [text]}).encode()
        assert decode(data, limit=1000) == {"a": [text]}


def test_many_texts_with_escapes_beside_one_another_are_no_nesting():
    value = {f'"{number}': ["{", number, []] for number in range(20)}
    assert decode(json.dumps(value).encode(), limit=2000) == value


def test_brackets_inside_texts_are_no_nesting():
    text = "[{" * 50
    assert decode(json.dumps({"a": text, "b": '"]}'}).encode(), limit=LIMIT) == {"a": text, "b": '"]}'}
    assert decode(f'{{"a":"{text}"}}'.encode(), limit=LIMIT) == {"a": text}


def test_an_error_names_no_value_and_keeps_no_input():
    with pytest.raises(Malformed) as caught:
        decode(b'{"name": "Amina"', limit=LIMIT)
    assert "Amina" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_members_are_sorted_and_there_are_no_spaces():
    assert encode({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()


def test_any_mapping_and_sequence_is_written():
    assert (
        encode(MappingProxyType({"a": (1, None, MappingProxyType({"b": True}), range(2))}))
        == b'{"a":[1,null,{"b":true},[0,1]]}'
    )


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        {"a": 1.0},
        MAX_INT + 1,
        -MAX_INT - 1,
        [MAX_INT + 1],
        (MAX_INT + 1,),
        "\x00",
        "\ud800",
        ["\x00"],
        ("\ud800",),
        {"\x00": 1},
        {1: 1},
        b"bytes",
        [b"bytes"],
        {"a": object()},
        {"a": {1, 2}},
        [[[[[[[[[1]]]]]]]]],
        ((((((((((),),),),),),),),),),
    ],
)
def test_what_could_not_be_read_is_not_written(value):
    with pytest.raises(Malformed):
        encode(value)


def test_a_backslash_before_u0000_is_a_text_like_any_other():
    assert decode(encode({"a": "\\u0000"}), limit=LIMIT) == {"a": "\\u0000"}


def test_the_written_length_has_a_limit_too():
    assert encode({"a": 1}, limit=7) == b'{"a":1}'
    with pytest.raises(Malformed):
        encode({"a": 1}, limit=6)


@given(st.binary(max_size=80))
def test_base64url_reads_back_the_same(data):
    text = b64u(data)
    assert not set(text) & set("+/= \n")
    assert unb64u(text, field="f") == data
    assert unb64u(text, field="f", length=len(data)) == data
    assert unb64u(text, field="f", limit=len(data)) == data


@given(st.text(alphabet="ABCZaz09-_+/= \n\u0663", max_size=12))
def test_base64url_has_one_spelling_for_every_value(text):
    try:
        data = unb64u(text, field="f")
    except Malformed:
        return
    assert b64u(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "AA==",
        "AAA=",
        " AAAA",
        "AAAA\n",
        "AA AA",
        "A",
        "AAAAA",
        "AB",
        "AAB",
        "A+/A",
        "ÄÄÄÄ",
        "\ud800",
        1,
        None,
        [],
        True,
    ],
)
def test_base64url_refuses(text):
    with pytest.raises(Malformed) as caught:
        unb64u(text, field="f")
    assert caught.value.field == "f"


def test_base64url_lengths_are_exact():
    for data in (bytes(31), bytes(33), b""):
        with pytest.raises(Malformed):
            unb64u(b64u(data), field="f", length=32)
    with pytest.raises(Malformed):
        unb64u(b64u(bytes(33)), field="f", limit=32)
    assert unb64u("", field="f", limit=32) == b""


def test_a_length_prefix_is_eight_bytes_big_endian():
    assert lp(b"ab", b"") == b"\0\0\0\0\0\0\0\x02ab" + bytes(8)
    assert lp() == b""


@given(st.lists(st.binary(max_size=9), max_size=4), st.lists(st.binary(max_size=9), max_size=4))
def test_length_prefixes_keep_lists_apart(first, second):
    assert (lp(*first) == lp(*second)) is (first == second)


def test_the_digest_is_sha256():
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_read_back_the_same_to_the_second(when):
    read = parse_time(format_time(when), field="t")
    assert read == when.replace(microsecond=0)
    assert read.tzinfo is UTC


def test_a_time_of_another_zone_is_written_in_utc():
    assert format_time(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"


def test_a_time_without_a_zone_is_not_written():
    with pytest.raises(Malformed):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00",
        "2026-11-23T12:00:00+00:00",
        "2026-11-23T12:00:00.0Z",
        "2026-11-23 12:00:00Z",
        "2026-11-23T12:00:00z",
        "2026-11-23T12:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T12:00:60Z",
        "0000-01-01T00:00:00Z",
        "２０26-11-23T12:00:00Z",
        "2026-11-23T12:00:00Z\n",
        "",
        1,
        None,
    ],
)
def test_a_time_is_refused_unless_it_is_exact(text):
    with pytest.raises(Malformed) as caught:
        parse_time(text, field="iat")
    assert caught.value.field == "iat"
