"""The pages of /problems for a person, in English, French, Arabic or Russian.

A language's texts are read when its first page is asked for: neither the start of a hub nor any other request
pays for them. Codes stand in every language as a program sees them.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from exchange.hub.api.problem import Problem
from exchange.words import LANGUAGES, Language, gettext, in_language


def list_page(spoken: Language, known: Iterable[Problem], *, query: str) -> str:
    """Every code with its title. `query` keeps a language that was asked for by name, or is empty."""
    with in_language(spoken):
        items = "".join(
            f'<li><a href="/problems/{one.code.lower()}{query}">{_code(one.code)}</a>: '
            f"{escape(gettext(one.title))}</li>"
            for one in known
        )
        title = escape(gettext("Error codes"))
        return _page(spoken, title, f"<h1>{title}</h1><ul>{items}</ul>")


def code_page(spoken: Language, problem: Problem, *, query: str) -> str:
    """One code: what happened, and what to do."""
    with in_language(spoken):
        title = escape(gettext(problem.title))
        body = (
            f"<h1>{title} ({_code(problem.code)})</h1>"
            f"<h2>{escape(gettext('What happened'))}</h2><p>{escape(gettext(problem.happened))}</p>"
            f"<h2>{escape(gettext('What to do'))}</h2><p>{escape(gettext(problem.todo))}</p>"
            f"<p>{escape(gettext('HTTP status'))}: {problem.status}</p>"
            f'<p><a href="/problems{query}">{escape(gettext("Every error code"))}</a></p>'
        )
        return _page(spoken, title, body)


def _code(code: str) -> str:
    return f'<code dir="ltr">{escape(code)}</code>'


def _page(spoken: Language, title: str, body: str) -> str:
    others = " ".join(
        f'<a href="?lang={one.code}" hreflang="{one.code}" lang="{one.code}" dir="{one.direction}">'
        f"{one.name}</a>"
        for one in LANGUAGES.values()
        if one != spoken
    )
    return (
        f'<!doctype html><html lang="{spoken.code}" dir="{spoken.direction}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title></head>'
        f"<body><main>{body}</main><nav>{others}</nav></body></html>\n"
    )
