"""Strict marshmallow pieces for HTTP bodies and queries, and the one way to load with them.

Nothing is coerced: a number is a number, a flag is a flag, unknown members are refused. An error names the
member and the rule; it must never repeat a value, nor the name of a member that the schema does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import marshmallow as ma
from marshmallow import fields, validate

from exchange_schemas.codec import MAX_INT
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import AGENCY_PATTERN, DIGEST_PATTERN, ID_PATTERN
from exchange_schemas.limits import LIMITS

CURSOR_CHARS: Final = 128
PAGE_LIMIT: Final = 100
PAGE_MOST: Final = 500
EXAMPLE_ID: Final = "3q2-7wAAAAAAAAAAAAAAAA"
EXAMPLE_DIGEST: Final = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
_NAMED_CHARS: Final = 400
_DIGITS: Final = re.compile("0|[1-9][0-9]{0,15}")


class JsonSchema(ma.Schema):
    """A JSON object whose members are all listed; anything else is refused."""

    class Meta:
        """Unknown members are an error, in the file and in the interface description."""

        unknown = ma.RAISE


class Pattern(validate.Validator):
    """The whole text matches; written with both anchors in the interface description."""

    def __init__(self, pattern: str) -> None:
        self.pattern = f"^(?:{pattern})$"
        self._regex = re.compile(pattern)

    def __call__(self, value: str) -> str:
        """The value. Raises: ma.ValidationError."""
        if self._regex.fullmatch(value) is None:
            raise ma.ValidationError("Not of the form that is needed.")
        return value


class Whole(fields.Integer):
    """A whole number of JSON: no text, no fraction, no true or false."""

    def _validated(self, value: Any) -> int:
        # bool is an int in Python; int() would take texts and fractions.
        if type(value) is not int:
            raise self.make_error("invalid")
        if not -MAX_INT <= value <= MAX_INT:
            raise self.make_error("too_large")
        return value


class Count(fields.Integer):
    """A whole number in a query: ASCII digits, no sign, no leading zero."""

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or _DIGITS.fullmatch(value) is None:
            raise self.make_error("invalid")
        return int(value)


class Flag(fields.Boolean):
    """true or false and nothing that looks like it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=type(value).__name__)
        return value


def text(*, limit: int, required: bool = True, description: str | None = None) -> fields.String:
    """Text of 1 to `limit` characters."""
    return fields.String(
        required=required, validate=validate.Length(min=1, max=limit), metadata=_metadata(description)
    )


def matching(
    pattern: str, *, required: bool = True, description: str | None = None, limit: int | None = None
) -> fields.String:
    """Text that fully matches `pattern`, which bounds its length; `limit` is that bound, to be described."""
    metadata: dict[str, Any] = _metadata(description)
    if limit is not None:
        metadata["maxLength"] = limit
    return fields.String(required=required, validate=Pattern(pattern), metadata=metadata)


def one_of(*words: str, required: bool = True, description: str | None = None) -> fields.String:
    """One of a few words; an error names them while they fit the detail of a problem document."""
    few = sum(map(len, words)) <= _NAMED_CHARS
    known = validate.OneOf(words, error=None if few else "Not one of the words that the description lists.")
    return fields.String(required=required, validate=known, metadata=_metadata(description))


def identifier(*, required: bool = True, description: str | None = None) -> fields.String:
    """A random id of 16 bytes."""
    return matching(ID_PATTERN, required=required, description=description, limit=22)


def digest(*, required: bool = True, description: str | None = None) -> fields.String:
    """A SHA-256 digest or a key id."""
    return matching(DIGEST_PATTERN, required=required, description=description, limit=43)


def agency(*, required: bool = True, description: str | None = None) -> fields.String:
    """An agency's id."""
    return matching(AGENCY_PATTERN, required=required, description=description, limit=40)


def encoded(*, limit: int, required: bool = True, description: str | None = None) -> fields.String:
    """base64url without padding of 1 to `limit` bytes. The form only: who uses it decodes it strictly."""
    most = (limit * 4 + 2) // 3
    form = [validate.Length(min=2, max=most), Pattern("[A-Za-z0-9_-]*")]
    return fields.String(required=required, validate=form, metadata=_metadata(description))


