"""`/v1/directory`: the key directory's log, its keys, and an agency's own events."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import TEXT, Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_JWS,
    Count,
    JwsSchema,
    Whole,
    digest,
    encoded,
    listed,
    one_of,
    text,
)
from exchange.hub.services import directory, witnessed
from exchange.hub.services.logs import directory_log
from exchange_keys.public import ED25519, ES256, ML_DSA_65, PS256, X_WING
from exchange_schemas.entry import Act
from exchange_schemas.ids import check_kid
from exchange_schemas.limits import LIMITS

blp = Blueprint(
    "directory",
    "directory",
    url_prefix="/v1/directory",
    description="The append-only log of who takes part and with which keys",
)
_NOTE_CHARS = 16 * 1024
# Events with the signatures of two hybrid roots, and the bytes of one key.
_MAX_BYTES = 128 * 1024


def _keys() -> fields.Dict:
    return fields.Dict(
        keys=digest(),
        values=encoded(limit=LIMITS.public_key_bytes),
        required=True,
        validate=validate.Length(max=2),
        metadata={"description": "Raw public keys by key id, for those that the event names"},
    )


class EventsQuery(JsonSchema):
    """`after`: how many events the caller has."""

    after = Count(load_default=0, validate=validate.Range(min=0))
    limit = Count(load_default=directory.PAGE_LIMIT, validate=validate.Range(min=1, max=directory.PAGE_LIMIT))


class EventSchema(JsonSchema):
    """One event of the log; its leaf is the JWS as strict JSON with sorted members."""

    index = Whole(required=True, validate=validate.Range(min=0))
    event = fields.Nested(JwsSchema, required=True)
    keys = _keys()


class EventPage(JsonSchema):
    """`consistency` proves that the tree of `after` events is a prefix of the one of the checkpoint."""

    events = listed(EventSchema, limit=directory.PAGE_LIMIT)
    size = Whole(required=True, validate=validate.Range(min=0))
    checkpoint = text(limit=4096, description="C2SP checkpoint of the log as it stands")
    consistency = fields.List(encoded(limit=32), required=True, metadata={"maxItems": 64})
    witnessed = text(
        limit=_NOTE_CHARS,
        required=False,
        description="The newest checkpoint that the witnesses cosigned, where there are any",
    )


class EventRequest(JsonSchema):
    """A root-set, key, drain or revoke event of the caller, and the bytes of the keys that it brings."""

    event = fields.Nested(JwsSchema, required=True)
    keys = _keys()


class EventLogged(JsonSchema):
    """The event's place in the log."""

    index = Whole(required=True, validate=validate.Range(min=0))


class KeySchema(JsonSchema):
    """A public key; check it against its key id."""

    kid = digest()
    alg = one_of(ED25519, ML_DSA_65, X_WING, ES256, PS256)
    key = encoded(limit=LIMITS.public_key_bytes)


_KEYS = {EXAMPLE_DIGEST: EXAMPLE_DIGEST}
_NOTE = "hub.example/directory\n1\nx\n\n— hub.example/directory x\n"
_PAGE = {
    "events": [{"index": 0, "event": EXAMPLE_JWS, "keys": {}}],
    "size": 1,
    "checkpoint": _NOTE,
    "consistency": [],
}


@blp.route("/checkpoint", methods=["GET"])
@blp.operation(
    auth=False,
    summary="The signed checkpoint of the key directory",
    responses={200: TEXT},
    examples={200: _NOTE},
)
def checkpoint() -> Response:
    """The note as text."""
    hub = current_hub()
    return Response(witnessed.checkpoint(hub, directory_log(hub)), mimetype="text/plain")


@blp.route("/events", methods=["GET"])
@blp.operation(
    scope="directory:read",
    act=Act.DIRECTORY_READ,
    unlogged="a page without a new event",
    carried=True,
    summary="Read the events after those that the caller has",
    query=EventsQuery,
    responses={200: EventPage},
    problems=(409,),
    examples={200: _PAGE},
)
def events(query: dict[str, Any]) -> Response:
    """A page; 409 when the caller has more events than the hub."""
    hub, caller = current_hub(), current_caller()
    return respond(directory.read_events(hub, caller, after=query["after"], limit=query["limit"]))


@blp.route("/keys/<string:kid>", methods=["GET"])
@blp.operation(
    scope="directory:read",
    act=Act.KEY_READ,
    summary="Read a public key by its id",
    description="Also a key that is revoked: what it signed before must stay verifiable.",
    responses={200: KeySchema},
    problems=(404,),
    examples={200: {"kid": EXAMPLE_DIGEST, "alg": "Ed25519", "key": EXAMPLE_DIGEST}},
)
def key(kid: str) -> Response:
    """The raw key."""
    return respond(directory.read_key(current_hub(), current_caller(), check_kid(kid, field="kid")))


@blp.route("/events", methods=["POST"])
@blp.operation(
    scope="directory:write",
    act=Act.DIRECTORY_APPEND,
    summary="Log an event about the caller's own keys",
    request=EventRequest,
    responses={201: EventLogged},
    problems=(409,),
    max_bytes=_MAX_BYTES,
    examples={"request": {"event": EXAMPLE_JWS, "keys": _KEYS}, 201: {"index": 7}},
)
def log_event(body: dict[str, Any]) -> Response:
    """201 with the event's index."""
    return respond(directory.log_event(current_hub(), current_caller(), body["event"], body["keys"]))
