"""The hub's own answers go out exactly as the framework's would."""

from typing import Any

import pytest
from flask import Response
from werkzeug.test import run_wsgi_app

from exchange.hub.api.reply import Reply

ENVIRON = {"REQUEST_METHOD": "GET"}
FIELDS = [("ETag", '"a"'), ("Homeward-Receipt", "b"), ("Homeward-Receipt", "c")]


def out(made: Response) -> tuple[Any, str, list[tuple[str, str]]]:
    chunks, status, headers = run_wsgi_app(made, ENVIRON)
    return b"".join(chunks), status, list(headers)


@pytest.mark.parametrize("status", [200, 201, 204, 206, 304, 400, 429])
def test_bytes_go_out_as_the_framework_sends_them(status: int) -> None:
    expected = Response(b"{}", status, FIELDS, mimetype="application/json")
    for ready in (True, False):
        made = Reply(b"{}", status, FIELDS, mimetype="application/json", direct_passthrough=ready)
        assert out(made) == out(expected)
    assert ("Content-Length" in dict(out(expected)[2])) is (status not in {204, 304})


def test_a_stream_is_closed_and_says_the_length_that_it_was_given() -> None:
    closed = []

    class Chunks:
        def __iter__(self) -> Any:
            return iter([b"ab", b"c"])

        def close(self) -> None:
            closed.append(True)

    made = Reply(Chunks(), 200, FIELDS, mimetype="application/octet-stream")
    made.content_length = 3
    chunks, status, headers = made.get_wsgi_response(ENVIRON)
    assert (b"".join(chunks), status, dict(headers)["Content-Length"]) == (b"abc", "200 OK", "3")
    chunks.close()
    assert closed == [True]


def test_a_value_that_would_begin_another_field_is_refused() -> None:
    with pytest.raises(ValueError, match="newline"):
        Reply(b"", 200, [("ETag", "a\r\nSet-Cookie: b")])
