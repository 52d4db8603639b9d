"""`/problems/<code>`: a page for each code that an answer may carry, for the person who reads the log.

The pages come from problems.toml alone; nothing of a request is repeated on them.
"""

from __future__ import annotations

from html import escape

from flask import Response

from exchange.hub.api.base import Blueprint, Content
from exchange.hub.api.problem import Problem, problems
from exchange_schemas.errors import NotFound

blp = Blueprint(
    "problems", "problems", url_prefix="/problems", description="What each error code means and what to do"
)

_PAGE = Content("text/html", {"type": "string", "maxLength": 65536}, "A page for a person")


@blp.route("", methods=["GET"])
@blp.operation(auth=False, summary="List every error code", responses={200: _PAGE})
def index() -> Response:
    """All codes with their titles."""
    items = "".join(
        f'<li><a href="/problems/{p.code.lower()}">{escape(p.code)}</a>: {escape(p.title)}</li>'
        for p in problems().values()
    )
    return _page("Error codes", f"<ul>{items}</ul>")


@blp.route("/<code>", methods=["GET"])
@blp.operation(auth=False, summary="Explain an error code", responses={200: _PAGE})
def explain(code: str) -> Response:
    """One code: what happened and what to do."""
    found = problems().get(code.upper()) if code == code.lower() else None
    if found is None:
        raise NotFound("there is no such code")
    return _page(f"{found.title} ({found.code})", _explained(found))


def _explained(problem: Problem) -> str:
    return (
        f"<h2>What happened</h2><p>{escape(problem.happened)}</p>"
        f"<h2>What to do</h2><p>{escape(problem.todo)}</p>"
        f"<p>HTTP status {problem.status}, code <code>{escape(problem.code)}</code></p>"
    )


def _page(title: str, body: str) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
    response = Response(text, mimetype="text/html")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