def hashes(description: str) -> fields.List[Any]:
    """A path of hashes in a Merkle tree, as long as the deepest tree needs."""
    return fields.List(
        encoded(limit=32), required=True, metadata={"maxItems": 63, "description": description}
    )


def cursor() -> fields.String:
    """Where a listing goes on; null at its end."""
    return fields.String(required=True, allow_none=True, metadata={"maxLength": CURSOR_CHARS})


def listed(item: type[JsonSchema], *, limit: int) -> fields.List[Any]:
    """A list whose length the service checks, or makes: `limit` is only described."""
    return fields.List(fields.Nested(item), required=True, metadata={"maxItems": limit})


def _metadata(description: str | None) -> dict[str, Any]:
    return {} if description is None else {"description": description}


class SignatureSchema(JsonSchema):
    """One signature of a JWS in General JSON form."""

    protected = encoded(limit=1024, description="Protected header, exactly {alg, kid, typ}")
    signature = encoded(limit=8192)


class JwsSchema(JsonSchema):
    """A signed object: JWS General JSON (RFC 7515, section 7.2.1)."""

    payload = encoded(limit=LIMITS.enrolment_bytes, description="The exact bytes that were signed")
    signatures = fields.List(
        fields.Nested(SignatureSchema),
        required=True,
        validate=validate.Length(min=1, max=LIMITS.signatures_per_object),
    )


class ReceiptSchema(JsonSchema):
    """Proof that this answer is in the audit log."""

    entry = encoded(limit=LIMITS.entry_bytes, description="The entry's bytes")
    proof = text(limit=16 * 1024, description="C2SP tlog-proof of the entry, with the checkpoint it leads to")


class PageQuery(JsonSchema):
    """Where a listing goes on and how much of it is wanted."""

    cursor = matching(f"[A-Za-z0-9_-]{{1,{CURSOR_CHARS}}}", required=False, limit=CURSOR_CHARS)
    limit = Count(load_default=PAGE_LIMIT, validate=validate.Range(min=1, max=PAGE_MOST))


EXAMPLE_JWS: Final = {
    "payload": "eyJ2IjoxfQ",
    "signatures": [{"protected": "eyJhbGciOiJFZDI1NTE5In0", "signature": "c2lnbmF0dXJl"}],
}
EXAMPLE_RECEIPT: Final = {
    "entry": "eyJ2IjoxfQ",
    "proof": "c2sp.org/tlog-proof@v1\nindex 0\n\nhub.example/audit\n1\nx\n\n— hub.example/audit x\n",
}


def load(schema: ma.Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as the schema reads it. Raises: Malformed, naming the first member at fault."""
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ma.ValidationError as error:
        field, rule = _fault(schema.fields, error.messages, "")
        where = "body" if field == "" else field
        raise Malformed(f"{where}: {rule}", field=None if field == "" else field) from None
    return loaded


def _fault(known: Mapping[str, fields.Field[Any]] | None, messages: object, path: str) -> tuple[str, str]:
    """The first fault in marshmallow's tree of messages: (path of known names, rule)."""
    while isinstance(messages, Mapping):
        key, messages = next(iter(messages.items()))
        if isinstance(key, int):
            path = f"{path}[{key}]"
        elif known is not None and key in known:
            path, known = (f"{path}.{key}" if path else key), _members(known[key])
        elif key != "_schema":
            # The key is the caller's own text.
            return path, "has a member that is not allowed"
    first = messages[0] if isinstance(messages, list) and messages else ""
    rule = first.rstrip(".") if isinstance(first, str) else ""
    return path, rule.replace("Missing data for required field", "is missing") or "is not allowed"


def _members(field: fields.Field[Any]) -> Mapping[str, fields.Field[Any]] | None:
    while isinstance(field, fields.List):
        field = field.inner
    return field.schema.fields if isinstance(field, fields.Nested) else None
