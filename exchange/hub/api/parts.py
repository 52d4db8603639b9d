"""`/v1/parts`: upload large sealed parts before their envelope."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, BodyStream, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import EXAMPLE_DIGEST, Count, Whole, digest
from exchange.hub.services import parts, pieces
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


class PartBegun(JsonSchema):
    """`received` bytes are here; the next piece begins there. What does not grow until then is given up."""

    sha256 = digest()
    received = Whole(required=True, validate=validate.Range(min=0))
    expires_at = fields.String(required=True, metadata={"maxLength": 20})


class PieceQuery(JsonSchema):
    """Where a piece belongs; both or neither: without them the body is the whole."""

    offset = Count(validate=validate.Range(min=0, max=parts.MAX_BYTES))
    size = Count(validate=validate.Range(min=1, max=parts.MAX_BYTES))


_KEPT = {"sha256": EXAMPLE_DIGEST, "bytes": 106568, "expires_at": "2026-11-24T12:00:00Z"}
_BEGUN = {"sha256": EXAMPLE_DIGEST, "received": 65536, "expires_at": "2026-11-24T12:00:00Z"}


@blp.route("/<string:sha256>", methods=["PUT"])
@blp.operation(
    carried=True,
    scope="envelopes:send",
    act=Act.PART_UPLOAD,
    summary="Upload a sealed part under its digest, whole or in pieces",
    description=(
        "To be used by an envelope of the caller within 24 hours. The same part again gives 200. With "
        "`offset` and `size` the body is the piece of at most 4 MiB that begins there in a whole of that "
        "size: 202 says how many bytes the hub has; go on from there, whatever you sent. The last piece is "
        "answered as the whole."
    ),
    query=PieceQuery,
    raw=True,
    max_bytes=parts.MAX_BYTES,
    responses={201: PartKept, 200: PartKept, 202: PartBegun},
    problems=(507,),
    examples={201: _KEPT, 200: _KEPT, 202: _BEGUN},
)
def upload(sha256: str, query: Mapping[str, int], stream: BodyStream) -> Response:
    """201 when it is new and whole, 200 when it was there, 202 while bytes are missing."""
    if stream.length is None or stream.length == 0:
        raise Malformed("body: a sealed part is never empty", field="body")
    if query:
        offset, size = query.get("offset"), query.get("size")
        if offset is None or size is None:
            raise Malformed("query: offset and size go together", field="query", rule="piece-place")
        place = pieces.Place(offset, size)
        return respond(pieces.upload_piece(current_hub(), current_caller(), sha256, place, stream))
    return respond(parts.upload(current_hub(), current_caller(), sha256, stream))
