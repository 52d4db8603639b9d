"""From a type of the catalogue to the member that checks its values; values stay plain JSON.

Built from the types alone: no field has a rule of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import fields, validate

from exchange_schemas.codec import JsonValue
from exchange_schemas.members import (
    Code,
    ListOf,
    Member,
    Pattern,
    Text,
    Whole,
    agency,
    country,
    digest,
    language,
    random_id,
)
from exchange_schemas.payload import Object, StrictSchema
from exchange_schemas.text_rules import refuse
from exchange_schemas.value_types import (
    CodesType,
    CodeType,
    FieldNameType,
    IntegerType,
    ListType,
    ObjectType,
    PlainType,
    TextType,
    ValueType,
)

_PARTIAL = "[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?"
_FULL = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PHONE = r"\+[1-9][0-9]{6,14}"
_LOCAL = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# An ordinary address (RFC 5321 in ASCII, without quoted local parts or address literals).
_EMAIL = rf"(?=.{{6,254}}$)(?=[^@]{{1,64}}@){_LOCAL}(?:\.{_LOCAL})*@{_LABEL}(?:\.{_LABEL})+"


class DateText(Member, fields.String):
    """A real date as text: YYYY-MM-DD, or with `partial` also YYYY-MM and YYYY."""

    def __init__(self, *, partial: bool, **kwargs: Any) -> None:
        pattern = _PARTIAL if partial else _FULL
        super().__init__(validate=validate.Regexp(f"^(?:{pattern})$"), **kwargs)
        self._match = re.compile(pattern).fullmatch
        self.words = "YYYY, YYYY-MM or YYYY-MM-DD" if partial else "YYYY-MM-DD"

    def read(self, value: JsonValue, where: str) -> str:
        if isinstance(value, str) and self._match(value) is not None:
            try:
                date.fromisoformat(value + "-01-01"[len(value) - 4 :])
            except ValueError:
                pass
            else:
                return value
        refuse(where, "date", f"a real date as {self.words} is needed")


class JsonList(ListOf):
    """A list that stays a list; `keys`: members that tell two items apart."""

    def __init__(self, item: Member, *, keys: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.keys = keys

    def read(self, value: JsonValue, where: str) -> list[Any]:
        items = list(super().read(value, where))
        if self.keys:
            seen = {tuple(item[key] for key in self.keys) for item in items}
            if len(seen) != len(items):
                refuse(where, "unique", f"two items have the same {' and '.join(self.keys)}")
        return items


class JsonObject(Object):
    """An object that stays a dict."""

    def __init__(self, shape: type[StrictSchema], **kwargs: Any) -> None:
        super().__init__(shape, dict, **kwargs)

    def write(self, value: Any) -> dict[str, Any]:
        return dict(value)


class Codes(JsonList):
    """Different codes of one list; those in `alone` stand alone."""

    def __init__(self, kind: CodesType, **kwargs: Any) -> None:
        super().__init__(Code(kind.codes), least=1, most=kind.most, unique=True, **kwargs)
        self.alone = frozenset(kind.alone)

    def read(self, value: JsonValue, where: str) -> list[Any]:
        codes = super().read(value, where)
        if len(codes) > 1 and not self.alone.isdisjoint(codes):
            refuse(where, "alone", "a code that excludes the others stands beside them")
        return codes


def member_of(kind: ValueType, name: str, **kwargs: Any) -> Member:
    """The member for values of `kind`; `name` names the schemas of nested objects in the OpenAPI file."""
    if isinstance(kind, TextType):
        return Text(chars=kind.chars, octets=kind.octets, **kwargs)
    if isinstance(kind, IntegerType):
        return Whole(kind.least, kind.most, **kwargs)
    if isinstance(kind, CodeType):
        return Code(kind.codes, **kwargs)
    if isinstance(kind, CodesType):
        return Codes(kind, **kwargs)
    if isinstance(kind, FieldNameType):
        return Code(kind.names, **kwargs)
    if isinstance(kind, ListType):
        keys = kind.unique or ()
        whole = kind.unique == ()
        item = member_of(kind.item, name)
        return JsonList(item, keys=keys, unique=whole, least=kind.least, most=kind.most, **kwargs)
    return _plain(kind, **kwargs) if isinstance(kind, PlainType) else _object(kind, name, **kwargs)


def _plain(kind: PlainType, **kwargs: Any) -> Member:
    makers = {
        "id": random_id,
        "digest": digest,
        "agency": agency,
        "country": country,
        "language": language,
    }
    if kind.name in makers:
        return makers[kind.name](**kwargs)
    if kind.name == "script":
        return Pattern("[A-Z][a-z]{3}", "a script code (ISO 15924)", **kwargs)
    if kind.name == "contact":
        return Pattern(f"{_PHONE}|{_EMAIL}", "+ and digits, or an e-mail address,", **kwargs)
    return DateText(partial=kind.name == "partial_date", **kwargs)


def _object(kind: ObjectType, name: str, **kwargs: Any) -> Member:
    members = {
        member.name: member_of(member.type, f"{name}_{member.name}", required=not member.optional)
        for member in kind.members
    }

    def whole(values: Mapping[str, Any]) -> None:
        check_object(kind, name, values)

    title = "".join(word.capitalize() for word in name.split("_")) + "ValueSchema"
    shape = type(title, (StrictSchema,), {**members, "whole": staticmethod(whole)})
    return JsonObject(shape, **kwargs)


def check_object(kind: ObjectType, name: str, values: Mapping[str, Any]) -> None:
    """The rules of an object type over several members. Raises: Malformed."""
    for low, high in kind.ordered:
        if values[low] > values[high]:
            refuse(name, "order", f"{low} must not be over {high}")
    if kind.any_of and not any(member in values for member in kind.any_of):
        refuse(name, "missing", f"at least one of {', '.join(kind.any_of)} is needed")
    if kind.when is not None:
        applies = values[kind.when.member] == kind.when.code
        if any((member in values) is not applies for member in kind.when.needs):
            needs = " and ".join(kind.when.needs)
            refuse(name, "when", f"{needs} come with {kind.when.code} and only then")
