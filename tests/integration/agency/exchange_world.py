"""A whole exchange for tests: the real hub behind a real local server, and agencies made with the real SDK.

The server can be stopped, started again, and told to lose an answer after the hub has committed.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from exchange.agency import Client, Terms
from exchange.directory.enrolment import check_bundle
from exchange.directory.events import governance_event, key_event, operator, sign_event
from exchange.hub.app import create_app_from
from exchange.hub.services import agencies, operators
from exchange.hub.services.deployment import deployment
from exchange.hub.services.hub import Hub
from exchange.member.deployment import Deployment
from exchange.member.enrolment import open_root, write_enrolment
from exchange.member.founding import found_agency
from exchange.member.profile import Profile
from exchange.member.session import open_session
from exchange.member.users import NewUser
from exchange.net.wire import Wire
from exchange_keys.jws import Signed
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u, encode
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS
from tests.integration.ports import free_port

USER = "amal"
PASSPHRASE = b"four random words here"
ROOT_PASSPHRASE = b"other words for the root"
CHILD: dict[str, JsonValue] = {
    "name_given": {"text": "Plantedname", "script": "Latn", "language": "ar"},
    "name_family": {"text": "Isaeva", "script": "Latn"},
    "sex": "female",
    "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"},
    "current_area": {"country": "IQ", "area": "IQ-NI"},
    "languages": ["ar"],
    "guardian_status": {"status": "none"},
}


@contextmanager
def served_exchange(make_hub: Callable[..., Hub], folder: Path) -> Iterator[Exchange]:
    """A hub of its own behind a server on this machine."""
    port = free_port()
    running = Exchange(make_hub(base_url=f"http://127.0.0.1:{port}", insecure_http=True), folder, port)
    running.begin()
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Exchange:
    """`lose` counts answers that are dropped after the hub has done its work, by path prefix.

    `cut` holds, by a part of the path, after how many bytes each of the next answers breaks off; `hold`
    after how many every one waits for `released`.
    """

    hub: Hub
    folder: Path
    port: int
    operator: SigningKey = field(default_factory=SigningKey.generate)
    lose: dict[str, int] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    hold: dict[str, int] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    change: Callable[[str, bytes], bytes] | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(path, Range, status) of every answer."""
    _server: BaseWSGIServer | None = None
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """The first governance event, and the server."""
        event = governance_event(
            origin=self.hub.settings.origin,
            iat=self.hub.clock().replace(microsecond=0),
            k=1,
            operators=[operator("asha", self.operator.public)],
            signers=[self.operator],
        )
        operators.decide(self.hub, event)
        self.start()

    def start(self) -> None:
        """Serve."""
        app = create_app_from(self.hub)

        def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            said: list[Any] = []

            def keep(*head: Any) -> Callable[[bytes], None]:
                said.extend(head)
                return lambda data: None

            answer = app(environ, keep)
            for prefix, left in self.lose.items():
                if left > 0 and environ["PATH_INFO"].startswith(prefix):
                    self.lose[prefix] = left - 1
                    b"".join(answer)
                    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                    return []
            body = b"".join(answer)
            if self.change is not None:
                body = self.change(environ["PATH_INFO"], body)
            headers = [(name, value) for name, value in said[1] if name.lower() != "content-length"]
            start_response(said[0], [*headers, ("Content-Length", str(len(body)))])
            path = environ["PATH_INFO"]
            self.asked.append((path, environ.get("HTTP_RANGE", ""), said[0][:3]))
            breaks = next((after for infix, after in self.cut.items() if infix in path and after), None)
            if breaks is not None:
                return [body[: breaks.pop(0)]]
            return self._held(path, body)

        self._server = make_server("127.0.0.1", self.port, wsgi, threaded=True)
        self._server.log = lambda *args: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def _held(self, path: str, body: bytes) -> Iterator[bytes]:
        after = next((after for infix, after in self.hold.items() if infix in path), len(body))
        yield body[:after]
        if after < len(body):
            self.released.wait(60)
            yield body[after:]

    def stop(self) -> None:
        """The hub is down."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def deployment(self) -> Deployment:
        """The pins, as exported."""
        return Deployment.from_bytes(encode(deployment(self.hub)))

    def found(self, agency: str, *, kind: str = "ngo", country: str = "IQ", public: bool = False) -> Path:
        """An agency's folder with its keys, enrolled and admitted."""
        profile = Profile(
            AgencyId(agency),
            agency.title(),
            kind,
            country,
            f"desk@{agency}.example",
            public,
            self.deployment(),
        )
        home = self.folder / agency
        found_agency(home, profile, NewUser(USER, PASSPHRASE, insecure=True), root_passphrase=ROOT_PASSPHRASE)
        bundle = self.folder / f"{agency}.enrol"
        with Client.open(home, USER, PASSPHRASE) as client:
            write_enrolment(client.session, bundle, root_file=None, root_passphrase=ROOT_PASSPHRASE)
        self.admit(Signed.from_bytes(bundle.read_bytes(), LIMITS.enrolment_bytes))
        return home

    def admit(self, bundle: Signed) -> None:
        """What `exchange-hub agency admit` does."""
        now = self.hub.clock().replace(microsecond=0)
        checked = check_bundle(bundle, origin=self.hub.settings.origin, now=now)
        event = agencies.admission(checked, origin=self.hub.settings.origin, now=now)
        agencies.admit(self.hub, sign_event(event, [self.operator]), bundle)

    def client(self, home: Path, user: str = USER, passphrase: bytes = PASSPHRASE) -> Client:
        """An unlocked client that does not wait between attempts."""
        return Client(open_session(home, user, passphrase, wire=Wire(sleep=lambda seconds: None)))

    def joined(self, agency: str, **profile: Any) -> Client:
        """A new agency's synchronised client."""
        client = self.client(self.found(agency, **profile))
        client.sync()
        return client


def second_host(exchange: Exchange, home: Path) -> Client:
    """Another machine of the same agency: a copy of its folder."""
    copy = home.with_name(f"{home.name}-second")
    shutil.copytree(home, copy)
    return exchange.client(copy)


def child_with_decision(client: Client) -> str:
    """A record that may be shared; its reference."""
    record = client.records.add(CHILD)
    client.records.decide(record.ref, procedure="bia", outcome="for_sharing", body="BIA panel North")
    return record.ref


def log_a_thiefs_key(client: Client) -> None:
    """Somebody with the root's passphrase logs a key that this program knows nothing of."""
    thief, now = SigningKey.generate(), client.session.now().replace(microsecond=0)
    root = open_root(client.session.home, None, ROOT_PASSPHRASE)
    event = key_event(
        origin=client.session.profile.deployment.origin,
        iat=now,
        agency=client.session.profile.agency,
        use="envelope",
        key=thief.public,
        nbf=now,
        exp=now + timedelta(days=9),
        signers=root.signers,
    )
    keys = {str(thief.public.kid): b64u(thief.public.raw)}
    client.session.hub.post("/v1/directory/events", {"event": event.to_json(), "keys": keys})


def found_terms(**changes: Any) -> Terms:
    """Terms of a found notice to anybody."""
    terms: dict[str, Any] = {
        "purposes": ("trace",),
        "kind": "found_notice",
        "basis": "best_interests_decision",
        "evidence": "file 12",
        "screening": "cleared",
        "screening_evidence": "file 12, form",
        "lasts": timedelta(days=60),
    }
    return Terms(**(terms | changes))
