"""`/reference`: the interface description as a page for a person, from files that the hub ships.

Redoc draws it in the reader's browser; tests/node/reference names the package it comes from. The page may
load these files, the description, and nothing from anywhere else.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from flask import Response

from exchange.hub.api.base import Blueprint, Content
from exchange.hub.api.wellknown import public

blp = Blueprint("reference", "reference", url_prefix="/reference", description="This reference, as a page")

# Redoc writes its styles into the page, keeps its search index in a worker made from a blob, and shows its
# icons from data addresses. Scripts come from here alone, and none may stand in the page itself.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = Content("text/html", {"type": "string", "maxLength": 4096}, "The page")
_SCRIPT: Final = Content("text/javascript", {"type": "string", "maxLength": 4 * 1024 * 1024}, "Redoc")
_LICENCE: Final = Content("text/plain", {"type": "string", "maxLength": 65536}, "The licences of Redoc")


@cache
def _file(name: str) -> bytes:
    return resources.files("exchange.hub").joinpath("reference", name).read_bytes()


@blp.route("", methods=["GET"])
@blp.operation(auth=False, summary="Show this reference as a page", responses={200: _PAGE, 304: None})
def page() -> Response:
    """The page; it reads /openapi.json."""
    response = public(_file("page.html"), "text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blp.route("/redoc.js", methods=["GET"])
@blp.operation(auth=False, summary="The script of the page", responses={200: _SCRIPT, 304: None})
def script() -> Response:
    """Redoc, as its authors built it."""
    return public(_file("redoc.standalone.js"), "text/javascript")


@blp.route("/licence.txt", methods=["GET"])
@blp.operation(
    auth=False,
    summary="The licences of the script",
    responses={200: _LICENCE, 304: None},
    examples={200: "The MIT License (MIT)"},
)
def licence() -> Response:
    """What the script's authors ask to be passed on."""
    return public(_file("LICENSE.txt"), "text/plain")
