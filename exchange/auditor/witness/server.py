"""The witness over HTTP/1.1, for a TLS proxy on the same machine: bounded in size, time and number.

Two calls: POST /add-checkpoint and GET /<origin hash>/checkpoint. The standard library's server is enough
for them and keeps what an auditor installs small (docs/adr). What it lacks is added here: a limit on the
body, a deadline for a whole request however slowly its bytes come, and a limit on open connections. It must
never read a path of the file system from a request, and never print what a request holds.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, Final

from exchange.auditor.witness.service import Reply, Witness
from exchange.log.witnessing import ADD_CHECKPOINT, MAX_REQUEST_BYTES

REQUEST_SECONDS: Final = 10.0
"""For a whole request from its first byte to its answer."""
IDLE_SECONDS: Final = 60.0
"""How long a connection may wait for its next request."""
CONNECTIONS: Final = 64
_LENGTH: Final = re.compile(r"[0-9]{1,7}")
_CHECKPOINT: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_POLL_SECONDS: Final = 0.5


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness at `address` (host, port). `note` gets one line for each request."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = CONNECTIONS

    def __init__(
        self,
        address: tuple[str, int],
        witness: Witness,
        *,
        note: Callable[[str], None] = lambda line: None,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        connections: int = CONNECTIONS,
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.witness = witness
        self.note = note
        self.request_seconds = request_seconds
        self.idle_seconds = idle_seconds
        self._connections = connections
        self._deadlines: dict[socket.socket, float] = {}
        self._guard = Lock()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Where it listens; with the port that the system chose when 0 was asked for."""
        host, port = self.server_address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}"

    def run(self) -> None:
        """Serve until `shutdown`."""
        self.serve_forever(poll_interval=_POLL_SECONDS)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take a connection only while there is room."""
        with self._guard:
            if len(self._deadlines) >= self._connections:
                return False
        self.give(request, self.idle_seconds)
        return True

    def give(self, connection: socket.socket, seconds: float) -> None:
        """The connection has so many seconds from now."""
        with self._guard:
            self._deadlines[connection] = time.monotonic() + seconds

    def service_actions(self) -> None:
        """Between polls: cut off what is past its time."""
        now = time.monotonic()
        with self._guard:
            late = [connection for connection, deadline in self._deadlines.items() if deadline < now]
        for connection in late:
            _cut(connection)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._guard:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's fault; anything else is said without what it sent."""
        self.note("a connection ended badly")


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it went away by itself


class _Handler(BaseHTTPRequestHandler):
    """One connection. Only the two calls exist."""

    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "homeward-witness"
    sys_version = ""

    def parse_request(self) -> bool:
        """The first line has come: from now on the whole request has its deadline."""
        self.server.give(self.connection, self.server.request_seconds)
        return super().parse_request()

    def do_GET(self) -> None:
        """A checkpoint, or 404."""
        match = _CHECKPOINT.fullmatch(self.path)
        if match is None:
            self._answer(Reply(404, b"there is nothing here\n"))
            return
        self._answer(self.server.witness.checkpoint(match[1]))

    def do_POST(self) -> None:
        """A submission."""
        if self.path != f"/{ADD_CHECKPOINT}":
            self._refuse(404, "there is nothing here")
            return
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0] if len(lengths) == 1 else ""
        if self.headers.get("Transfer-Encoding") is not None or _LENGTH.fullmatch(length) is None:
            self._refuse(411, "a Content-Length is needed")
        elif int(length) > MAX_REQUEST_BYTES:
            self._refuse(413, f"at most {MAX_REQUEST_BYTES} bytes")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                self._answer(self.server.witness.add_checkpoint(body))

    def _refuse(self, status: int, text: str) -> None:
        """An answer to a request whose body was not read: the connection cannot go on."""
        self.close_connection = True
        self._answer(Reply(status, f"{text}\n".encode()))

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)
        self.server.give(self.connection, self.server.idle_seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """One line: the method and the status, nothing that the caller chose."""
        status = next((str(int(arg)) for arg in args if str(arg).isdecimal()), "-")
        self.server.note(f"{self.command if self.command in ('GET', 'POST') else '?'} {status}")
