"""What clients need to know before they have a token: OAuth metadata, the JWK set, the interface description.

Public, the same for everybody, not logged. Nothing here may depend on who asks.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request
from marshmallow import fields, validate

from exchange.hub.api.base import Blueprint, JsonSchema, current_hub, current_wiring
from exchange.hub.api.problem import dump
from exchange.hub.api.schemas import EXAMPLE_DIGEST, text
from exchange.hub.services.tokens import SCOPES, SIGNING_ALGORITHMS
from exchange_keys.jose import jwks_member
from exchange_schemas.codec import b64u, sha256

blp = Blueprint("wellknown", "wellknown", description="Metadata, keys, interface description; not logged")

# A rotated key is published long before it signs, so a cached set is never too old.
_SHORT: Final = "public, max-age=300"
_LONG: Final = "public, max-age=3600"


def _words() -> fields.List[Any]:
    return fields.List(text(limit=80), required=True, validate=validate.Length(max=16))


class MetadataSchema(JsonSchema):
    """RFC 8414, section 2."""

    issuer = text(limit=300)
    token_endpoint = text(limit=300)
    revocation_endpoint = text(limit=300)
    jwks_uri = text(limit=300)
    scopes_supported = _words()
    response_types_supported = _words()
    grant_types_supported = _words()
    token_endpoint_auth_methods_supported = _words()
    token_endpoint_auth_signing_alg_values_supported = _words()
    revocation_endpoint_auth_methods_supported = _words()
    revocation_endpoint_auth_signing_alg_values_supported = _words()
    dpop_signing_alg_values_supported = _words()
    service_documentation = text(limit=300)


class JwksSchema(JsonSchema):
    """RFC 7517: the keys that access tokens are, were or will be signed with."""

    keys = fields.List(fields.Dict(), required=True, validate=validate.Length(max=16))


class DescriptionSchema(JsonSchema):
    """This document."""

    class Meta:
        """OpenAPI's own schema says what is in it."""

        unknown = "include"

    openapi = text(limit=300)


def metadata(base_url: str) -> dict[str, Any]:
    """The authorization server metadata (RFC 8414, RFC 9449 section 5.1)."""
    algorithms = list(SIGNING_ALGORITHMS)
    return {
        "issuer": base_url,
        "token_endpoint": f"{base_url}/oauth/token",
        "revocation_endpoint": f"{base_url}/oauth/revoke",
        "jwks_uri": f"{base_url}/oauth/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": algorithms,
        "service_documentation": f"{base_url}/reference",
    }


_EXAMPLE: Final = metadata("https://hub.example")
_JWKS_EXAMPLE: Final = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "kid": EXAMPLE_DIGEST,
            "alg": "ES256",
            "use": "sig",
        }
    ]
}


@blp.route("/.well-known/oauth-authorization-server", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Authorization server metadata",
    responses={200: MetadataSchema, 304: None},
    examples={200: _EXAMPLE},
)
def oauth_metadata() -> Response:
    """RFC 8414."""
    return public(dump(metadata(current_hub().settings.base_url)))


@blp.route("/.well-known/openid-configuration", methods=["GET"])
@blp.operation(
    auth=False,
    summary="The same metadata where some clients look first",
    responses={200: MetadataSchema, 304: None},
    examples={200: _EXAMPLE},
)
def openid_metadata() -> Response:
    """The same document."""
    return public(dump(metadata(current_hub().settings.base_url)))


@blp.route("/oauth/jwks.json", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Keys of access tokens",
    description="Current first, then next and retired ones, so that a rotation breaks no valid token.",
    responses={200: JwksSchema, 304: None},
    examples={200: _JWKS_EXAMPLE},
)
def jwks() -> Response:
    """The JWK set."""
    keys = [jwks_member(key.public) for key in current_hub().keys.published()]
    return public(dump({"keys": keys}), cache=_SHORT)


@blp.route("/openapi.json", methods=["GET"])
@blp.operation(
    auth=False,
    summary="This interface description",
    responses={200: DescriptionSchema, 304: None},
    examples={200: {"openapi": "3.1.0"}},
)
def openapi_json() -> Response:
    """OpenAPI 3.1."""
    return public(dump(current_wiring().description()))


def public(body: bytes, media_type: str = "application/json", *, cache: str = _LONG) -> Response:
    """What is the same for everybody: a client may keep it, and ask by its ETag whether it still holds."""
    response = Response(body, mimetype=media_type)
    response.headers["Cache-Control"] = cache
    response.set_etag(b64u(sha256(body)))
    response.make_conditional(request)
    return response
