"""`/v1/disclosures`: say that data left the exchange on paper."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import EXAMPLE_ID, identifier, one_of
from exchange.hub.services import disclosures
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.entry import Act
from exchange_schemas.limits import LIMITS

blp = Blueprint(
    "disclosures",
    "disclosures",
    url_prefix="/v1/disclosures",
    description="What left the exchange on paper",
)
_CATALOGUE = load_catalogue()


class PrintRequest(JsonSchema):
    """A card was printed. `print` is the random number that stands on it; nothing here names a child."""

    print = identifier()
    purpose = one_of(*_CATALOGUE.purposes)
    basis = one_of(*_CATALOGUE.bases)
    names = fields.List(
        one_of(*_CATALOGUE.fields),
        required=True,
        validate=validate.Length(1, LIMITS.parts_per_grant),
    )


class PrintNoted(JsonSchema):
    """Nothing but the receipt."""


@blp.route("", methods=["POST"])
@blp.operation(
    carried=True,
    scope="envelopes:send",
    act=Act.DISCLOSURE_NOTE,
    summary="Log that fields of a record were printed",
    description=(
        "For a disclosure outside the exchange: the log gets the agency, the fields' names, the purpose, the "
        "basis and a commitment to the print's number. Who received the paper, and of whom it tells, stays "
        "with the agency. The same number again is logged again, under the same commitment."
    ),
    request=PrintRequest,
    responses={201: PrintNoted},
    max_bytes=8192,
    examples={
        "request": {
            "print": EXAMPLE_ID,
            "purpose": "health",
            "basis": "best_interests_decision",
            "names": ["name_given", "sex"],
        },
        201: {},
    },
)
def note(body: dict[str, Any]) -> Response:
    """201 once it is in the log."""
    printed = disclosures.Print(
        number=body["print"], fields=body["names"], purpose=body["purpose"], basis=body["basis"]
    )
    return respond(disclosures.note(current_hub(), current_caller(), printed))
