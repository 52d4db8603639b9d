"""Webhooks: an endpoint is told that something waits, and of nothing else; what fails is tried again."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select, update

from exchange.hub.db import reading, writing
from exchange.hub.models.webhooks import webhook, webhook_dead
from exchange.hub.services import webhook_queue, webhooks
from exchange.hub.webhooks.post import NotTold, Poster
from exchange.hub.webhooks.sender import Sender
from exchange_keys.webhooks import verify
from exchange_schemas.errors import ExchangeError, NotFound
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import World

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]
NOW = 1_800_000_000


@dataclass
class Endpoint:
    """An agency's server: `status` is what it answers, `got` what it was told."""

    port: int = 0
    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


def certificate(folder: Path, name: str) -> Path:
    """A key and its own certificate for a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "endpoint.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def serving(pem: Path) -> Iterator[Endpoint]:
    """A TLS server on this machine."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            endpoint.got.append((dict(self.headers.items()), self.rfile.read(length)))
            self.send_response(endpoint.status)
            if endpoint.status == 302:
                self.send_header("location", "https://elsewhere.example/")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    endpoint.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, "hook.example")


@pytest.fixture
def endpoint(pem: Path) -> Iterator[Endpoint]:
    with serving(pem) as running:
        yield running


@pytest.fixture
def poster(pem: Path) -> Poster:
    """Leads every name to this machine, which no hub does."""
    tls = ssl.create_default_context(cafile=str(pem))
    return Poster(allowed=lambda _: True, find=lambda *_: [ip_address("127.0.0.1")], tls=tls)


@dataclass
class Clockwork:
    at: int = NOW

    def __call__(self) -> int:
        return self.at


def url_of(endpoint: Endpoint) -> str:
    return f"https://hook.example:{endpoint.port}/in?of=us"


def hooked(world: World, agency: Agency, endpoint: Endpoint) -> str:
    """Set the agency's webhook; its secret."""
    return str(webhooks.put(world.hub, world.caller(agency), url_of(endpoint)).body["secret"])


def sender(world: World, poster: Poster, clock: Clockwork) -> Sender:
    return Sender(world.hub.engine, poster, now=clock, jitter=lambda: 1.0)


def state(world: World, agency: Agency) -> dict[str, Any]:
    return dict(webhooks.show(world.hub, world.caller(agency)).body)


def test_an_endpoint_is_told_once_of_all_that_is_new_and_of_nothing_else(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster
) -> None:
    consent = world.consent(ngo, embassy)
    world.send(ngo, consent)
    secret, clock = hooked(world, embassy, endpoint), Clockwork()
    sending = sender(world, poster, clock)
    assert sending.once() == 0, "what waited before it was set is no news"
    sealed = [world.send(ngo, consent), world.send(ngo, consent)]
    assert sending.once() == 1
    assert sending.once() == 0
    ((headers, body),) = endpoint.got
    said = {name.lower(): value for name, value in headers.items()}
    verify(secret, said["webhook-id"], said["webhook-timestamp"], said["webhook-signature"], body, now=NOW)
    assert json.loads(body) == {
        "type": "inbox.waiting",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {"agency": embassy.id},
    }
    told = json.dumps(said).encode() + body
    for hidden in (ngo.id, "found_notice", *(grant.gid for one in sealed for grant in one.grants)):
        assert hidden.encode() not in told
    assert (state(world, embassy)["attempts"], state(world, embassy)["last_error"]) == (0, None)
    world.send(ngo, consent)
    assert sending.once() == 1
    assert endpoint.got[0][0]["webhook-id"] != endpoint.got[1][0]["webhook-id"]


