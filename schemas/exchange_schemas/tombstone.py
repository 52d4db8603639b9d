"""What the hub gives in place of a dead grant: number and digest, so that the chain still verifies.

It is not signed and must never be believed alone: `digest` is checked through `prev` of the next grant, the
withdrawal by its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from exchange_schemas.codec import MAX_INT, Encodable, JsonValue, decode, encode
from exchange_schemas.enrolment import JwsObject
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, Whole, digest
from exchange_schemas.payload import StrictSchema, read_members, write_members

REASONS = ("CONSENT_WITHDRAWN", "CONSENT_EXPIRED", "CONSENT_SUPERSEDED", "GRANT_EXPIRED")


class TombstoneSchema(StrictSchema):
    """The members of a tombstone."""

    seq = Whole(1, MAX_INT)
    digest = digest()
    reason = Code(REASONS)
    withdrawal = JwsObject(required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """`seq`, `digest`: of the grant. `reason`: an error code. `withdrawal`: the issuer's, as JWS."""

    seq: int
    digest: Digest
    reason: str
    withdrawal: Mapping[str, JsonValue] | None = None

    SCHEMA: ClassVar[type[StrictSchema]] = TombstoneSchema
    LIMIT: ClassVar[int] = LIMITS.tombstone_bytes

    @classmethod
    def from_json(cls, value: JsonValue) -> Self:
        """From the `tombstone` member of a problem document. Raises: Malformed."""
        return cls(**read_members(cls.SCHEMA, value, "tombstone"))

    def to_json(self) -> dict[str, Encodable]:
        """The members for a problem document. Raises: Malformed for what `from_json` would refuse."""
        members = write_members(self.SCHEMA, self)
        read_members(self.SCHEMA, members, "tombstone")
        return members

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """From JSON bytes. Raises: Malformed."""
        return cls.from_json(decode(data, limit=cls.LIMIT))

    def to_bytes(self) -> bytes:
        """JSON bytes. Raises: Malformed."""
        return encode(self.to_json(), limit=self.LIMIT)
