"""The quick look at a body passes nothing that marshmallow would refuse or change."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import EXCLUDE, ValidationError, fields, validate

from exchange.hub.api.envelopes import DepositRequest
from exchange.hub.api.oauth import TokenForm
from exchange.hub.api.plain import check_of
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_JWS,
    JsonSchema,
    JwsSchema,
    PageQuery,
    Whole,
    digest,
    text,
)

DEPOSIT = {
    "manifest": EXAMPLE_JWS,
    "grants": [{"core": "eyJ2IjoxfQ", "sealed": "c2VhbGVk"}],
    "parts": [{"sha256": EXAMPLE_DIGEST, "ct": "Y2lwaGVydGV4dA"}],
}
EDITS: list[Any] = [None, 1, 1.5, True, "", "x" * 50, [], {}, [None], {"a": "b"}, "a b", "\x00"]


class Optional(JsonSchema):
    name = text(limit=5)
    maybe = digest(required=False)
    nothing = fields.Nested(JwsSchema, required=True, allow_none=True)
    several = fields.List(fields.String(), validate=validate.Length(max=2))


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += paths(item, (*path, key))
    return found


def edited(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy with another value at one place."""
    if path == ():
        return change
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = edited(value[path[0]], path[1:], change)
    return copy


@st.composite
def bodies(draw: st.DrawFn, whole: Any) -> Any:
    """The whole body with one place changed, a member dropped, or one added."""
    path = draw(st.sampled_from(paths(whole)))
    at = whole
    for key in path:
        at = at[key]
    if isinstance(at, dict) and draw(st.booleans()):
        names = [name for name in at if draw(st.booleans())]
        extra = {"other": "x"} if draw(st.booleans()) else {}
        return edited(whole, path, {name: at[name] for name in names} | extra)
    return edited(whole, path, draw(st.sampled_from(EDITS)))


def agrees(schema: JsonSchema, body: Any) -> None:
    """Whether the quick look and marshmallow say the same."""
    check = check_of(schema)
    assert check is not None
    try:
        loaded = schema.load(body)
    except ValidationError:
        assert not check(body)
    else:
        assert check(body)
        assert loaded == body


@given(body=bodies(DEPOSIT))
def test_a_deposit_passes_where_marshmallow_takes_it(body: Any) -> None:
    agrees(DepositRequest(), body)


@given(
    body=bodies({"name": "abc", "maybe": EXAMPLE_DIGEST, "nothing": EXAMPLE_JWS, "several": ["a"]})
    | bodies({"name": "abc", "nothing": None, "several": []})
)
def test_optional_and_null_members_pass_where_marshmallow_takes_them(body: Any) -> None:
    agrees(Optional(), body)


def test_the_whole_bodies_pass() -> None:
    check = check_of(DepositRequest())
    assert check is not None
    assert check(DEPOSIT)


class WithDefault(JsonSchema):
    name = fields.String(load_default="x")


class Renamed(JsonSchema):
    name = fields.String(data_key="other")


class Lenient(JsonSchema):
    class Meta:
        unknown = EXCLUDE

    name = text(limit=5)


class Number(JsonSchema):
    number = Whole(required=True)


@pytest.mark.parametrize("schema", [WithDefault, Renamed, Lenient, Number, PageQuery, TokenForm])
def test_a_schema_that_may_change_its_body_has_no_quick_look(schema: type[JsonSchema]) -> None:
    assert check_of(schema()) is None
