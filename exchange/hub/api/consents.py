"""`/v1/consents`: register, read and withdraw consents."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_JWS,
    PAGE_MOST,
    JwsSchema,
    PageQuery,
    Whole,
    cursor,
    digest,
    identifier,
    listed,
    one_of,
    text,
)
from exchange.hub.services import consent_check, consents, withdrawals
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.entry import Act
from exchange_schemas.ids import ConsentId, ThreadId, check_id
from exchange_schemas.limits import LIMITS

blp = Blueprint(
    "consents",
    "consents",
    url_prefix="/v1/consents",
    description="What an agency may share with one other, for what, until when",
)
# One JWS in JSON: the payload and a few signatures, in base64url.
_MAX_BYTES = 4 * LIMITS.consent_bytes
_CATALOGUE = load_catalogue()
_PARTS = validate.Length(max=LIMITS.parts_per_grant)
# No id is that short: `/v1/consents/check` is an address of its own, with its own methods.
_ONE = "/<string(minlength=6):cid>"
_STANDING = ("active", "withdrawn", "superseded", "expired")


class ConsentRequest(JsonSchema):
    """A consent, signed by an approver of the issuer; by two for a vital interest."""

    consent = fields.Nested(JwsSchema, required=True)


class ConsentRegistered(JsonSchema):
    """`digest` is what a grant under this consent names."""

    cid = identifier()
    digest = digest()
    status = one_of(*_STANDING)


class ConsentShown(JsonSchema):
    """A consent as it was signed, and where it stands."""

    cid = identifier()
    status = one_of(*_STANDING)
    consent = fields.Nested(JwsSchema, required=True)
    withdrawal = fields.Nested(JwsSchema)


class ConsentPage(JsonSchema):
    """`next` is null at the end."""

    items = listed(ConsentShown, limit=PAGE_MOST)
    next = cursor()


class CheckRequest(JsonSchema):
    """A dry run: would a message of this kind, with these parts, go to the consent's recipient now?"""

    consent = identifier()
    kind = one_of(*_CATALOGUE.kinds)
    purpose = one_of(*_CATALOGUE.purposes)
    names = fields.List(
        one_of(*_CATALOGUE.fields, *_CATALOGUE.message_fields),
        required=True,
        validate=validate.Length(1, LIMITS.parts_per_grant),
    )
    thread = identifier(required=False, description="needed by fields that come after a confirmed match")


class DenialSchema(JsonSchema):
    """The first rule that refuses, its error code, why, and what would make it lawful."""

    rule = text(limit=80)
    code = text(limit=40)
    reason = text(limit=300)
    remedy = text(limit=300)


class WithheldSchema(DenialSchema):
    """One part that would not be given."""

    field = text(limit=40)


class Checked(JsonSchema):
    """`decision` is on a message of exactly the `given` parts; `denial` comes with deny.

    `agreements`: the version of the sharing agreements that it was decided under, 0 when none are signed.
    """

    given = fields.List(text(limit=40), required=True, validate=_PARTS)
    withheld = fields.List(fields.Nested(WithheldSchema), required=True, validate=_PARTS)
    decision = one_of("allow", "deny")
    agreements = Whole(required=True, validate=validate.Range(min=0))
    denial = fields.Nested(DenialSchema)


class WithdrawalRequest(JsonSchema):
    """A withdrawal, signed by an approver of the issuer. It ends the consent's whole family."""

    withdrawal = fields.Nested(JwsSchema, required=True)


class WithdrawalDone(JsonSchema):
    """How many grants were never given out and now never will be, and how many had been."""

    family = identifier()
    effective_at = text(limit=20)
    undelivered = Whole(required=True)
    delivered = Whole(required=True)


_REGISTERED = {"cid": EXAMPLE_ID, "digest": EXAMPLE_DIGEST, "status": "active"}
_SHOWN = {"cid": EXAMPLE_ID, "status": "active", "consent": EXAMPLE_JWS}


