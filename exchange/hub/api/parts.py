"""`/v1/parts`: upload large sealed parts before their envelope."""

from __future__ import annotations

from flask import Response
from marshmallow import fields

from exchange.hub.api.base import Blueprint, BodyStream, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import EXAMPLE_DIGEST, Whole, digest
from exchange.hub.services import parts
from exchange_schemas.entry import Act
from exchange_schemas.errors import Malformed

blp = Blueprint(
    "parts", "parts", url_prefix="/v1/parts", description="Ciphertexts too large for the envelope's request"
)


class PartKept(JsonSchema):
    """`expires_at` is when an unused part is given up; null once an envelope uses it."""

    sha256 = digest()
    bytes = Whole(required=True)
    expires_at = fields.String(required=True, allow_none=True, metadata={"maxLength": 20})


_KEPT = {"sha256": EXAMPLE_DIGEST, "bytes": 106568, "expires_at": "2026-11-24T12:00:00Z"}


@blp.route("/<string:sha256>", methods=["PUT"])
@blp.operation(
    scope="envelopes:send",
    act=Act.PART_UPLOAD,
    summary="Upload a sealed part under its digest",
    description="To be used by an envelope of the caller within 24 hours. The same part again gives 200.",
    raw=True,
    max_bytes=parts.MAX_BYTES,
    responses={201: PartKept, 200: PartKept},
    problems=(507,),
    examples={201: _KEPT, 200: _KEPT},
)
def upload(sha256: str, stream: BodyStream) -> Response:
    """201 when it is new, 200 when it was there."""
    if stream.length is None or stream.length == 0:
        raise Malformed("body: a sealed part is never empty", field="body")
    return respond(parts.upload(current_hub(), current_caller(), sha256, stream))
