"""A recipient's signed receipt: what became of a grant that it fetched. It says nothing about the content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from exchange_schemas.errors import protocol_codes
from exchange_schemas.ids import AgencyId, Digest, GrantId
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, Time, agency, digest, random_id
from exchange_schemas.payload import Payload, SignedSchema, StrictSchema
from exchange_schemas.text_rules import refuse


class RecipientReceiptSchema(SignedSchema):
    """What the recipient's envelope key signs."""

    typ = Code(["hx-receipt"])
    gid = random_id()
    grant = digest()
    snd = agency()
    rcp = agency()
    outcome = Code(["opened", "refused"])
    code = Code(protocol_codes(), required=False)
    iat = Time()

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if (values["outcome"] == "refused") is not ("code" in values):
            refuse("code", "outcome", "an error code comes with refused and only then")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientReceipt(Payload):
    """`grant`: the grant's digest; `snd`, `rcp`: its sender and recipient; `code`: why it was refused."""

    origin: str
    gid: GrantId
    grant: Digest
    snd: AgencyId
    rcp: AgencyId
    outcome: str
    iat: datetime
    code: str | None = None

    typ: ClassVar[str] = "hx-receipt"
    SCHEMA: ClassVar[type[StrictSchema]] = RecipientReceiptSchema
    LIMIT: ClassVar[int] = LIMITS.receipt_bytes