@blp.route("", methods=["POST"])
@blp.operation(
    carried=True,
    scope="consents:write",
    act=Act.CONSENT_REGISTER,
    summary="Register a signed consent",
    description="The same bytes again give 200 and the first receipt.",
    request=ConsentRequest,
    responses={201: ConsentRegistered, 200: ConsentRegistered},
    problems=(409,),
    max_bytes=_MAX_BYTES,
    examples={"request": {"consent": EXAMPLE_JWS}, 201: _REGISTERED, 200: _REGISTERED},
)
def register(body: dict[str, Any]) -> Response:
    """201; 200 for the same bytes again."""
    return respond(consents.register(current_hub(), current_caller(), body["consent"]))


@blp.route("", methods=["GET"])
@blp.operation(
    carried=True,
    scope="consents:read",
    act=Act.CONSENT_LIST,
    summary="List the consents that the caller issued or received",
    query=PageQuery,
    responses={200: ConsentPage},
    examples={200: {"items": [_SHOWN], "next": None}},
)
def listing(query: dict[str, Any]) -> Response:
    """A page, oldest first."""
    page = consents.listing(current_hub(), current_caller(), cursor=query.get("cursor"), limit=query["limit"])
    return respond(page)


@blp.route("/check", methods=["POST"])
@blp.operation(
    scope="consents:read",
    act=Act.CONSENT_CHECK,
    summary="Ask what the recipient of a consent would receive now, and why not the rest",
    description="A dry run for the issuer or the recipient of the consent: it decides as a deposit does, "
    "gives nothing and promises nothing.",
    request=CheckRequest,
    responses={200: Checked},
    max_bytes=_MAX_BYTES,
    examples={
        "request": {
            "consent": EXAMPLE_ID,
            "kind": "found_notice",
            "purpose": "trace",
            "names": ["age_range", "photo", "sex"],
        },
        200: {
            "given": ["age_range", "sex"],
            "withheld": [
                {
                    "field": "photo",
                    "rule": "C11-field",
                    "code": "FIELD_DENIED",
                    "reason": "photo: not in the consent",
                    "remedy": "leaving it out, or a consent with it",
                }
            ],
            "decision": "deny",
            "agreements": 1,
            "denial": {
                "rule": "C17-kind",
                "code": "FIELD_DENIED",
                "reason": "child_ref: found_notice needs child_ref",
                "remedy": "adding what it needs, and leaving out the rest",
            },
        },
    },
)
def check(body: dict[str, Any]) -> Response:
    """The parts that would go, and for every other one the rule that refuses it."""
    question = consent_check.Question(
        cid=ConsentId(body["consent"]),
        kind=body["kind"],
        purpose=body["purpose"],
        names=body["names"],
        thread=None if body.get("thread") is None else ThreadId(body["thread"]),
    )
    return respond(consent_check.check(current_hub(), current_caller(), question))


@blp.route(_ONE, methods=["GET"])
@blp.operation(
    scope="consents:read",
    act=Act.CONSENT_READ,
    summary="Read one consent that the caller issued or received",
    responses={200: ConsentShown},
    examples={200: _SHOWN},
)
def one(cid: str) -> Response:
    """The consent; 404 when it is not the caller's, or not there."""
    return respond(consents.one(current_hub(), current_caller(), ConsentId(check_id(cid, field="cid"))))


@blp.route(f"{_ONE}/withdrawal", methods=["POST"])
@blp.operation(
    carried=True,
    scope="consents:write",
    act=Act.CONSENT_WITHDRAW,
    summary="Withdraw a consent and its whole family",
    description="Effective at once. A family stays withdrawn; the same request again gives the first answer.",
    request=WithdrawalRequest,
    responses={200: WithdrawalDone},
    problems=(507,),
    max_bytes=_MAX_BYTES,
    examples={
        "request": {"withdrawal": EXAMPLE_JWS},
        200: {
            "family": EXAMPLE_ID,
            "effective_at": "2026-11-23T12:00:00Z",
            "undelivered": 1,
            "delivered": 0,
        },
    },
)
def withdraw(body: dict[str, Any], cid: str) -> Response:
    """200 once nothing more is given out under the family."""
    named = ConsentId(check_id(cid, field="cid"))
    return respond(withdrawals.withdraw(current_hub(), current_caller(), named, body["withdrawal"]))
