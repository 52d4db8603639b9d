"""`/healthz` and `/readyz`: whether the process lives, and whether it may serve.

No caller is known here, so nothing of the data may show; `/healthz` asks no database.
"""

from __future__ import annotations

from flask import Response
from marshmallow import fields

from exchange.hub.api.base import Blueprint, JsonSchema, current_hub
from exchange.hub.api.problem import dump
from exchange.hub.api.schemas import one_of, text
from exchange.hub.services.startup import check_ready
from exchange.hub.services.witness_status import lagging
from exchange_schemas.codec import JsonValue

blp = Blueprint("health", "health", description="For the operators' monitoring; not logged")

_LAGS = 123


class HealthSchema(JsonSchema):
    """One word."""

    status = one_of("alive", "ready")


class LagSchema(JsonSchema):
    """A witness that cosigns a log no more, `publisher` when nobody asks them, `slices` when no heads entry
    has covered what was logged for ten minutes; `since` null: never did.
    """

    witness = text(limit=200)
    log = one_of("audit", "directory")
    since = fields.String(required=True, allow_none=True, metadata={"maxLength": 20})


class ReadySchema(HealthSchema):
    """`lagging` is there where witnesses or slices lag: the hub serves all the same."""

    lagging = fields.List(fields.Nested(LagSchema), metadata={"maxItems": _LAGS})


@blp.route("/healthz", methods=["GET"])
@blp.operation(
    auth=False,
    counted=False,
    summary="Say that the process lives",
    responses={200: HealthSchema},
    examples={200: {"status": "alive"}},
)
def healthz() -> Response:
    """200 while the process answers."""
    return Response(dump({"status": "alive"}), mimetype="application/json")


@blp.route("/readyz", methods=["GET"])
@blp.operation(
    auth=False,
    counted=False,
    summary="Say whether the hub may serve",
    responses={200: ReadySchema},
    examples={200: {"status": "ready"}},
)
def readyz() -> Response:
    """200 when database, log, keys and guard are as they must be; else 503 with the reason."""
    hub = current_hub()
    check_ready(hub)
    behind: list[JsonValue] = [lag.to_json() for lag in lagging(hub)]
    body: dict[str, JsonValue] = {"status": "ready", **({"lagging": behind} if behind else {})}
    return Response(dump(body), mimetype="application/json")
