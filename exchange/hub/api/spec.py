"""The interface description (OpenAPI 3.1): the thin Api over flask-smorest and one operation's entry in it.

What is described is what the code does: it is made from the same declarations that serve requests. Nothing
here may serve one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import flask_smorest
from flask_smorest.spec.plugins import FlaskPlugin
from marshmallow import fields, validate

from exchange.hub.api.body import FORM
from exchange.hub.api.operation import BYTES, Content, Operation
from exchange.hub.api.problem import MEDIA_TYPE, members_of, problems
from exchange.hub.api.ranges import CONTENT_RANGE, add_ranges
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_RECEIPT,
    Count,
    Flag,
    JsonSchema,
    Pattern,
    ReceiptSchema,
    Whole,
    matching,
    text,
)
from exchange.hub.services.couriers import COVER_BYTES
from exchange.hub.services.tokens import SCOPES
from exchange_schemas.bundle import COURIER_HEADER
from exchange_schemas.codec import MAX_INT
from exchange_schemas.ids import DIGEST_PATTERN, ID_PATTERN

OPENAPI_VERSION: Final = "3.1.0"
API_VERSION: Final = "1.0.0"
_JSON: Final = "application/json"
_PROBLEM: Final = "Problem"
_TOKEN, _PROOF, _OAUTH = "accessToken", "dpopProof", "oauth2"
# What any operation may answer beside its own answers.
_ALWAYS: Final = (404, 429, 500, 503)
_AUTHENTICATED: Final = (401, 403, 422)
_WITH_BODY: Final = (413, 415, 422)
_CHALLENGE: Final = {
    "WWW-Authenticate": {"schema": {"type": "string", "maxLength": 200}, "description": "RFC 9449, 7.1"}
}
_SECONDS: Final = {"type": "integer", "format": "int32", "minimum": 0, "maximum": 3600}
_RETRY: Final = {"Retry-After": {"schema": _SECONDS, "description": "Seconds to wait"}}
_QUOTA: Final = {
    name: {"schema": {"type": "string", "maxLength": 100}, "description": text}
    for name, text in (
        ("RateLimit-Policy", 'The quota and its window in seconds: `"agency";q=600;w=10`'),
        ("RateLimit", 'What is left of it, and for how many seconds: `"agency";r=598;t=7`'),
    )
}
_QUOTA_REFS: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in _QUOTA}
_HEADERS: Final[Mapping[int, Mapping[str, Any]]] = {
    401: _CHALLENGE,
    416: CONTENT_RANGE,
    429: _RETRY,
    503: _RETRY,
}
# Of several codes, the one to show.
_TYPICAL: Final[Mapping[int, str]] = {403: "FORBIDDEN", 410: "GRANT_EXPIRED", 422: "MALFORMED"}
_PATH_PARAMETERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "cid": ("A consent's id", ID_PATTERN, EXAMPLE_ID),
    "code": ("An error code in lower case", "[a-z][a-z_]{2,39}", "consent_withdrawn"),
    "entry": ("An audit entry's id", ID_PATTERN, EXAMPLE_ID),
    "reading": ("An opened reading's id", ID_PATTERN, EXAMPLE_ID),
    "gid": ("A grant's id", ID_PATTERN, EXAMPLE_ID),
    "message": ("A message's id", "msg_[A-Za-z0-9_-]{22}", f"msg_{EXAMPLE_ID}"),
    "kid": ("A key's id", DIGEST_PATTERN, EXAMPLE_DIGEST),
    "p": ("A part's id", ID_PATTERN, EXAMPLE_ID),
    "rest": ("The rest of a C2SP tlog-tiles path", "[0-9x][0-9/.px]{0,79}", "000"),
    "sha256": ("The digest of the body", DIGEST_PATTERN, EXAMPLE_DIGEST),
}
_SERVER: Final = "This hub: in production, or a sandbox whose origin says so"
_RECEIPT_HEADER: Final = {
    "Homeward-Receipt": {
        "description": "Id of the audit entry that records this answer",
        "schema": {"type": "string", "pattern": f"^(?:{ID_PATTERN})$", "maxLength": 22},
    }
}


_COURIER: Final[dict[str, Any]] = {
    "in": "header",
    "name": COURIER_HEADER,
    "description": (
        "Only from a courier, for an office without network: the signed cover of its bundle, base64url."
    ),
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": -(-COVER_BYTES * 4 // 3)},
    "example": "eyJwYXlsb2FkIjoiZXlKMklqb3hmUSJ9",
}


class ProblemSchema(JsonSchema):
    """RFC 9457 problem document. `code` is permanent; read that one."""

    type = fields.String(required=True, metadata={"format": "uri", "maxLength": 300})
    title = text(limit=80)
    status = Whole(required=True, validate=validate.Range(min=400, max=599))
    detail = text(limit=1000)
    code = matching("[A-Z][A-Z0-9_]{1,39}", limit=40)
    field = text(limit=300, required=False, description="The member at fault")
    rule = text(limit=80, required=False, description="The permanent tag of the rule")
    hint = text(limit=1000, required=False, description="The next step")
    receipt = fields.Nested(ReceiptSchema)

    class Meta:
        """A code may bring members of its own, such as `head` or `tombstone`."""

        unknown = "include"


class _Paths(FlaskPlugin):  # type: ignore[misc]  # flask-smorest has no types
    """Describes path parameters by what their name stands for everywhere."""

    def rule_to_params(self, rule: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().rule_to_params(rule)
        for parameter in parameters:
            known = _PATH_PARAMETERS.get(parameter["name"])
            if known is not None:
                parameter["description"], pattern, parameter["example"] = known
                parameter["schema"] = {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": 80}
        return parameters


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest's Api with our problem documents, security schemes and fields; it serves no pages."""

    DEFAULT_ERROR_RESPONSE_NAME = _PROBLEM

    def __init__(self, app: Any, *, base_url: str) -> None:
        app.config.update(
            API_TITLE="Homeward exchange hub", API_VERSION=API_VERSION, OPENAPI_VERSION=OPENAPI_VERSION
        )
        super().__init__(app, spec_kwargs={"flask_plugin": _Paths(), **_spec_options(base_url)})

    def _register_error_handlers(self) -> None:
        """None: `app` sends every error through `problem`."""

    def _register_responses(self) -> None:
        base_url = self._spec_kwargs["servers"][0]["url"]
        self.ma_plugin.map_to_openapi_type(Whole, "integer", None)
        self.ma_plugin.map_to_openapi_type(Count, "integer", None)
        self.ma_plugin.map_to_openapi_type(Flag, "boolean", None)
        self.ma_plugin.converter.add_attribute_function(_pattern)
        self.ma_plugin.converter.add_attribute_function(_whole)
        for status in (None, *HTTPStatus):
            name = _PROBLEM if status is None else f"{_PROBLEM}{status.value}"
            self.spec.components.response(name, _problem_response(status, base_url), lazy=True)
        for name, header in _QUOTA.items():
            self.spec.components.header(name, header)
        for name, scheme in _security_schemes(base_url).items():
            self.spec.components.security_scheme(name, scheme)

    def _register_etag_headers(self) -> None:
        """None: flask-smorest's entity tags are not used."""

    def _register_pagination_header(self) -> None:
        """None: listings have cursors."""


