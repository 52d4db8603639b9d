"""The cover of a courier bundle: who sends it to whom, until when, and the digest of what lies in it.

An office without network signs a cover of the way `out`: it is also the authority for the courier to carry
the office's requests to the hub and to bring back what waits, until `exp`. The courier signs one of the way
`back`, which answers it. The content is sealed to the receiver and bound to the cover's members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from exchange_schemas.codec import MAX_INT
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, Pattern, Time, Whole, agency, digest, random_id
from exchange_schemas.payload import Payload, SignedSchema, StrictSchema
from exchange_schemas.text_rules import refuse

OUT, BACK = "out", "back"
COURIER_HEADER = "Homeward-Courier"
"""The request header in which a courier shows the hub the cover that it carries for, base64url."""
LONGEST = timedelta(days=31)
MAX_CONTENT = 8 * 1024**3


class CoverSchema(SignedSchema):
    """What an envelope key of the maker signs."""

    typ = Code(["hx-bundle"])
    id = random_id()
    way = Code([OUT, BACK])
    iss = agency()
    to = agency()
    to_kid = Pattern("[A-Za-z0-9_-]{43}", "a key's id")
    iat = Time()
    exp = Time()
    seq = Whole(1, MAX_INT)
    answers = random_id(required=False)
    size = Whole(1, MAX_CONTENT)
    sha256 = digest()

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if ("answers" in values) is not (values["way"] == BACK):
            refuse("answers", "way", "a bundle on its way back names the one it answers, and only that")
        if not values["iat"] < values["exp"] <= values["iat"] + LONGEST:
            refuse("exp", "range", f"after iat, and at most {LONGEST.days} days after it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover(Payload):
    """`iss`, `to`: agencies (the same one where two of its offices meet). `to_kid`: the key it is sealed to.

    `seq`: counts the maker's bundles for that agency and way. `answers`: the bundle that this one answers.
    `size`, `sha256`: of the sealed content in bytes.
    """

    origin: str
    id: str
    way: str
    iss: AgencyId
    to: AgencyId
    to_kid: Kid
    iat: datetime
    exp: datetime
    seq: int
    size: int
    sha256: Digest
    answers: str | None = None

    typ: ClassVar[str] = "hx-bundle"
    SCHEMA: ClassVar[type[StrictSchema]] = CoverSchema
    LIMIT: ClassVar[int] = LIMITS.receipt_bytes
