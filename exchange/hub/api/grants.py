"""`/v1/grants`: fetch what was granted to the caller, and answer with a signed receipt."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from marshmallow import fields

from exchange.hub.api.base import (
    BYTES,
    Blueprint,
    JsonSchema,
    current_caller,
    current_hub,
    respond,
    respond_stream,
)
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_JWS,
    JwsSchema,
    Whole,
    digest,
    encoded,
    identifier,
    listed,
    text,
)
from exchange.hub.services import grants, recipient_receipts
from exchange.hub.services.deposit_checks import INLINE_BYTES
from exchange.hub.services.ranges import Asked
from exchange_schemas.entry import Act
from exchange_schemas.ids import GrantId, PartId, check_id
from exchange_schemas.limits import LIMITS

blp = Blueprint("grants", "grants", url_prefix="/v1/grants", description="What was granted to the caller")


class PartGiven(JsonSchema):
    """One part of the grant; without `ct` it is fetched by itself."""

    p = identifier()
    sha256 = digest()
    ct = encoded(limit=INLINE_BYTES, required=False)


class DirectoryPosition(JsonSchema):
    """The key directory at this moment: how many events, and the signed checkpoint."""

    size = Whole(required=True)
    checkpoint = text(limit=4096)


class GrantGiven(JsonSchema):
    """All that the recipient needs to check and open its grant. `consent` is the caller's own artefact."""

    core = encoded(limit=LIMITS.grant_core_bytes)
    sealed = encoded(limit=LIMITS.sealed_keys_bytes)
    manifest = fields.Nested(JwsSchema, required=True)
    parts = listed(PartGiven, limit=LIMITS.parts_per_grant)
    consent = fields.Nested(JwsSchema, required=True, allow_none=True)
    directory = fields.Nested(DirectoryPosition, required=True)


class ReceiptRequest(JsonSchema):
    """What became of the grant, signed by an envelope key of the recipient."""

    receipt = fields.Nested(JwsSchema, required=True)


class ReceiptKept(JsonSchema):
    """Nothing but the hub's own receipt."""


_GIVEN = {
    "core": "eyJ2IjoxfQ",
    "sealed": "c2VhbGVk",
    "manifest": EXAMPLE_JWS,
    "parts": [{"p": EXAMPLE_ID, "sha256": EXAMPLE_DIGEST, "ct": "Y2lwaGVydGV4dA"}],
    "consent": EXAMPLE_JWS,
    "directory": {"size": 12, "checkpoint": "hub.example/directory\n12\nx\n\n— hub.example/directory x\n"},
}


@blp.route("/<string:gid>", methods=["GET"])
@blp.operation(
    carried=True,
    scope="envelopes:receive",
    act=Act.GRANT_FETCH,
    summary="Fetch a grant to the caller",
    description=(
        "The consent is decided again at this moment. A grant that may no longer be given is answered with "
        "410; the problem's `tombstone` holds its place in the chain and the signed withdrawal."
    ),
    responses={200: GrantGiven},
    problems=(410,),
    examples={200: _GIVEN},
)
def fetch(gid: str) -> Response:
    """The grant, its small parts, its manifest and consent."""
    return respond(grants.fetch(current_hub(), current_caller(), GrantId(check_id(gid, field="gid"))))


@blp.route("/<string:gid>/parts/<string:p>", methods=["GET"])
@blp.operation(
    carried=True,
    scope="envelopes:receive",
    act=Act.PART_FETCH,
    summary="Fetch a large part of a grant",
    description=(
        "The consent is decided again, and the answer logged, as for the grant itself. After a broken line "
        "Range asks for the bytes that are missing, one range at a time; the entity tag is the ciphertext's "
        "digest, and with If-Range other bytes than those are given whole."
    ),
    responses={200: BYTES, 206: BYTES},
    problems=(410, 416),
)
def fetch_part(gid: str, p: str) -> Response:
    """The ciphertext or a range of it, in constant memory."""
    hub, caller = current_hub(), current_caller()
    grant, part = GrantId(check_id(gid, field="gid")), PartId(check_id(p, field="p"))
    asked = Asked(request.headers.get("Range"), request.headers.get("If-Range"))
    released, pieces = grants.fetch_part(hub, caller, grant, part, asked)
    return respond_stream(released, pieces, pieces.length)


@blp.route("/<string:gid>/receipt", methods=["POST"])
@blp.operation(
    carried=True,
    scope="envelopes:receive",
    act=Act.RECEIPT_SUBMIT,
    summary="Say, signed, what became of a grant",
    description="Once for each grant that was fetched; the sender sees it in its outbox.",
    request=ReceiptRequest,
    responses={200: ReceiptKept},
    problems=(409,),
    max_bytes=4 * LIMITS.receipt_bytes,
    examples={"request": {"receipt": EXAMPLE_JWS}, 200: {}},
)
def submit_receipt(body: dict[str, Any], gid: str) -> Response:
    """200; the same receipt again gives the first answer."""
    grant = GrantId(check_id(gid, field="gid"))
    return respond(recipient_receipts.submit(current_hub(), current_caller(), grant, body["receipt"]))