def describe(declared: Operation, group: str, view: Callable[..., Any]) -> dict[str, Any]:
    """One operation of the interface description, schemas as classes for apispec to resolve.

    `group`: the blueprint's name. A view's docstring describes it where nothing else was declared.
    """
    scope, examples = declared.scope, declared.examples
    # Whether every answer has a receipt; a public operation has none.
    logged = None if scope is None else declared.unlogged is None
    entry: dict[str, Any] = {
        "operationId": f"{group}_{view.__name__}",
        "summary": declared.summary,
        "security": _security(scope, declared.form),
        "responses": {
            status: _response(status, answer, logged, examples.get(status))
            for status, answer in declared.responses.items()
        },
    }
    description = declared.description or (view.__doc__ or "").strip()
    if description:
        entry["description"] = description
    query = declared.query
    parameters: list[dict[str, Any]] = [] if query is None else [{"in": "query", "schema": query}]
    if declared.carried:
        parameters.append(copy.deepcopy(_COURIER))
    if parameters:
        entry["parameters"] = parameters
    if HTTPStatus.PARTIAL_CONTENT in declared.responses:
        add_ranges(entry)
    body = _request_body(declared)
    if body is not None:
        entry["requestBody"] = body
    expected = {
        *_ALWAYS,
        *declared.problems,
        *(_AUTHENTICATED if scope else ()),
        *(_WITH_BODY if body else ()),
    }
    for status in sorted(expected - declared.responses.keys()):
        entry["responses"][status] = f"{_PROBLEM}{status}"
    return entry


@cache
def with_receipt(schema: type[JsonSchema], *, always: bool) -> type[JsonSchema]:
    """The schema of a member's answer: the service's members and `receipt`, which only logged ones have."""
    members = {"receipt": fields.Nested(ReceiptSchema, required=always), "__doc__": schema.__doc__}
    name = f"{'Logged' if always else 'MaybeLogged'}{schema.__name__}"
    derived: type[JsonSchema] = type(name, (schema,), members)
    return derived


def _security(scope: str | None, form: type[JsonSchema] | None) -> list[dict[str, list[str]]]:
    if scope is not None:
        return [{_TOKEN: [], _PROOF: [], _OAUTH: [scope]}]
    return [] if form is None else [{_PROOF: []}]


