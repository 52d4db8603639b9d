"""`/problems/<code>`: what each code of an answer means, as a page for a person or as JSON for a program.

It comes from problems.toml alone; nothing of a request is repeated in it. A page is in the reader's language:
what `lang` names, else what Accept-Language likes best, else English. JSON is English for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request
from marshmallow import validate

from exchange.hub.api.base import Blueprint, Content, JsonSchema
from exchange.hub.api.problem import Problem, dump, problems
from exchange.hub.api.problem_page import code_page, list_page
from exchange.hub.api.schemas import Whole, listed, matching, one_of, text
from exchange.words import ENGLISH, LANGUAGES, Language, preferred
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


class LanguageQuery(JsonSchema):
    """Which language a page is in."""

    lang = one_of(*LANGUAGES, required=False, description="The page's language, instead of Accept-Language.")


_EXAMPLE: Final = {
    "code": "CONSENT_WITHDRAWN",
    "status": 403,
    "title": "Consent withdrawn",
    "happened": "The consent was withdrawn.",
    "todo": "Ask the agency that gave it.",
}
_DESCRIPTION: Final = (
    "A page for a person, in English, French, Arabic or Russian as `lang` or Accept-Language asks; JSON, in "
    "English, for a client that prefers it (`Accept: application/json`)."
)


@blp.route("", methods=["GET"])
@blp.operation(
    auth=False,
    summary="List every error code",
    description=_DESCRIPTION,
    query=LanguageQuery,
    responses={200: Content(_HTML, _PAGE_SCHEMA, "Every code", CodesSchema)},
    examples={200: {"problems": [_EXAMPLE]}},
)
def index(*, query: Mapping[str, Any]) -> Response:
    """All codes with their titles."""
    if _wants_json():
        return _answer(dump({"problems": [_members(found) for found in problems().values()]}), _JSON)
    spoken = _language(query)
    return _page(spoken, list_page(spoken, problems().values(), query=_kept(query)))


@blp.route("/<code>", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Explain an error code",
    description=f"{_DESCRIPTION} This is the `type` of a problem document.",
    query=LanguageQuery,
    responses={200: Content(_HTML, _PAGE_SCHEMA, "What happened and what to do", ExplainedSchema)},
    examples={200: _EXAMPLE},
)
def explain(code: str, *, query: Mapping[str, Any]) -> Response:
    """One code: what happened and what to do."""
    found = problems().get(code.upper()) if code == code.lower() else None
    if found is None:
        raise NotFound("there is no such code")
    if _wants_json():
        return _answer(dump(_members(found)), _JSON)
    spoken = _language(query)
    return _page(spoken, code_page(spoken, found, query=_kept(query)))


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


def _language(query: Mapping[str, Any]) -> Language:
    return LANGUAGES[query["lang"]] if "lang" in query else preferred(request.accept_languages)


def _kept(query: Mapping[str, Any]) -> str:
    """What a link from a page carries on, so that the reader stays in a language asked for by name."""
    return f"?lang={query['lang']}" if "lang" in query else ""


def _page(spoken: Language, content: str) -> Response:
    return _answer(content, _HTML, spoken)


def _answer(content: str | bytes, media_type: str, spoken: Language = ENGLISH) -> Response:
    response = Response(content, mimetype=media_type)
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.headers["Content-Language"] = spoken.code
    response.headers["Vary"] = "Accept, Accept-Language"
    return response
