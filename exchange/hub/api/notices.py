"""`/v1/notices`: what the hub announces to the caller: sharing on vital interest, to a commission."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    EXAMPLE_ID,
    PAGE_MOST,
    Flag,
    PageQuery,
    agency,
    identifier,
    listed,
    text,
)
from exchange.hub.services import notices
from exchange_schemas.entry import Act
from exchange_schemas.limits import LIMITS

blp = Blueprint("notices", "notices", url_prefix="/v1/notices", description="What is announced to the caller")


class NoticeItem(JsonSchema):
    """A consent on vital interest was registered; `entry` is its audit entry, whose receipt proves it."""

    entry = identifier()
    at = text(limit=20)
    exp = text(limit=20)
    iss = agency()
    rcp = agency()
    purposes = fields.List(
        text(limit=40), required=True, validate=validate.Length(max=LIMITS.purposes_per_consent)
    )
    fields = fields.List(  # type: ignore[assignment]  # set per instance, from the declarations
        text(limit=40), required=True, validate=validate.Length(max=LIMITS.fields_per_consent)
    )


class NoticePage(JsonSchema):
    """`next` is where to go on, also later; `more` says that there is more now."""

    items = listed(NoticeItem, limit=PAGE_MOST)
    next = text(limit=128)
    more = Flag(required=True)


_ITEM = {
    "entry": EXAMPLE_ID,
    "at": "2026-11-23T12:00:00Z",
    "exp": "2026-11-26T12:00:00Z",
    "iss": "ngo-b",
    "rcp": "health-c",
    "purposes": ["health"],
    "fields": ["age_range", "sex", "urgent_flags"],
}


@blp.route("", methods=["GET"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.NOTICE_LIST,
    summary="List what was announced to the caller, oldest first",
    description=(
        "Every sharing on vital interest is announced to every commission. `GET /v1/audit/receipts/{entry}` "
        "gives the entry with its proof: the commission is one of its parties."
    ),
    query=PageQuery,
    responses={200: NoticePage},
    examples={200: {"items": [_ITEM], "next": "AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA", "more": False}},
)
def listing(query: dict[str, Any]) -> Response:
    """A page from the cursor on."""
    page = notices.listing(current_hub(), current_caller(), cursor=query.get("cursor"), limit=query["limit"])
    return respond(page)
