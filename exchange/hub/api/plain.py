"""A quick look at a body that is as it should be: the same rules as marshmallow's, without its copies.

A schema of texts, whole numbers, flags, and lists and objects of these gives back what it was given, so a
body that keeps every rule can be used as it is. Whatever does not pass here is left to marshmallow, which
finds the words for it. Nothing here may accept what marshmallow refuses; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import marshmallow as ma
from marshmallow import fields

Check = Callable[[Any], bool]


def check_of(schema: ma.Schema) -> Check | None:
    """A check of whole bodies; None for a schema that changes what it is given."""
    if schema.unknown != ma.RAISE or any(schema._hooks.values()):
        return None
    checks: dict[str, Check] = {}
    for name, field in schema.fields.items():
        check = _field(field)
        if check is None or field.data_key is not None or field.load_default is not ma.missing:
            return None
        checks[name] = check
    needed = frozenset(name for name, field in schema.fields.items() if field.required)

    def passes(data: Any) -> bool:
        return (
            type(data) is dict
            and checks.keys() >= data.keys() >= needed
            and all(checks[name](value) for name, value in data.items())
        )

    return passes


def _field(field: fields.Field[Any]) -> Check | None:
    inside = _inside(field)
    if inside is None:
        return None
    validators, nullable = tuple(field.validators), field.allow_none

    def passes(value: Any) -> bool:
        if value is None:
            return nullable
        return inside(value) and _all_pass(validators, value)

    return passes


def _inside(field: fields.Field[Any]) -> Check | None:
    """What the field itself asks of a value that is not null."""
    if type(field) is fields.String:
        return lambda value: type(value) is str
    if type(field) is fields.Nested and not field.many:
        return check_of(field.schema)
    if type(field) is fields.List:
        item = _field(field.inner)
        return None if item is None else lambda value: type(value) is list and all(map(item, value))
    return None


def _all_pass(validators: Iterable[Callable[[Any], Any]], value: Any) -> bool:
    try:
        for validator in validators:
            validator(value)
    except ma.ValidationError:
        return False
    return True
