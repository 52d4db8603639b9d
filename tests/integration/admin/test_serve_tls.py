"""`exchange-hub serve` over TLS that it ends itself: 1.3 alone, and with a client CA its clients alone."""

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from subprocess import Popen
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from exchange.net.wire import Call, Wire
from exchange_schemas.errors import HubUnreachable
from tests.integration.admin.conftest import Shell
from tests.integration.admin.test_serve import START_S, serving
from tests.integration.ports import free_port

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
DAY = timedelta(days=1)
FORWARD_SECRET = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}


@dataclass(frozen=True)
class Authority:
    """A certificate authority of this test, its files in `folder`."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, folder: Path, name: str) -> "Authority":
        made = cls(folder, name, ec.generate_private_key(ec.SECP256R1()))
        made.file.write_bytes(made.certify(name, made.key, authority=True).public_bytes(Encoding.PEM))
        return made

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def certify(self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, self.name)
        )
        start = datetime.now(UTC) - DAY
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        return (
            builder.not_valid_before(start)
            .not_valid_after(start + 3 * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .sign(self.key, SHA256())
        )

    def pair(self, name: str) -> tuple[Path, Path]:
        """A certificate for this machine and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self.certify(name, key, authority=False).public_bytes(Encoding.PEM))
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.new(tmp_path, "authority")


def use(shell: Shell, pair: tuple[Path, Path], *, client_ca: Path | None = None) -> None:
    shell.env["HOMEWARD_TLS_CERTIFICATE"], shell.env["HOMEWARD_TLS_KEY"] = map(str, pair)
    if client_ca is not None:
        shell.env["HOMEWARD_TLS_CLIENT_CA"] = str(client_ca)


def trusting(authority: Authority, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """A client that trusts this authority alone, with a certificate of its own or none."""
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def ready(port: int, context: ssl.SSLContext) -> bytes:
    connection = HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def served(shell: Shell, port: int | None = None) -> Iterator[tuple[int, "Popen[str]"]]:
    """A hub that listens, by its own word."""
    port = free_port() if port is None else port
    with serving(shell, port, "--workers", "1", "--json") as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, server.stderr.read() if server.stderr is not None else ""
        assert json.loads(line)["url"] == f"https://127.0.0.1:{port}"
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=10).close()
                break
            except ConnectionError:
                assert time.monotonic() < end
                time.sleep(0.1)
        try:
            yield port, server
        finally:
            # Its workers end with it. Told to stop, it may take the 15 s that a request under way is given.
            server.kill()


def test_it_speaks_tls_1_3_with_forward_secrecy_and_nothing_older(made: Shell, authority: Authority) -> None:
    use(made, authority.pair("hub"))
    with served(made) as (port, _):
        assert json.loads(ready(port, trusting(authority))) == {"status": "ready"}
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        with trusting(authority).wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            assert secure.version() == "TLSv1.3"
            used = secure.cipher()
            assert used is not None
            assert used[0] in FORWARD_SECRET
        older = trusting(authority)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            ready(port, older)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as bare:
            bare.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert b"HTTP/" not in bare.recv(1024)
        # A member program trusts the public authorities alone: it sends nothing to this one.
        with pytest.raises(HubUnreachable, match="certificate cannot be verified; nothing was sent"):
            Wire().send(Call("GET", f"https://127.0.0.1:{port}/readyz", headers=dict))


