"""`/v1/inbox`: what waits for the caller."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    PAGE_MOST,
    Flag,
    PageQuery,
    Whole,
    agency,
    digest,
    identifier,
    listed,
    one_of,
    text,
)
from exchange.hub.services import inbox
from exchange_schemas.entry import Act

blp = Blueprint("inbox", "inbox", url_prefix="/v1/inbox", description="What waits for the caller")
STATES = ("waiting", "fetched", "receipted", "dead")


class InboxItem(JsonSchema):
    """One grant for the caller: who sent what kind of message when, and nothing of what is in it."""

    gid = identifier()
    eid = identifier()
    kind = text(limit=40)
    snd = agency()
    thread = identifier()
    pur = text(limit=40)
    iat = text(limit=20)
    exp = text(limit=20)
    seq = Whole(required=True)
    rcp_kid = digest(description="The key that it is sealed to")
    digest = digest()
    state = one_of(*STATES)


class InboxPage(JsonSchema):
    """`next` is where to go on, also later; `more` says that there is more now."""

    items = listed(InboxItem, limit=PAGE_MOST)
    next = text(limit=128)
    more = Flag(required=True)


_ITEM = {
    "gid": EXAMPLE_ID,
    "eid": EXAMPLE_ID,
    "kind": "found_notice",
    "snd": "ngo-b",
    "thread": EXAMPLE_ID,
    "pur": "trace",
    "iat": "2026-11-23T12:00:00Z",
    "exp": "2026-12-23T12:00:00Z",
    "seq": 1,
    "digest": EXAMPLE_DIGEST,
    "state": "waiting",
    "rcp_kid": EXAMPLE_DIGEST,
}


@blp.route("", methods=["GET"])
@blp.operation(
    carried=True,
    scope="envelopes:receive",
    act=Act.INBOX_LIST,
    unlogged="an answer that holds nothing new has no entry and no receipt",
    summary="List what came for the caller, oldest first",
    description=(
        "Ask again from `next` after Retry-After seconds. With If-None-Match, an unchanged page gives 304. "
        "Grants of the caller for itself stand in the outbox only."
    ),
    query=PageQuery,
    responses={200: InboxPage, 304: None},
    examples={200: {"items": [_ITEM], "next": "AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA", "more": False}},
)
def listing(query: dict[str, Any]) -> Response:
    """A page from the cursor on."""
    page = inbox.listing(
        current_hub(),
        current_caller(),
        cursor=query.get("cursor"),
        limit=query["limit"],
        tags=request.headers.get("If-None-Match"),
    )
    return respond(page)
