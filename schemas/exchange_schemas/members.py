"""The members that every schema is made of: marshmallow fields that read strictly and write exactly.

Each field has one rule, `read`, used by marshmallow's own `load` (OpenAPI, HTTP bodies) and by the fast
reader in payload.py, so that the two cannot disagree. A field must never coerce: "1" is not 1, true is not 1.
The validators given to marshmallow describe the same rule for the OpenAPI file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from marshmallow import ValidationError, fields, validate

from exchange_schemas import ids
from exchange_schemas.codec import Encodable, JsonValue, b64u, format_time, parse_time, unb64u
from exchange_schemas.errors import ProtocolError
from exchange_schemas.text_rules import check_text, refuse


class Member(fields.Field[Any]):
    """A field with one strict rule. Required unless `required=False`; null is never allowed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("required", True)
        super().__init__(*args, **kwargs)

    def read(self, value: JsonValue, where: str) -> Any:
        """The checked value; `where` names the member in errors. Raises: Malformed."""
        raise NotImplementedError

    def write(self, value: Any) -> Encodable:
        """The JSON form of a value that `read` gave."""
        written: Encodable = value
        return written

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_kw: Any) -> Any:
        try:
            return self.read(value, "value" if attr is None else attr)
        except ProtocolError as error:
            raise ValidationError(str(error)) from None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_kw: Any) -> Any:
        return None if value is None else self.write(value)


class Text(Member, fields.String):
    """A person's words: `chars` characters, `octets` bytes of JSON (4 for each character unless given)."""

    def __init__(self, *, chars: int, octets: int | None = None, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=chars), **kwargs)
        self.chars = chars
        self.octets = 4 * chars if octets is None else octets

    def read(self, value: JsonValue, where: str) -> str:
        if not isinstance(value, str):
            refuse(where, "type", "a text is needed")
        return check_text(value, chars=self.chars, octets=self.octets, where=where)


class Pattern(Member, fields.String):
    """A short ASCII text that matches `pattern` as a whole; `what` says in words what is needed."""

    def __init__(self, pattern: str, what: str, **kwargs: Any) -> None:
        super().__init__(validate=validate.Regexp(f"^(?:{pattern})$"), **kwargs)
        self.pattern = pattern
        self.what = what
        self._match = re.compile(pattern).fullmatch

    def read(self, value: JsonValue, where: str) -> str:
        if not isinstance(value, str) or self._match(value) is None:
            refuse(where, "pattern", f"{self.what} is needed")
        return value


def random_id(**kwargs: Any) -> Pattern:
    """A random id: base64url of 16 bytes."""
    return Pattern(ids.ID_PATTERN, "an id of 16 bytes in base64url", **kwargs)


def digest(**kwargs: Any) -> Pattern:
    """A digest or key id: base64url of 32 bytes."""
    return Pattern(ids.DIGEST_PATTERN, "a digest of 32 bytes in base64url", **kwargs)


def agency(**kwargs: Any) -> Pattern:
    """An agency id."""
    return Pattern(ids.AGENCY_PATTERN, "an agency id", **kwargs)


def origin(**kwargs: Any) -> Pattern:
    """The deployment's name."""
    return Pattern(ids.ORIGIN_PATTERN, "a deployment's name in lower case", **kwargs)


def country(**kwargs: Any) -> Pattern:
    """ISO 3166-1 alpha-2."""
    return Pattern("[A-Z]{2}", "a country code of two capital letters", **kwargs)


def language(**kwargs: Any) -> Pattern:
    """A BCP 47 tag (RFC 5646, section 2.1) of language, script, region and variants; no private use."""
    subtags = (
        "(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})){0,2}"
    )
    return Pattern(f"[a-z]{{2,3}}{subtags}", "a BCP 47 language tag", **kwargs)


class Code(Member, fields.String):
    """One code of a closed list."""

    def __init__(self, codes: Collection[str], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(tuple(codes)), **kwargs)
        self.codes = frozenset(codes)

    def read(self, value: JsonValue, where: str) -> str:
        if not isinstance(value, str) or value not in self.codes:
            refuse(where, "code", "not a code of its list")
        return value


class Whole(Member, fields.Integer):
    """A whole number from `least` to `most`, both included."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=least, max=most), **kwargs)
        self.least = least
        self.most = most

    def read(self, value: JsonValue, where: str) -> int:
        # type(), not isinstance(): True is an int.
        if type(value) is not int or not self.least <= value <= self.most:
            refuse(where, "range", f"a whole number from {self.least} to {self.most} is needed")
        return value


class Flag(Member, fields.Boolean):
    """true or false."""

    def read(self, value: JsonValue, where: str) -> bool:
        if not isinstance(value, bool):
            refuse(where, "type", "true or false is needed")
        return value


class Time(Member, fields.String):
    """`YYYY-MM-DDTHH:MM:SSZ`; an aware UTC datetime in Python."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("metadata", {"format": "date-time"})
        super().__init__(**kwargs)

    def read(self, value: JsonValue, where: str) -> Any:
        return parse_time(value, field=where)

    def write(self, value: datetime) -> str:
        return format_time(value)


class Octets(Member, fields.String):
    """Raw bytes as base64url; `bytes` in Python. Exactly `length` bytes, or 1 to `most`."""

    def __init__(self, *, length: int | None = None, most: int | None = None, **kwargs: Any) -> None:
        # As metadata: a validator would see the bytes, not the text.
        super().__init__(metadata={"pattern": "^[A-Za-z0-9_-]+$"}, **kwargs)
        self.length = length
        self.most = most

    def read(self, value: JsonValue, where: str) -> Any:
        data = unb64u(value, field=where, length=self.length, limit=self.most)
        if not data:
            refuse(where, "length", "at least one byte is needed")
        return data

    def write(self, value: bytes) -> str:
        return b64u(value)


class ListOf(Member, fields.List[Any]):
    """A list of `least` to `most` items of one kind; a tuple in Python.

    `unique`: no item twice. `in_order`: sorted upwards by code point as well, so that one set has one form.
    """

    def __init__(
        self,
        item: Member,
        *,
        most: int,
        least: int = 0,
        unique: bool = False,
        in_order: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(item, validate=validate.Length(min=least, max=most), **kwargs)
        self.item = item
        self.least = least
        self.most = most
        self.unique = unique or in_order
        self.in_order = in_order

    def read(self, value: JsonValue, where: str) -> Any:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            refuse(where, "length", f"a list of {self.least} to {self.most} items is needed")
        read = self.item.read
        items = [read(item, where) for item in value]
        if self.in_order and any(first > second for first, second in pairwise(items)):
            refuse(where, "order", "the list must be sorted")
        if self.unique and len(set(items)) != len(items):
            refuse(where, "unique", "an item appears twice")
        return tuple(items)

    def write(self, value: Any) -> list[Encodable]:
        return [self.item.write(item) for item in value]