def _request_body(declared: Operation) -> dict[str, Any] | None:
    example = declared.examples.get("request")
    if declared.raw:
        return {"required": True, "content": {declared.content: {"schema": dict(BYTES.schema)}}}
    if declared.form is not None:
        return {"required": True, "content": {FORM: _media(declared.form, example)}}
    if declared.request is None:
        return None
    return {"required": True, "content": {_JSON: _media(declared.request, example)}}


def _response(
    status: int, answer: type[JsonSchema] | Content | None, logged: bool | None, example: Any
) -> dict[str, Any]:
    entry: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": dict(_QUOTA_REFS)}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        entry["headers"].update(copy.deepcopy(_RETRY))
    if logged:
        entry["headers"].update(copy.deepcopy(_RECEIPT_HEADER))
    if isinstance(answer, Content):
        entry["description"] = answer.description or entry["description"]
        if answer.as_json is None:
            entry["content"] = {answer.media_type: _media(dict(answer.schema), example)}
        else:
            plain = _media(dict(answer.schema), None)
            entry["content"] = {answer.media_type: plain, _JSON: _media(answer.as_json, example)}
    elif answer is not None:
        if logged is not None:
            answer = with_receipt(answer, always=logged)
            example = None if example is None else {**example, "receipt": EXAMPLE_RECEIPT}
        entry["content"] = {_JSON: _media(answer, example)}
    return entry


def _media(schema: Any, example: Any) -> dict[str, Any]:
    # apispec writes the schemas of its own classes; an example must be our own copy.
    return {"schema": schema} if example is None else {"schema": schema, "example": copy.deepcopy(example)}


def _problem_response(status: HTTPStatus | None, base_url: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "description": "Any other refusal or failure" if status is None else status.phrase,
        "content": {MEDIA_TYPE: _media(ProblemSchema, _problem_example(status, base_url))},
    }
    headers = {} if status is None else copy.deepcopy(dict(_HEADERS.get(status, {})))
    if status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        headers |= _QUOTA_REFS
    if headers:
        entry["headers"] = headers
    return entry


def _problem_example(status: HTTPStatus | None, base_url: str) -> dict[str, Any] | None:
    """A code of this status, as its page explains it; None when no code has the status."""
    named = problems().get(_TYPICAL.get(status or HTTPStatus.UNPROCESSABLE_ENTITY, ""))
    found = named or next((one for one in problems().values() if one.status == status), None)
    return None if found is None else members_of(found, base_url, status or found.status, found.happened)


def _pattern(_converter: Any, field: fields.Field[Any], **_kwargs: Any) -> dict[str, Any]:
    found = [v for v in field.validators if isinstance(v, Pattern)]
    return {"pattern": found[0].pattern} if found else {}


def _whole(
    _converter: Any, field: fields.Field[Any], *, ret: dict[str, Any], **_kwargs: Any
) -> dict[str, Any]:
    """What every whole number is, where the field's own range does not say it more narrowly."""
    if not isinstance(field, Whole | Count):
        return {}
    lowest = 0 if isinstance(field, Count) else -MAX_INT
    bounds = {"minimum": lowest, "maximum": MAX_INT}
    return {"format": "int64", **{name: ret.get(name, bound) for name, bound in bounds.items()}}


def _spec_options(base_url: str) -> dict[str, Any]:
    return {
        "info": {
            "summary": "Share sealed, minimal records of separated children between agencies.",
            "description": (
                "Every answer to an authenticated caller is in the audit log before it leaves; its `receipt` "
                "proves it. Errors are RFC 9457 problem documents: read `code`. Access tokens are bound "
                "to a key (DPoP, RFC 9449): each request carries a new proof. RateLimit and "
                "RateLimit-Policy say what is left (draft-ietf-httpapi-ratelimit-headers)."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operators of this exchange", "url": base_url},
        },
        "servers": [{"url": base_url, "description": _SERVER, "x-internal": False}],
    }


def _security_schemes(base_url: str) -> dict[str, dict[str, Any]]:
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": dict(SCOPES)}
    return {
        _TOKEN: {
            "type": "http",
            "scheme": "DPoP",
            "description": "`Authorization: DPoP <access token>` (RFC 9449); Bearer is refused.",
        },
        _PROOF: {
            "type": "apiKey",
            "in": "header",
            "name": "DPoP",
            "description": "A new DPoP proof for this request: htm, htu, ath, jti, iat.",
        },
        _OAUTH: {
            "type": "oauth2",
            "description": "Client credentials with private_key_jwt (RFC8725, RFC 7523); bound tokens.",
            "flows": {"clientCredentials": flow},
        },
    }