def test_the_public_address_is_asked_as_members_do_and_must_be_this_hub_with_a_trusted_certificate(
    made: Shell, authority: Authority, tmp_path: Path
) -> None:
    use(made, authority.pair("hub"))
    port = free_port()
    made.env["HOMEWARD_BASE_URL"] = f"https://127.0.0.1:{port}"
    assert "cannot be reached" in made.run("check", "--public", code=1).stderr
    with served(made, port):
        # Nobody trusts this authority but who is told to.
        assert "certificate cannot be verified" in made.run("check", "--public", code=1).stderr
        made.env["REQUESTS_CA_BUNDLE"] = str(authority.file)
        assert made.json("check", "--public")["public"] == "reached"
        assert "public" not in made.json("check")
        made.env["HOMEWARD_BASE_URL"] = f"https://localhost:{port}"
        assert "certificate cannot be verified" in made.run("check", "--public", code=1).stderr
    port = free_port()
    made.env["HOMEWARD_BASE_URL"] = f"https://127.0.0.1:{port}"
    for status, body, says in (
        (502, b"{}", "answers 502"),
        (200, b"{}", "another hub"),
        (200, b"<p>", "another"),
    ):
        with answering(authority.pair("other"), port, status, body):
            assert says in made.run("check", "--public", code=1).stderr


@contextmanager
def answering(pair: tuple[Path, Path], port: int, status: int, body: bytes) -> Iterator[None]:
    """Something else behind the hub's address: it gives this one answer to everything."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with ThreadingHTTPServer(("127.0.0.1", port), Other) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(START_S)


def test_with_a_client_ca_its_clients_alone_are_answered(
    made: Shell, authority: Authority, tmp_path: Path
) -> None:
    proxies, others = Authority.new(tmp_path, "proxies"), Authority.new(tmp_path, "others")
    use(made, authority.pair("hub"), client_ca=proxies.file)
    with served(made) as (port, _):
        good = trusting(authority, proxies.pair("proxy"))
        assert json.loads(ready(port, good)) == {"status": "ready"}
        for client in (trusting(authority), trusting(authority, others.pair("stranger"))):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ready(port, client)


def test_a_renewed_certificate_is_served_after_a_hangup_and_one_of_no_use_is_not(
    made: Shell, authority: Authority, tmp_path: Path
) -> None:
    pair, later = authority.pair("hub"), Authority.new(tmp_path, "later")
    use(made, pair)
    with served(made) as (port, server):
        assert json.loads(ready(port, trusting(authority))) == {"status": "ready"}
        renewed = later.pair("renewed")
        os.replace(renewed[0], pair[0])
        server.send_signal(signal.SIGHUP)
        assert server.stderr is not None
        assert "TLS_KEY are not a PEM chain and its key" in server.stderr.readline()
        assert json.loads(ready(port, trusting(authority))) == {"status": "ready"}
        os.replace(renewed[1], pair[1])
        server.send_signal(signal.SIGHUP)
        end = time.monotonic() + START_S
        while True:
            try:
                found = ready(port, trusting(later))
                break
            except (ssl.SSLError, ConnectionError):
                assert time.monotonic() < end
                time.sleep(0.1)
        assert json.loads(found) == {"status": "ready"}


def test_files_that_are_of_no_use_stop_the_start_and_are_named(
    made: Shell, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.pair("hub")
    _, another = authority.pair("another")
    locked, empty = tmp_path / "locked.key", tmp_path / "empty.pem"
    locked.touch(mode=0o600)
    sealed = BestAvailableEncryption(b"passphrase")
    locked.write_bytes(authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    empty.touch()
    for pair, says in (
        ((certificate, another), "TLS_CERTIFICATE"),
        ((certificate, locked), "has a passphrase"),
        ((empty, key), "TLS_CERTIFICATE"),
        ((tmp_path / "none.pem", key), "TLS_CERTIFICATE"),
        ((certificate, tmp_path / "none.key"), "TLS_CERTIFICATE"),
    ):
        use(made, pair)
        assert says in made.run("serve", "--port", str(free_port()), code=2).stderr
    use(made, (certificate, key), client_ca=certificate)
    assert "TLS_CLIENT_CA" in made.run("serve", "--port", str(free_port()), code=2).stderr
    use(made, (certificate, key), client_ca=empty)
    assert "TLS_CLIENT_CA" in made.run("serve", "--port", str(free_port()), code=2).stderr
    key.chmod(0o640)
    assert "can be read by others" in made.run("serve", "--port", str(free_port()), code=2).stderr
