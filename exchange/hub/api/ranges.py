"""How the interface description tells of an operation that can be asked for a range of bytes."""

from __future__ import annotations

import copy
from http import HTTPStatus
from typing import Any, Final

from exchange.hub.api.schemas import EXAMPLE_DIGEST

_RANGE: Final = "^bytes=(?:[0-9]{1,15}-[0-9]{0,15}|-[0-9]{1,15})$"
CONTENT_RANGE: Final = {
    "Content-Range": {
        "schema": {"type": "string", "maxLength": 60},
        "description": "RFC 9110, 14.4: which bytes these are, of how many",
    }
}
_TAGGED: Final = {
    "ETag": {"schema": {"type": "string", "maxLength": 45}, "description": "The digest of the whole"},
    "Accept-Ranges": {"schema": {"type": "string", "maxLength": 5}, "description": "RFC 9110, 14.3: bytes"},
}
_RANGES: Final[tuple[dict[str, Any], ...]] = (
    {
        "in": "header",
        "name": "Range",
        "description": "RFC 9110, 14.2: the bytes that are wanted; one range.",
        "schema": {"type": "string", "pattern": _RANGE, "maxLength": 37},
        "example": "bytes=1048576-",
    },
    {
        "in": "header",
        "name": "If-Range",
        "description": "RFC 9110, 13.1.5: the ETag of the bytes that the caller has; others are given whole.",
        "schema": {"type": "string", "maxLength": 80},
        "example": f'"{EXAMPLE_DIGEST}"',
    },
)


def add_ranges(entry: dict[str, Any]) -> None:
    """Add to one operation the header fields of its requests and answers."""
    entry.setdefault("parameters", []).extend(copy.deepcopy(_RANGES))
    whole, part = (entry["responses"][status] for status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT))
    whole["headers"].update(copy.deepcopy(_TAGGED))
    part["headers"].update(copy.deepcopy(_TAGGED | CONTENT_RANGE))
