"""`/oauth/token` and `/oauth/revoke`: forms in, plain OAuth JSON out (RFC 6749, 7009, 7523, 9449).

Errors here are never problem documents: clients written for OAuth read `error` and nothing else. No answer
tells why a client was not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response
from marshmallow import EXCLUDE, validate

from exchange.hub.api.base import AskOAuth, Blueprint, JsonSchema, current_address, current_wiring
from exchange.hub.api.body import read_form, request_of
from exchange.hub.api.problem import RETRY_AFTER_S, dump
from exchange.hub.api.reply import Reply
from exchange.hub.api.schemas import Whole, agency, matching, one_of, text
from exchange_keys.jose import CLIENT_ASSERTION_TYPE
from exchange_schemas.errors import ExchangeError, Malformed, RateLimited, RequestError, ServiceError

MAX_FORM_BYTES: Final = 32 * 1024
_UNLOGGED: Final = "the client was not believed"

blp = Blueprint("oauth", "oauth", url_prefix="/oauth", description="Access tokens for agencies and auditors")


class OAuthErrorSchema(JsonSchema):
    """RFC 6749, section 5.2."""

    error = matching("[a-z_]{1,40}", limit=40)


class TokenSchema(JsonSchema):
    """RFC 6749, section 5.1; the token is bound to the key of the DPoP proof."""

    access_token = text(limit=4096)
    token_type = one_of("DPoP")
    expires_in = Whole(required=True, validate=validate.Range(min=1, max=300))
    scope = text(limit=300)


class EmptySchema(JsonSchema):
    """Nothing."""


class ClientForm(JsonSchema):
    """What proves the client (RFC 7521, section 4.2)."""

    class Meta:
        """OAuth has servers ignore parameters that they do not know (RFC 6749, section 3.2)."""

        unknown = EXCLUDE

    client_assertion_type = one_of(CLIENT_ASSERTION_TYPE)
    client_assertion = text(limit=8192)
    client_id = agency(required=False)


class TokenForm(ClientForm):
    """client_credentials with private_key_jwt (RFC 7523)."""

    grant_type = one_of("client_credentials")
    scope = text(limit=300, required=False, description="Default: all that the agency's kind may have")


class RevocationForm(ClientForm):
    """RFC 7009."""

    token = text(limit=MAX_FORM_BYTES)
    token_type_hint = one_of("access_token", "refresh_token", required=False)


_EXAMPLE_CLIENT = {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": "eyJhbGciOi…"}


@blp.route("/token", methods=["POST"])
@blp.operation(
    auth=False,
    counted=False,
    summary="Issue an access token",
    description=(
        "`client_assertion` is signed by one of the agency's active `auth` keys; its `aud` is the issuer. "
        "A DPoP proof is needed: the token is bound to its key. The answer is logged."
    ),
    form=TokenForm,
    unlogged=_UNLOGGED,
    max_bytes=MAX_FORM_BYTES,
    responses={200: TokenSchema, 400: OAuthErrorSchema, 429: OAuthErrorSchema},
    examples={
        "request": {"grant_type": "client_credentials", **_EXAMPLE_CLIENT, "scope": "directory:read"},
        200: {
            "access_token": "eyJ0eXAiOi…",
            "token_type": "DPoP",
            "expires_in": 300,
            "scope": "directory:read",
        },
        400: {"error": "invalid_client"},
        429: {"error": "temporarily_unavailable"},
    },
)
def token() -> Response:
    """A DPoP-bound access token of at most 300 seconds."""
    return _answer(current_wiring().token)


@blp.route("/revoke", methods=["POST"])
@blp.operation(
    auth=False,
    counted=False,
    summary="Revoke an access token",
    description="Only the client's own tokens; effective at once in every worker. The answer is logged.",
    form=RevocationForm,
    unlogged=_UNLOGGED,
    max_bytes=MAX_FORM_BYTES,
    responses={200: EmptySchema, 400: OAuthErrorSchema, 429: OAuthErrorSchema},
    examples={
        "request": {"token": "eyJ0eXAiOi…", **_EXAMPLE_CLIENT},
        200: {},
        400: {"error": "invalid_client"},
        429: {"error": "temporarily_unavailable"},
    },
)
def revoke() -> Response:
    """Nothing, also when the token was not a token."""
    return _answer(current_wiring().revoke)


def speaks_oauth(path: str) -> bool:
    """Whether errors at this path are plain OAuth."""
    return path in (f"{blp.url_prefix}/token", f"{blp.url_prefix}/revoke")


def refusal_of(error: ExchangeError) -> Response:
    """An error as plain OAuth JSON."""
    if isinstance(error, ServiceError | RateLimited):
        wait = error.detail.get("retry_after_s", RETRY_AFTER_S)
        status = 429 if isinstance(error, RateLimited) else 503
        return _json(status, {"error": "temporarily_unavailable"}, {"Retry-After": str(wait)})
    # The request was refused before anybody was believed; the message names no value.
    return _json(400, {"error": "invalid_request"}, {})


def _answer(ask: AskOAuth) -> Response:
    current = request_of()
    try:
        form = read_form(current, MAX_FORM_BYTES)
    except (RequestError, Malformed):
        # Raises: Limited, which is the answer then.
        current_wiring().quotas.of_failure(current_address())
        raise
    return _json(*ask(form, current.headers.get("DPoP"), current_address))


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    fields = [*headers.items(), ("Pragma", "no-cache")]
    return Reply(dump(body), status, fields, content_type="application/json", direct_passthrough=True)
