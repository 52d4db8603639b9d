"""Witnesses for tests: real ones behind their own server, and ones that lie, trickle, or are not there."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessKey, WitnessStore
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import hub_logs
from exchange.hub.witnesspolicy import check_policy
from exchange.log.checkpoint import vkey
from exchange.log.cosignature import cosigner_vkey
from exchange.log.policy import Policy
from exchange_keys.signing import SigningKey
from tests.integration.auditor.serving import running
from tests.integration.ports import free_port

PASSPHRASE = b"correct horse battery"


@dataclass
class Real:
    """A witness that knows both logs of a hub; `server` None while it is down."""

    store: WitnessStore
    key: WitnessKey
    server: WitnessServer | None = None
    port: int = 0

    @property
    def vkey(self) -> str:
        return self.key.vkey

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def up(self) -> Iterator[WitnessServer]:
        """Serve on the same port each time."""
        with running(Witness(self.store, self.key), port=self.port) as server:
            self.port = server.server_port
            yield server


def real(folder: Path, hub: Hub, name: str) -> Real:
    """A new witness that is not served yet; its port is chosen."""
    store = WitnessStore(folder / name)
    pins = [vkey(log.origin, hub_key.public.raw) for log in hub_logs(hub) for hub_key in [log.key]]
    key = store.create(f"{name}.test/w1", PASSPHRASE, pins, insecure=True)
    return Real(store, key, port=free_port())


Reply = tuple[int, str, bytes]


@dataclass
class Lying:
    """Answers every request with what `reply(path)` gives, after `wait` seconds, perhaps byte by byte."""

    reply: Callable[[str, bytes], Reply]
    wait: float = 0.0
    trickle: float = 0.0
    key: SigningKey = field(default_factory=SigningKey.generate)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def vkey(self) -> str:
        return cosigner_vkey("lying.test/w1", self.key.public.raw)

    @contextmanager
    def up(self) -> Iterator[None]:
        lying, over = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(body)

            def do_GET(self) -> None:
                self._answer(b"")

            def _answer(self, sent: bytes) -> None:
                lying.asked.append(self.path)
                time.sleep(lying.wait)
                status, kind, body = lying.reply(self.path, sent)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1] if lying.trickle else body)
                    self.wfile.flush()
                    if not lying.trickle:
                        return
                    if over.wait(lying.trickle):
                        return

            def log_message(self, *_args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_args: object) -> None:
                pass

        with Quiet(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield
            finally:
                over.set()
                server.shutdown()
                thread.join()


def witnessed_by(hub: Hub, needed: int, *witnesses: Real | Lying) -> Hub:
    """The hub with a policy that names these and needs so many of them."""
    lines = [f"witness w{n} {one.vkey} {one.url}" for n, one in enumerate(witnesses)]
    names = " ".join(f"w{n}" for n in range(len(witnesses)))
    lines += [f"group them {needed} {names}", "quorum them", ""]
    policy = Policy.from_bytes("\n".join(lines).encode())
    return replace(hub, witnesses=check_policy(policy, plain_allowed=True))