def test_a_failure_is_tried_again_later_and_later_under_the_same_id_until_it_is_dead_and_replayed(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster
) -> None:
    hooked(world, embassy, endpoint)
    world.send(ngo, world.consent(ngo, embassy))
    clock = Clockwork()
    sending = sender(world, poster, clock)
    endpoint.status = 503
    for attempt in range(1, webhook_queue.ATTEMPTS + 1):
        assert sending.once() == 0
        assert len(endpoint.got) == attempt
        assert sending.once() == 0
        assert len(endpoint.got) == attempt, "not before its time"
        clock.at += webhook_queue.pause_s(attempt, 1.0)
    assert sending.once() == 0
    assert len({headers["webhook-id"] for headers, _ in endpoint.got}) == 1
    (dead,) = list(webhooks.dead(world.hub, world.caller(embassy)).body["items"])  # type: ignore[arg-type]
    assert dead["error"] == "it answered 503"  # type: ignore[index,call-overload]
    assert dead["attempts"] == webhook_queue.ATTEMPTS  # type: ignore[index,call-overload]
    with pytest.raises(NotFound):
        webhooks.replay(world.hub, world.caller(embassy), "msg_" + "A" * 22)
    webhooks.replay(world.hub, world.caller(embassy), str(dead["id"]))  # type: ignore[index,call-overload]
    endpoint.status = 204
    assert sending.once() == 1
    assert webhooks.dead(world.hub, world.caller(embassy)).body["items"] == []
    with reading(world.hub.engine) as conn:
        assert conn.execute(select(webhook_dead)).all() == []


@pytest.mark.parametrize(("status", "told"), [(200, 1), (299, 1), (302, 0), (404, 0), (410, 0)])
def test_attack_23_only_an_answer_of_200_to_299_counts_and_no_redirect_is_followed(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster, status: int, told: int
) -> None:
    hooked(world, embassy, endpoint)
    world.send(ngo, world.consent(ngo, embassy))
    endpoint.status = status
    assert sender(world, poster, Clockwork()).once() == told
    assert len(endpoint.got) == 1


def test_a_secret_is_renewed_with_a_day_in_which_both_count(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster
) -> None:
    old = hooked(world, embassy, endpoint)
    again = webhooks.put(world.hub, world.caller(embassy), url_of(endpoint))
    assert (again.status, "secret" in again.body) == (200, False)
    new = str(webhooks.renew(world.hub, world.caller(embassy)).body["secret"])
    assert new != old
    consent, now = world.consent(ngo, embassy), int(world.hub.clock().timestamp())
    for at, counts in ((now, [True, True]), (now + webhooks.OVERLAP_S + 60, [False, True])):
        world.send(ngo, consent)
        assert sender(world, poster, Clockwork(at)).once() == 1
        headers, body = endpoint.got[-1]
        right = []
        for secret in (old, new):
            try:
                verify(
                    secret, headers["webhook-id"], headers["webhook-timestamp"],
                    headers["webhook-signature"], body, now=at,
                )  # fmt: skip
            except ExchangeError:
                right.append(False)
            else:
                right.append(True)
        assert right == counts


def test_of_two_senders_one_sends_and_the_other_takes_over_when_it_is_gone(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster
) -> None:
    hooked(world, embassy, endpoint)
    clock = Clockwork()
    first, second = sender(world, poster, clock), sender(world, poster, clock)
    consent = world.consent(ngo, embassy)
    world.send(ngo, consent)
    assert (first.once(), second.once()) == (1, 0)
    world.send(ngo, consent)
    assert second.once() == 0
    clock.at += webhook_queue.LEASE_S + 1
    assert (second.once(), first.once()) == (1, 0)


def test_an_endpoint_is_an_agencys_own_and_every_step_is_logged(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint
) -> None:
    with pytest.raises(NotFound):
        webhooks.show(world.hub, world.caller(ngo))
    set_ = webhooks.put(world.hub, world.caller(ngo), url_of(endpoint))
    assert set_.receipt is not None
    assert b'"act":"webhook:set"' in set_.receipt.entry
    assert b"hook.example" not in set_.receipt.entry
    for work in (webhooks.show, webhooks.remove, webhooks.renew):
        with pytest.raises(NotFound):
            work(world.hub, world.caller(embassy))
    removed = webhooks.remove(world.hub, world.caller(ngo))
    assert removed.receipt is not None
    assert b'"act":"webhook:remove"' in removed.receipt.entry
    with reading(world.hub.engine) as conn:
        assert conn.execute(select(webhook)).all() == []


