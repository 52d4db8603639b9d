"""The header fields that every answer has, added as it leaves: around Flask, where a list is still a list.

What the application says itself stays. Nothing here looks at a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MORE: Final = "homeward.headers"
"""Where a request keeps fields for its own answer: a mapping in the WSGI environment."""
# Whatever a browser makes of an answer, it may load and run nothing; the reference says what its page may.
_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HSTS: Final = {"Strict-Transport-Security": "max-age=31536000"}


class Headers:
    """A WSGI application around another; `https`: whether the hub's address is."""

    def __init__(self, application: WSGIApplication, *, https: bool) -> None:
        self._application = application
        self._fixed = [
            (name.lower(), (name, value)) for name, value in (_FIXED | (_HSTS if https else {})).items()
        ]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """As PEP 3333 says."""

        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            said = {name.lower() for name, _ in headers}
            headers += [field for name, field in self._fixed if name not in said]
            more: Mapping[str, str] = environ.get(MORE, {})
            headers += more.items()
            return start_response(status, headers, *failure)

        return self._application(environ, start)
