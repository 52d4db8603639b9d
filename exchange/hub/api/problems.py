"""`/problems/<code>`: what each code of an answer means, as a page for a person or as JSON for a program.

It comes from problems.toml alone; nothing of a request is repeated in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from flask import Response, request
from marshmallow import validate

from exchange.hub.api.base import Blueprint, Content, JsonSchema
from exchange.hub.api.problem import Problem, dump, problems
from exchange.hub.api.schemas import Whole, listed, matching, text
from exchange_schemas.errors import NotFound

blp = Blueprint(
    "problems", "problems", url_prefix="/problems", description="What each error code means and what to do"
)

_HTML, _JSON = "text/html", "application/json"
_PAGE_SCHEMA: Final = {"type": "string", "maxLength": 65536}


class ExplainedSchema(JsonSchema):
    """One error code: what happened, and what to do."""

    code = matching("[A-Z][A-Z0-9_]{1,39}", limit=40)
    status = Whole(required=True, validate=validate.Range(min=400, max=599))
    title = text(limit=80)
    happened = text(limit=1000)
    todo = text(limit=1000)


class CodesSchema(JsonSchema):
    """Every code."""

    problems = listed(ExplainedSchema, limit=200)


_EXAMPLE: Final = {
    "code": "CONSENT_WITHDRAWN",
    "status": 403,
    "title": "Consent withdrawn",
    "happened": "The consent was withdrawn.",
    "todo": "Ask the agency that gave it.",
}
_DESCRIPTION: Final = "A page for a person; JSON for a client that prefers it (`Accept: application/json`)."


@blp.route("", methods=["GET"])
@blp.operation(
    auth=False,
    summary="List every error code",
    description=_DESCRIPTION,
    responses={200: Content(_HTML, _PAGE_SCHEMA, "Every code", CodesSchema)},
    examples={200: {"problems": [_EXAMPLE]}},
)
def index() -> Response:
    """All codes with their titles."""
    if _wants_json():
        return _answer(dump({"problems": [_members(found) for found in problems().values()]}), _JSON)
    items = "".join(
        f'<li><a href="/problems/{p.code.lower()}">{escape(p.code)}</a>: {escape(p.title)}</li>'
        for p in problems().values()
    )
    return _page("Error codes", f"<ul>{items}</ul>")


@blp.route("/<code>", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Explain an error code",
    description=f"{_DESCRIPTION} This is the `type` of a problem document.",
    responses={200: Content(_HTML, _PAGE_SCHEMA, "What happened and what to do", ExplainedSchema)},
    examples={200: _EXAMPLE},
)
def explain(code: str) -> Response:
    """One code: what happened and what to do."""
    found = problems().get(code.upper()) if code == code.lower() else None
    if found is None:
        raise NotFound("there is no such code")
    if _wants_json():
        return _answer(dump(_members(found)), _JSON)
    return _page(f"{found.title} ({found.code})", _explained(found))


def _wants_json() -> bool:
    """Whether the client names JSON and does not like a page better; one that names nothing gets the page."""
    return request.accept_mimetypes.best_match([_HTML, _JSON], default=_HTML) == _JSON


def _members(problem: Problem) -> Mapping[str, Any]:
    return {
        "code": problem.code,
        "status": problem.status,
        "title": problem.title,
        "happened": problem.happened,
        "todo": problem.todo,
    }


def _explained(problem: Problem) -> str:
    return (
        f"<h2>What happened</h2><p>{escape(problem.happened)}</p>"
        f"<h2>What to do</h2><p>{escape(problem.todo)}</p>"
        f"<p>HTTP status {problem.status}, code <code>{escape(problem.code)}</code></p>"
        '<p><a href="/problems">Every error code</a></p>'
    )


def _page(title: str, body: str) -> Response:
    return _answer(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n",
        _HTML,
    )


def _answer(content: str | bytes, media_type: str) -> Response:
    response = Response(content, mimetype=media_type)
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.headers["Vary"] = "Accept"
    return response