def test_a_crash_between_the_answer_and_the_remembering_repeats_the_same_message(
    world: World, ngo: Agency, embassy: Agency, endpoint: Endpoint, poster: Poster
) -> None:
    hooked(world, embassy, endpoint)
    world.send(ngo, world.consent(ngo, embassy))
    sending = sender(world, poster, Clockwork())
    assert sending.once() == 1
    with writing(world.hub.engine) as conn:
        conn.execute(update(webhook).values(told=0))
    assert sending.once() == 1
    first, second = (headers["webhook-id"] for headers, _ in endpoint.got)
    assert first == second


# -- where it may go -----------------------------------------------------------------------------------


def test_attack_23_a_certificate_for_another_name_or_by_nobody_known_is_refused(
    pem: Path, endpoint: Endpoint
) -> None:
    here = [ip_address("127.0.0.1")]
    unknown = Poster(allowed=lambda _: True, find=lambda *_: here)
    with pytest.raises(NotTold, match="certificate"):
        unknown.post(url_of(endpoint), {}, b"{}")
    known = Poster(lambda _: True, lambda *_: here, ssl.create_default_context(cafile=str(pem)))
    with pytest.raises(NotTold, match="certificate"):
        known.post(f"https://other.example:{endpoint.port}/", {}, b"{}")
    assert endpoint.got == []
    known.post(url_of(endpoint), {}, b"{}")
    assert len(endpoint.got) == 1


def test_attack_23_the_connection_goes_to_the_address_that_was_checked_and_to_no_later_one(
    pem: Path, endpoint: Endpoint
) -> None:
    answers = iter([[ip_address("127.0.0.1")], [ip_address("169.254.169.254")]])
    checked = []
    poster = Poster(
        lambda address: checked.append(address) or True,  # type: ignore[func-returns-value]
        lambda *_: next(answers),
        ssl.create_default_context(cafile=str(pem)),
    )
    poster.post(url_of(endpoint), {}, b"{}")
    assert checked == [ip_address("127.0.0.1")]
    assert next(answers) == [ip_address("169.254.169.254")]
    assert len(endpoint.got) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["192.168.1.1"], ["172.16.9.9"], ["169.254.169.254"], ["100.64.0.1"],
        ["0.0.0.0"], ["224.0.0.1"], ["255.255.255.255"], ["192.0.2.1"], ["240.0.0.1"],
        ["::1"], ["::"], ["fe80::1"], ["fc00::1"], ["fd00:ec2::254"], ["ff02::1"], ["fec0::1"],
        ["::ffff:127.0.0.1"], ["::ffff:169.254.169.254"], ["2002:7f00:1::"], ["64:ff9b::10.0.0.1"],
        ["2001:0:4136:e378:8000:63bf:3fff:fdd2"], ["2001:db8::1"], ["64:ff9b:1::a00:1"],
        ["::10.0.0.1"], ["::ffff:0:10.0.0.1"], ["192.0.0.192"], ["168.63.129.16"], ["::ffff:168.63.129.16"],
        ["192.88.99.1"], ["3fff::1"],
        ["1.1.1.1", "10.0.0.1"], [],
    ],
)  # fmt: skip
def test_attack_23_no_private_or_metadata_address_is_ever_connected_to(addresses: list[str]) -> None:
    poster = Poster(find=lambda *_: [ip_address(one) for one in addresses])
    with pytest.raises(NotTold, match="not public"):
        poster.post("https://hook.example/", {}, b"{}")


def test_attack_23_a_server_that_never_ends_its_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, pem: Path
) -> None:
    monkeypatch.setattr("exchange.hub.webhooks.post.WHOLE_S", 0.3)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        accepted, _ = listening.accept()
        with tls.wrap_socket(accepted, server_side=True) as secured:
            try:
                while True:
                    secured.sendall(b"H")
                    threading.Event().wait(0.05)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    poster = Poster(
        lambda _: True, lambda *_: [ip_address("127.0.0.1")], ssl.create_default_context(cafile=str(pem))
    )
    with pytest.raises(NotTold):
        poster.post(f"https://hook.example:{listening.getsockname()[1]}/", {}, b"{}")
    thread.join(5)
    listening.close()
