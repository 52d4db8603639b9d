"""What an operation of the API is declared with: the one source of how it is served and described.

Nothing here may serve or describe one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from exchange.hub.api.schemas import JsonSchema
    from exchange_schemas.entry import Act

OCTETS: Final = "application/octet-stream"
# An attachment of 25 MiB, padded (PADMÉ adds 12 % at most) and sealed.
_MOST_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is not JSON: its media type, and the JSON schema of its text or bytes.

    `as_json`: what a client gets that asks for JSON; the example is then of this.
    """

    media_type: str
    schema: Mapping[str, Any]
    description: str = ""
    as_json: type[JsonSchema] | None = None


BYTES: Final = Content(OCTETS, {"type": "string", "format": "binary", "maxLength": _MOST_BYTES})
TEXT: Final = Content("text/plain", {"type": "string", "maxLength": 4096})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as declared; `Blueprint.operation` says what its members mean.

    `scope` None: public. `max_bytes`: 0 where no body is read. `content`: the media type of a raw body.
    """

    summary: str
    description: str
    scope: str | None
    act: Act
    unlogged: str | None
    request: type[JsonSchema] | None
    query: type[JsonSchema] | None
    form: type[JsonSchema] | None
    raw: bool
    content: str
    max_bytes: int
    responses: Mapping[int, type[JsonSchema] | Content | None]
    problems: tuple[int, ...]
    examples: Mapping[int | str, Any]
    counted: bool
    carried: bool


def operation_of(view: Callable[..., Any]) -> Operation:
    """What a view was declared as. Raises: TypeError when it was not."""
    declared = getattr(view, "operation", None)
    if not isinstance(declared, Operation):
        raise TypeError("the view has no operation")
    return declared
