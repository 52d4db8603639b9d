"""A tiny real HTTP server that plays the hub to the transport: scripted answers, every request kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer; `drop` closes the connection instead, `date` replaces the Date header."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    date: str | None = None


def problem(status: int, code: str, **members: Any) -> Reply:
    """A problem document."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code, **members}
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


def answer(value: object, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(status, json.dumps(value).encode(), headers)


TOKEN = answer({"access_token": "token-1", "token_type": "DPoP", "expires_in": 300})


@dataclass
class TinyHub:
    """`script` gives the reply to a request; `heard` keeps all of them."""

    base_url: str
    script: Callable[[Heard], Reply]
    heard: list[Heard] = field(default_factory=list)

    def of(self, path: str) -> list[Heard]:
        """The requests for a path."""
        return [one for one in self.heard if one.path.split("?")[0] == path]


@contextmanager
def running(script: Callable[[Heard], Reply]) -> Iterator[TinyHub]:
    """A server on localhost for the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler())
    hub = TinyHub(f"http://127.0.0.1:{server.server_address[1]}", script)
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler() -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        _date: str | None = None

        def log_message(self, format: str, *args: object) -> None:
            pass

        def date_time_string(self, timestamp: float | None = None) -> str:
            return self._date if self._date is not None else super().date_time_string(timestamp)

        def _serve(self) -> None:
            hub: TinyHub = self.server.hub  # type: ignore[attr-defined]
            length = int(self.headers.get("Content-Length", "0"))
            heard = Heard(self.command, self.path, dict(self.headers), self.rfile.read(length))
            hub.heard.append(heard)
            reply = hub.script(heard)
            if reply.drop:
                self.close_connection = True
                return
            self._date = reply.date
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the library's names

    return Handler
