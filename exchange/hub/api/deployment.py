"""`/v1/deployment`: the name, address, operators and log keys of this deployment, for a first look.

Public and not logged. Members pin the copy that they got out of band and never this one.
"""

from __future__ import annotations

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, JsonSchema, current_hub
from exchange.hub.api.problem import dump
from exchange.hub.api.schemas import EXAMPLE_DIGEST, Whole, digest, encoded, listed, text
from exchange.hub.services.deployment import deployment
from exchange_schemas.limits import LIMITS

blp = Blueprint(
    "deployment",
    "deployment",
    url_prefix="/v1/deployment",
    description="What members pin of this deployment; not logged",
)
_VKEY_CHARS = 400
_WITNESSES = 60


class OperatorSchema(JsonSchema):
    """A named operator and the raw Ed25519 key that signs for it."""

    name = text(limit=LIMITS.name_chars)
    kid = digest()
    key = encoded(limit=32)


class GovernanceSchema(JsonSchema):
    """`k` of the operators sign each admission. `pin`: digest of the directory's first event."""

    k = Whole(required=True, validate=validate.Range(min=1, max=LIMITS.operators_per_deployment))
    operators = listed(OperatorSchema, limit=LIMITS.operators_per_deployment)
    pin = digest()


class DirectoryWitnessesSchema(JsonSchema):
    """`quorum` of these must have cosigned a checkpoint within a day."""

    quorum = Whole(required=True, validate=validate.Range(min=1, max=_WITNESSES))
    vkeys = fields.List(
        text(limit=_VKEY_CHARS, description="C2SP tlog-cosignature key, type 0x04"),
        required=True,
        validate=validate.Length(min=1, max=_WITNESSES),
    )


class WitnessesSchema(DirectoryWitnessesSchema):
    """The same of the audit log, with the address of each."""

    urls = fields.List(
        fields.String(metadata={"format": "uri", "maxLength": 2000}),
        required=True,
        validate=validate.Length(min=1, max=_WITNESSES),
    )


class DeploymentSchema(JsonSchema):
    """The same members as the file of `exchange-hub deployment export`."""

    origin = text(limit=LIMITS.origin_chars)
    base_url = fields.String(required=True, metadata={"format": "uri", "maxLength": 300})
    governance = fields.Nested(GovernanceSchema, required=True)
    directory_vkey = text(limit=_VKEY_CHARS, description="C2SP signed-note verifier key")
    audit_vkey = text(limit=_VKEY_CHARS, description="C2SP signed-note verifier key")
    witnesses = fields.Nested(WitnessesSchema, required=False)
    directory_witnesses = fields.Nested(DirectoryWitnessesSchema, required=False)


_EXAMPLE = {
    "origin": "hub.example",
    "base_url": "https://hub.example",
    "governance": {
        "k": 1,
        "operators": [{"name": "asha", "kid": EXAMPLE_DIGEST, "key": EXAMPLE_DIGEST}],
        "pin": EXAMPLE_DIGEST,
    },
    "directory_vkey": "hub.example/directory+1a2b3c4d+AQ==",
    "audit_vkey": "hub.example/audit+1a2b3c4d+AQ==",
}


@blp.route("", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Show what members pin of this deployment",
    description="Pin the copy that an operator gave you, not this answer.",
    responses={200: DeploymentSchema},
    examples={200: _EXAMPLE},
)
def show() -> Response:
    """The pins."""
    return Response(dump(deployment(current_hub())), mimetype="application/json")
