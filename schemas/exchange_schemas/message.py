"""What a message says about itself, and the content of a whole message of a kind.

Built from catalogue.toml, as record.py is. No message field may hold data about a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from exchange_schemas import record
from exchange_schemas.catalogue import check_kind, load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed
from exchange_schemas.field_values import FieldValue
from exchange_schemas.payload import StrictSchema, members_of
from exchange_schemas.value_members import member_of


@cache
def message_schema() -> type[StrictSchema]:
    """The marshmallow schema of all message fields; which of them a message has is its kind's matter."""
    fields = load_catalogue().message_fields
    members = {name: member_of(spec.type, name, required=False) for name, spec in fields.items()}
    return type("MessageSchema", (StrictSchema,), members)


@cache
def _sealed(name: str) -> FieldValue:
    spec = load_catalogue().message_fields.get(name)
    if spec is None:
        raise Malformed("the catalogue has no such message field", rule="unknown")
    return FieldValue(name, members_of(message_schema())[name], spec.bucket)


def validate_field(name: str, value: JsonValue) -> JsonValue:
    """The value, when it is one of this message field. Raises: Malformed (field=, rule=)."""
    return _sealed(name).check(value)


def encode_field(name: str, value: JsonValue) -> bytes:
    """The plaintext of a message field's part before padding: `{"v": value}`. Raises: Malformed."""
    return _sealed(name).encode(value)


def decode_field(name: str, data: bytes) -> JsonValue:
    """The value of a message field's part after padding was taken off. Raises: Malformed."""
    return _sealed(name).decode(data)


def validate_content(kind: str, fields: Mapping[str, JsonValue]) -> None:
    """That the names fit the kind and every value its field; record and message fields together.

    Raises: FieldDenied for a name, Malformed for an unknown kind or a value.
    """
    catalogue = load_catalogue()
    check_kind(catalogue, kind, fields)
    for name, value in fields.items():
        if name in catalogue.message_fields:
            validate_field(name, value)
        else:
            record.validate_field(name, value)
