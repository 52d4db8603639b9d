"""Loading with the strict schemas: no coercion, no echo."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields, validate

from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_JWS,
    EXAMPLE_RECEIPT,
    Count,
    Flag,
    JsonSchema,
    JwsSchema,
    PageQuery,
    ReceiptSchema,
    Whole,
    agency,
    digest,
    encoded,
    identifier,
    load,
    matching,
    one_of,
    text,
)
from exchange_schemas.errors import Malformed


class Inner(JsonSchema):
    number = Whole(required=True, validate=validate.Range(min=1, max=9))


class Outer(JsonSchema):
    inner = fields.Nested(Inner)
    items = fields.List(fields.Nested(Inner), validate=validate.Length(max=2))
    named = fields.Dict(keys=fields.String(), values=Whole())
    flag = Flag()
    word = one_of("a", "b", required=False)
    digits = matching("[0-9]{2}", required=False)
    plain = text(limit=3, required=False)
    bytes = encoded(limit=3, required=False)


def refused(data: dict[str, Any], schema: type[JsonSchema] = Outer) -> Malformed:
    with pytest.raises(Malformed) as caught:
        load(schema(), data)
    return caught.value


GOOD: dict[str, Any] = {
    "inner": {"number": 1},
    "items": [{"number": 9}],
    "named": {"x": 2},
    "flag": False,
    "word": "a",
    "digits": "07",
    "plain": "é",
    "bytes": "AAAA",
}


def test_good_data_comes_back_as_it_is() -> None:
    assert load(Outer(), GOOD) == GOOD
    assert load(Outer(), {}) == {}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"inner": {"number": True}}, "inner.number"),
        ({"inner": {"number": 1.0}}, "inner.number"),
        ({"inner": {"number": "1"}}, "inner.number"),
        ({"inner": {"number": None}}, "inner.number"),
        ({"inner": {"number": 10}}, "inner.number"),
        ({"inner": {"number": 2**53}}, "inner.number"),
        ({"inner": {}}, "inner.number"),
        ({"inner": []}, "inner"),
        ({"items": [{"number": 1}, {"number": 0}]}, "items[1].number"),
        ({"items": [{"number": 1}] * 3}, "items"),
        ({"items": {}}, "items"),
        ({"flag": 1}, "flag"),
        ({"flag": "yes"}, "flag"),
        ({"word": "c"}, "word"),
        ({"digits": "٣٣"}, "digits"),
        ({"digits": "07\n"}, "digits"),
        ({"digits": 7}, "digits"),
        ({"plain": ""}, "plain"),
        ({"plain": "abcd"}, "plain"),
        ({"bytes": "AA=="}, "bytes"),
        ({"bytes": "AAAAA"}, "bytes"),
    ],
)
def test_what_is_not_exactly_right_is_refused_and_named(data: dict[str, Any], field: str) -> None:
    error = refused(data)
    assert error.field == field
    assert error.message.startswith(f"{field}: ")


SECRET = "Maryam born in Aleppo"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({SECRET: 1}, None),
        ({"inner": {"number": 1, SECRET: 1}}, "inner"),
        ({"items": [{"number": 1}, {"number": 1, SECRET: 1}]}, "items[1]"),
        ({"named": {SECRET: "x"}}, "named"),
        ({"word": SECRET}, "word"),
        ({"plain": SECRET}, "plain"),
        ({"digits": SECRET}, "digits"),
        ({"flag": SECRET}, "flag"),
        ({"inner": SECRET}, "inner"),
        ({"items": SECRET}, "items"),
    ],
)
def test_an_error_never_repeats_a_value_or_an_unknown_name(data: dict[str, Any], field: str | None) -> None:
    error = refused(data)
    assert "Maryam" not in str(error)
    assert error.field == field


@given(st.text(max_size=12))
def test_a_number_in_a_query_is_ascii_digits_without_a_leading_zero(value: str) -> None:
    class Query(JsonSchema):
        count = Count(required=True)

    plain = value.isascii() and value.isdigit() and str(int(value)) == value
    if plain:
        assert load(Query(), {"count": value}) == {"count": int(value)}
    else:
        assert refused({"count": value}, Query).field == "count"


def test_a_page_has_a_default_and_a_limit() -> None:
    assert load(PageQuery(), {}) == {"limit": 100}
    assert load(PageQuery(), {"limit": "500", "cursor": "abc"}) == {"limit": 500, "cursor": "abc"}
    for bad in ({"limit": "501"}, {"limit": "0"}, {"cursor": "a b"}, {"cursor": "a" * 129}):
        refused(bad, PageQuery)


def test_the_examples_fit_their_schemas() -> None:
    class Ids(JsonSchema):
        id = identifier()
        digest = digest()
        agency = agency()

    load(Ids(), {"id": EXAMPLE_ID, "digest": EXAMPLE_DIGEST, "agency": "agency-a"})
    load(JwsSchema(), EXAMPLE_JWS)
    load(ReceiptSchema(), EXAMPLE_RECEIPT)


def test_a_signed_object_has_its_limits() -> None:
    many = [EXAMPLE_JWS["signatures"][0]] * 35  # type: ignore[index]  # a mapping of mixed values
    assert refused({**EXAMPLE_JWS, "signatures": many}, JwsSchema).field == "signatures"
    assert refused({**EXAMPLE_JWS, "signatures": []}, JwsSchema).field == "signatures"


def test_a_word_of_a_long_list_is_refused_without_the_whole_list() -> None:
    class Named(JsonSchema):
        name = one_of(*(f"word_number_{n}" for n in range(200)))

    with pytest.raises(Malformed) as refused:
        load(Named(), {"name": "other"})
    assert len(refused.value.message) < 1000
    assert "word_number_0" not in refused.value.message


def test_a_word_of_a_short_list_is_refused_with_the_list() -> None:
    class Named(JsonSchema):
        name = one_of("red", "blue")

    with pytest.raises(Malformed, match="red, blue"):
        load(Named(), {"name": "other"})
