"""`/v1/webhook`: be told that something waits."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import Whole, listed, matching, text
from exchange.hub.services import webhooks
from exchange.hub.webhooks.post import URL_CHARS, check_url
from exchange_schemas.entry import Act
from exchange_schemas.errors import NotFound

blp = Blueprint("webhook", "webhook", url_prefix="/v1/webhook", description="Be told that something waits")
_ID = "msg_[A-Za-z0-9_-]{22}"


class WebhookRequest(JsonSchema):
    """Where the hub says that something waits: https, a public address, no redirects."""

    url = matching(f"https://[!-~]{{1,{URL_CHARS - 8}}}", limit=URL_CHARS)


class WebhookShown(JsonSchema):
    """The endpoint and how it does: failed attempts at the present message, its last error and success.

    `secret` is there once, when it is new: verify `webhook-signature` with it (Standard Webhooks, `v1`).
    """

    url = text(limit=URL_CHARS)
    attempts = Whole(required=True)
    last_error = fields.String(required=True, allow_none=True, metadata={"maxLength": 80})
    last_ok = fields.String(required=True, allow_none=True, metadata={"maxLength": 20})
    secret = text(limit=60, required=False)


class DeadLetter(JsonSchema):
    """A message that was given up."""

    id = matching(_ID, limit=26)
    at = text(limit=20)
    attempts = Whole(required=True)
    error = text(limit=80)


class DeadLetters(JsonSchema):
    """Oldest first, 100 at most."""

    items = listed(DeadLetter, limit=webhooks.SHOWN)


class Done(JsonSchema):
    """Nothing but the receipt."""


_SHOWN = {
    "url": "https://ngo.example/homeward",
    "attempts": 0,
    "last_error": None,
    "last_ok": "2026-11-26T04:00:00Z",
}
_SECRET = {**_SHOWN, "last_ok": None, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
_DEAD = {
    "id": "msg_3q2-7wAAAAAAAAAAAAAAAA",
    "at": "2026-11-26T04:00:00Z",
    "attempts": 12,
    "error": "it did not answer in time",
}


@blp.route("", methods=["PUT"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_SET,
    summary="Set the caller's webhook",
    description=(
        "A message follows when something new waits, with `webhook-id`, `webhook-timestamp` and "
        "`webhook-signature` of Standard Webhooks. It says `inbox.waiting` and whose inbox, nothing else. "
        "201 with a secret; the address that is set already gives 200 without one."
    ),
    request=WebhookRequest,
    responses={201: WebhookShown, 200: WebhookShown},
    max_bytes=1024,
    examples={"request": {"url": "https://ngo.example/homeward"}, 201: _SECRET, 200: _SHOWN},
)
def put(body: dict[str, Any]) -> Response:
    """201 with the secret."""
    return respond(webhooks.put(current_hub(), current_caller(), check_url(body["url"])))


@blp.route("", methods=["GET"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_READ,
    summary="Show the caller's webhook",
    responses={200: WebhookShown},
    examples={200: _SHOWN},
)
def show() -> Response:
    """Without its secret."""
    return respond(webhooks.show(current_hub(), current_caller()))


@blp.route("", methods=["DELETE"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_REMOVE,
    summary="Remove the caller's webhook and its dead letters",
    responses={200: Done},
    examples={200: {}},
)
def remove() -> Response:
    """200 once it is told nothing more."""
    return respond(webhooks.remove(current_hub(), current_caller()))


@blp.route("/secret", methods=["POST"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_RENEW,
    summary="Give the webhook a new secret",
    description="For a day messages bear a signature under each of the two.",
    responses={200: WebhookShown},
    examples={200: _SECRET},
)
def renew() -> Response:
    """The new secret, shown once."""
    return respond(webhooks.renew(current_hub(), current_caller()))


@blp.route("/dead", methods=["GET"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_READ,
    summary="List messages to the webhook that were given up",
    responses={200: DeadLetters},
    examples={200: {"items": [_DEAD]}},
)
def dead() -> Response:
    """The dead-letter list."""
    return respond(webhooks.dead(current_hub(), current_caller()))


@blp.route("/dead/<string:message>/replay", methods=["POST"])
@blp.operation(
    scope="envelopes:receive",
    act=Act.WEBHOOK_REPLAY,
    summary="Send a message again that was given up",
    responses={202: Done},
    examples={202: {}},
)
def replay(message: str) -> Response:
    """202: it is due."""
    if not message.startswith("msg_") or len(message) != 26:
        raise NotFound("there is no such message")
    return respond(webhooks.replay(current_hub(), current_caller(), message))
