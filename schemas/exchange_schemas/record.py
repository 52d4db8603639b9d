"""A child's record: one flat object {field name: value}, every value as the catalogue says.

The validators are built from catalogue.toml; no field may be named here. A photo's value is a descriptor that
stays with the holder: what is sealed is the JPEG itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed
from exchange_schemas.field_values import FieldValue
from exchange_schemas.members import Member
from exchange_schemas.payload import StrictSchema, members_of
from exchange_schemas.value_members import member_of


@cache
def record_schema() -> type[StrictSchema]:
    """The marshmallow schema of a record; no field is required, since a record grows."""
    members = {
        name: member_of(spec.type, name, required=False) for name, spec in load_catalogue().fields.items()
    }
    return type("RecordSchema", (StrictSchema,), members)


def _member(name: str) -> Member:
    member = members_of(record_schema()).get(name)
    if member is None:
        # The name is the sender's text, so it is not echoed.
        raise Malformed("the catalogue has no such record field", rule="unknown")
    return member


@cache
def _sealed(name: str) -> FieldValue:
    member = _member(name)
    bucket = load_catalogue().fields[name].bucket
    if bucket is None:
        raise Malformed(f"{name}: an attachment is sealed as a file, not as a value", field=name, rule="type")
    return FieldValue(name, member, bucket)


def validate_field(name: str, value: JsonValue) -> JsonValue:
    """The value, when it is one of this record field. Raises: Malformed (field=, rule=)."""
    checked: JsonValue = _member(name).read(value, name)
    return checked


def validate_record(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The record, when every field is known and its value right. Raises: Malformed (field=, rule=)."""
    return {name: validate_field(name, item) for name, item in value.items()}


def encode_field(name: str, value: JsonValue) -> bytes:
    """The plaintext of a field's part before padding: `{"v": value}`. Raises: Malformed."""
    return _sealed(name).encode(value)


def decode_field(name: str, data: bytes) -> JsonValue:
    """The value of a field's part after padding was taken off. Raises: Malformed."""
    return _sealed(name).decode(data)
