"""Reading a request: what it shows as proof, its query, its JSON, its bytes. Strict, bounded, never repaired.

Nothing here may decide who calls or what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from flask import Request
from flask.globals import request_ctx
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.wsgi import get_content_length

from exchange.hub.api.plain import Check
from exchange.hub.api.schemas import load
from exchange.hub.services.tokens import Presented
from exchange_schemas.codec import decode
from exchange_schemas.errors import Malformed, TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    import marshmallow as ma

MAX_QUERY_BYTES: Final = 4096
FORM: Final = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS: Final = 32


def refuse_unreadable(current: Request, max_bytes: int) -> None:
    """Refuse by its headers what will not be read: compressed, too long, of unknown length.

    Before anything is believed.

    Raises: UnsupportedMedia, TooLarge, Malformed.
    """
    environ = current.environ
    if "HTTP_CONTENT_ENCODING" in environ:
        raise UnsupportedMedia("the body is compressed; send it as it is")
    if "HTTP_TRANSFER_ENCODING" in environ:
        # Servers differ in what they make of it; some give an empty body to the application.
        raise Malformed("body: its length must be declared in Content-Length", field="body")
    declared = get_content_length(environ)
    if declared is not None and declared > max_bytes:
        if max_bytes == 0:
            raise Malformed("body: this operation takes none", field="body")
        raise TooLarge(f"the body is longer than {max_bytes} bytes")
    if len(current.query_string) > MAX_QUERY_BYTES:
        raise TooLarge(f"the query is longer than {MAX_QUERY_BYTES} bytes")
    current.max_content_length = max_bytes


def presented(current: Request) -> Presented:
    """The headers that prove who calls.

    One sent twice arrives joined by a comma, which neither may hold.
    """
    shown = current.environ.get
    return Presented(current.method, current.path, shown("HTTP_AUTHORIZATION"), shown("HTTP_DPOP"))


def request_of() -> Request:
    """The current request itself: each look through Flask's proxy costs more than a check, so look once."""
    current: Request = request_ctx.request
    return current


def query_reader(schema: ma.Schema | None) -> Callable[[Request], dict[str, Any]]:
    """Reads a request's query parameters, each at most once. What is read raises: Malformed."""
    empty: dict[str, Any] | None = {} if schema is None else None

    def read(current: Request) -> dict[str, Any]:
        nonlocal empty
        if current.query_string == b"":
            # What is loaded from nothing is always the same.
            if empty is None and schema is not None:
                empty = load(schema, {})
            return dict(empty or {})
        if schema is None:
            raise Malformed("query: this operation takes none", field="query")
        return load(schema, once(current.args, "query"))

    return read


_no_query = query_reader(None)


def read_json(current: Request, schema: ma.Schema, plain: Check | None, max_bytes: int) -> dict[str, Any]:
    """The JSON object in the body; `plain` is the schema's own quick check, where it has one.

    Raises: UnsupportedMedia, TooLarge, Malformed.
    """
    _want_type(current, "application/json")
    data = decode(_read_all(current, max_bytes), limit=max_bytes)
    return data if plain is not None and plain(data) else load(schema, data)


def read_form(current: Request, max_bytes: int) -> Mapping[str, str]:
    """The form in the body, each field at most once, nothing in the query. Raises: as `read_json`."""
    _want_type(current, FORM)
    _no_query(current)
    try:
        # Strict in what the framework would repair: bytes that are no text.
        text = _read_all(current, max_bytes).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise Malformed("body: not a form", field="body") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("body: a parameter appears twice", field="body")
    if "\x00" in text or "%00" in text:
        raise Malformed("body: a NUL in the text", field="body")
    return fields


def once(values: Any, where: str) -> dict[str, str]:
    """A MultiDict as a plain dict. Raises: Malformed when a name appears twice."""
    single: dict[str, str] = {}
    for name, found in values.lists():
        if len(found) != 1:
            raise Malformed(f"{where}: a parameter appears twice", field=where)
        single[name] = found[0]
    return single


class BodyStream:
    """The bytes of a raw body, at most `max_bytes`. `length` is what was declared, None when nothing was."""

    def __init__(self, current: Request, max_bytes: int) -> None:
        self.length = current.content_length
        self._stream = current.stream
        self._left = max_bytes

    def read(self, size: int = -1) -> bytes:
        """Up to `size` more bytes; b"" at the end. Raises: TooLarge, Malformed when the sender stopped."""
        data = _read(self._stream, size)
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge("the body is longer than this operation takes")
        return data


def _want_type(current: Request, wanted: str) -> None:
    if current.environ.get("CONTENT_TYPE") == wanted:
        # As nearly everybody says it.
        return
    parameters = current.mimetype_params
    plain = not parameters or (len(parameters) == 1 and parameters.get("charset", "").lower() == "utf-8")
    if current.mimetype != wanted or not plain:
        raise UnsupportedMedia(f"the body must be {wanted}")


def _read_all(current: Request, max_bytes: int) -> bytes:
    data = _read(current.stream)
    if len(data) > max_bytes:
        raise TooLarge(f"the body is longer than {max_bytes} bytes")
    return data


def _read(stream: IO[bytes], size: int = -1) -> bytes:
    """The framework's errors of reading as ours, so that a known caller's failure is logged as any other."""
    try:
        return stream.read(size)
    except RequestEntityTooLarge:
        raise TooLarge("the body is longer than this operation takes") from None
    except BadRequest:
        raise Malformed("body: it ended early", field="body") from None
