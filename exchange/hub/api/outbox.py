"""`/v1/outbox`: what became of what the caller sent."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.inbox import STATES
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_JWS,
    PAGE_MOST,
    JwsSchema,
    PageQuery,
    Whole,
    agency,
    cursor,
    digest,
    identifier,
    listed,
    matching,
    one_of,
    text,
)
from exchange.hub.services import outbox
from exchange_schemas.entry import Act
from exchange_schemas.ids import AGENCY_PATTERN, AgencyId
from exchange_schemas.limits import LIMITS

blp = Blueprint("outbox", "outbox", url_prefix="/v1/outbox", description="What the caller sent")
_LIST = f"{AGENCY_PATTERN}(?:,{AGENCY_PATTERN}){{0,{LIMITS.grants_per_manifest - 1}}}"
# An agency's id has 40 characters at most.
_LIST_CHARS = 41 * LIMITS.grants_per_manifest - 1


class OutboxItem(JsonSchema):
    """One grant that the caller sent; `receipt` is the recipient's signed outcome."""

    gid = identifier()
    eid = identifier()
    kind = text(limit=40)
    rcp = agency()
    thread = identifier()
    seq = Whole(required=True)
    rcp_kid = digest(description="The recipient's key that it is sealed to")
    digest = digest()
    state = one_of(*STATES)
    receipt = fields.Nested(JwsSchema)


class OutboxPage(JsonSchema):
    """`next` is null at the end."""

    items = listed(OutboxItem, limit=PAGE_MOST)
    next = cursor()


class HeadsQuery(JsonSchema):
    """Whose chains are asked for."""

    rcp = matching(_LIST, limit=_LIST_CHARS, description="Agencies, separated by commas; 65 at most")


class ChainHead(JsonSchema):
    """The last grant of a chain: its place and its digest, the next one's `prev`."""

    seq = Whole(required=True)
    digest = digest()


class Heads(JsonSchema):
    """By recipient; one to whom nothing was sent yet is left out."""

    heads = fields.Dict(keys=fields.String(), values=fields.Nested(ChainHead), required=True)


_ITEM = {
    "gid": EXAMPLE_ID,
    "eid": EXAMPLE_ID,
    "kind": "found_notice",
    "rcp": "embassy-a",
    "thread": EXAMPLE_ID,
    "seq": 1,
    "digest": EXAMPLE_DIGEST,
    "state": "receipted",
    "rcp_kid": EXAMPLE_DIGEST,
    "receipt": EXAMPLE_JWS,
}


@blp.route("", methods=["GET"])
@blp.operation(
    carried=True,
    scope="envelopes:send",
    act=Act.OUTBOX_LIST,
    summary="List what the caller sent, oldest first",
    description="The caller's grants for itself stand here as well.",
    query=PageQuery,
    responses={200: OutboxPage},
    examples={200: {"items": [_ITEM], "next": None}},
)
def listing(query: dict[str, Any]) -> Response:
    """A page from the cursor on."""
    page = outbox.listing(current_hub(), current_caller(), cursor=query.get("cursor"), limit=query["limit"])
    return respond(page)


@blp.route("/heads", methods=["GET"])
@blp.operation(
    scope="envelopes:send",
    act=Act.OUTBOX_HEADS,
    summary="Say where the caller's chains stand",
    query=HeadsQuery,
    responses={200: Heads},
    examples={200: {"heads": {"embassy-a": {"seq": 1, "digest": EXAMPLE_DIGEST}}}},
)
def heads(query: dict[str, Any]) -> Response:
    """The head of the chain to each recipient asked for."""
    recipients = [AgencyId(name) for name in query["rcp"].split(",")]
    return respond(outbox.heads(current_hub(), current_caller(), recipients))
