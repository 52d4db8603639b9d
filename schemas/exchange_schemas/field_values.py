"""One sealed value: checking it, and the exact bytes that go into a part.

The same for record fields and message fields. A value must never appear in an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange_schemas.codec import JsonValue, decode, encode
from exchange_schemas.members import Member
from exchange_schemas.text_rules import refuse

VALUE_MEMBER = "v"


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field's name, the member that checks it, and the size in bytes that its part is padded to."""

    name: str
    member: Member
    bucket: int

    def check(self, value: JsonValue) -> JsonValue:
        """The value, when it is one of this field. Raises: Malformed."""
        checked: JsonValue = self.member.read(value, self.name)
        return checked

    def encode(self, value: JsonValue) -> bytes:
        """`{"v": value}`, a byte or more below the bucket, since padding takes one. Raises: Malformed."""
        data = encode({VALUE_MEMBER: self.check(value)})
        if len(data) >= self.bucket:
            refuse(self.name, "length", f"the value takes more than {self.bucket - 1} bytes")
        return data

    def decode(self, data: bytes) -> JsonValue:
        """The value of a part's plaintext without its padding. Raises: Malformed."""
        members = decode(data, limit=self.bucket - 1)
        if set(members) != {VALUE_MEMBER}:
            refuse(self.name, "type", "the plaintext is not one value")
        return self.check(members[VALUE_MEMBER])
