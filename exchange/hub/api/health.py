"""`/healthz` and `/readyz`: whether the process lives, and whether it may serve.

No caller is known here, so nothing of the data may show; `/healthz` asks no database.
"""

from __future__ import annotations

from flask import Response

from exchange.hub.api.base import Blueprint, JsonSchema, current_hub
from exchange.hub.api.problem import dump
from exchange.hub.api.schemas import one_of
from exchange.hub.services.startup import check_ready

blp = Blueprint("health", "health", description="For the operators' monitoring; not logged")


class HealthSchema(JsonSchema):
    """One word."""

    status = one_of("alive", "ready")


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
    responses={200: HealthSchema},
    examples={200: {"status": "ready"}},
)
def readyz() -> Response:
    """200 when database, log, keys and guard are as they must be; else 503 with the reason."""
    check_ready(current_hub())
    return Response(dump({"status": "ready"}), mimetype="application/json")
