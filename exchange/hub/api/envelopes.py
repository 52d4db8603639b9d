"""`/v1/envelopes`: deposit sealed envelopes."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_JWS,
    JwsSchema,
    Whole,
    agency,
    digest,
    identifier,
    listed,
)
from exchange.hub.services import deposit as service
from exchange.hub.services.deposit_checks import INLINE_BYTES, MOST_PARTS
from exchange_schemas.entry import Act
from exchange_schemas.limits import LIMITS

blp = Blueprint("envelopes", "envelopes", url_prefix="/v1/envelopes", description="Sealed envelopes")
_TEXT = "[A-Za-z0-9_-]*"


def _sealed(description: str, *, limit: int) -> fields.String:
    """base64url; the `limit` in bytes is described here, and checked as a step of its own."""
    described = {"description": description, "pattern": f"^{_TEXT}$", "maxLength": (limit * 4 + 2) // 3}
    return fields.String(required=True, metadata=described)


class GrantSent(JsonSchema):
    """One recipient's grant."""

    core = _sealed(f"The core's bytes, at most {LIMITS.grant_core_bytes}", limit=LIMITS.grant_core_bytes)
    sealed = _sealed("The part keys, sealed to the recipient", limit=LIMITS.sealed_keys_bytes)


class PartSent(JsonSchema):
    """One small part, inline."""

    sha256 = digest()
    ct = _sealed("The ciphertext, at most 64 KiB; a larger one is uploaded first", limit=INLINE_BYTES)


class DepositRequest(JsonSchema):
    """An envelope: the signed manifest, every grant it lists, and the small parts that are new."""

    manifest = fields.Nested(JwsSchema, required=True)
    grants = listed(GrantSent, limit=LIMITS.grants_per_manifest)
    parts = listed(PartSent, limit=MOST_PARTS)


class GrantTaken(JsonSchema):
    """One grant's id, recipient and place in the chain to it."""

    gid = identifier()
    rcp = agency()
    seq = Whole(required=True)


class DepositAnswer(JsonSchema):
    """`manifest` is the digest of the manifest: the same one again gives the same answer."""

    eid = identifier()
    manifest = digest()
    grants = listed(GrantTaken, limit=LIMITS.grants_per_manifest)


_TAKEN = {
    "eid": EXAMPLE_ID,
    "manifest": EXAMPLE_DIGEST,
    "grants": [{"gid": EXAMPLE_ID, "rcp": "embassy-a", "seq": 1}],
}


@blp.route("", methods=["POST"])
@blp.operation(
    carried=True,
    scope="envelopes:send",
    act=Act.ENVELOPE_DEPOSIT,
    summary="Deposit a sealed envelope",
    description=(
        "The same manifest again gives 200 and the first receipt. On SEQ_CONFLICT the problem's `head` "
        "holds, for each recipient concerned, the last grant of the chain: check your own signature on it, "
        "then go on from it."
    ),
    request=DepositRequest,
    responses={201: DepositAnswer, 200: DepositAnswer},
    problems=(409,),
    max_bytes=LIMITS.request_body_bytes,
    examples={
        "request": {
            "manifest": EXAMPLE_JWS,
            "grants": [{"core": "eyJ2IjoxfQ", "sealed": "c2VhbGVk"}],
            "parts": [{"sha256": EXAMPLE_DIGEST, "ct": "Y2lwaGVydGV4dA"}],
        },
        201: _TAKEN,
        200: _TAKEN,
    },
)
def deposit(body: dict[str, Any]) -> Response:
    """201; 200 for the same manifest again."""
    return respond(service.deposit(current_hub(), current_caller(), body))
