"""Two real worker processes behind one port: what only shows on the wire and across processes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, insert, select

from exchange.hub.db import migrate, open_engine
from exchange.hub.hubkeys import create_hub_keys
from exchange.hub.models.directory import directory_agency, directory_key
from exchange.hub.models.log import log_entry
from exchange.hub.settings import Settings
from exchange_keys.jose import AuthKey, client_assertion, dpop_proof, token_hash
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import ASSERTION_TYPE, filled

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

ROOT = Path(__file__).resolve().parents[3]
FORM = "application/x-www-form-urlencoded"
PATH = "/v1/outbox"


@dataclass
class Server:
    """A running hub and one agency that may use it."""

    port: int
    settings: Settings
    key: AuthKey
    dpop: AuthKey

    @property
    def base_url(self) -> str:
        return self.settings.base_url

    def send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """What comes back for these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                return answer.status, answer.read()

    def proof(self, method: str, path: str, token: str | None = None) -> str:
        ath = None if token is None else token_hash(token)
        now, jti = datetime.now(UTC), b64u(os.urandom(16))
        return dpop_proof(self.dpop, htm=method, htu=self.base_url + path, now=now, jti=jti, ath=ath)

    def form(self) -> str:
        now, jti = datetime.now(UTC), b64u(os.urandom(16))
        assertion = client_assertion(self.key, client_id="agency-a", audience=self.base_url, now=now, jti=jti)
        fields = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        return urlencode({**fields, "client_assertion": assertion})

    def token(self) -> str:
        headers = {"Content-Type": FORM, "DPoP": self.proof("POST", "/oauth/token")}
        status, body = self.send("POST", "/oauth/token", self.form(), headers)
        assert status == 200, body
        return str(json.loads(body)["access_token"])

    def entries(self) -> int:
        engine = open_engine(self.settings.database_url)
        with engine.connect() as conn:
            count = conn.execute(select(func.count()).select_from(log_entry)).scalar_one()
        engine.dispose()
        return int(count)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, port: int) -> dict[str, str]:
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    return {
        "HOMEWARD_ORIGIN": "exchange.example",
        "HOMEWARD_BASE_URL": f"http://127.0.0.1:{port}",
        "HOMEWARD_DATABASE_URL": f"sqlite:///{folder}/data/hub.sqlite",
        "HOMEWARD_DATA_DIR": f"{folder}/data",
        "HOMEWARD_GUARD_DIR": f"{folder}/guard",
        "HOMEWARD_KEY_PASSPHRASE_FILE": str(passphrase),
        "HOMEWARD_ENVIRONMENT": "development",
        "HOMEWARD_INSECURE_HTTP": "1",
        "HOMEWARD_INSECURE_KDF": "1",
    }


def prepare(settings: Settings, key: AuthKey) -> None:
    for directory in (settings.data_dir, settings.guard_dir):
        directory.mkdir(parents=True)
    create_hub_keys(settings, datetime.now(UTC))
    migrate(settings)
    agency = {"agency": "agency-a", "kind": "ngo", "status": "active"}
    row = {"kid": key.public.kid, "agency": "agency-a", "use": "auth", "alg": "ES256", "raw": key.public.raw}
    engine = open_engine(settings.database_url)
    with engine.begin() as conn:
        conn.execute(insert(directory_agency), filled(directory_agency, agency))
        conn.execute(insert(directory_key), filled(directory_key, row | {"status": "active", "nbf": 0}))
    engine.dispose()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    env = environment(folder, port)
    settings = Settings.from_environment(env)
    key = AuthKey.generate("ES256")
    prepare(settings, key)
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--workers", "2", "--blocking-threads", "4", "--no-access-log", "wsgi:app"]
    quiet = (folder / "server.log").open("wb")
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | env, stdout=quiet, stderr=quiet, start_new_session=True
    ) as process:
        try:
            running = Server(port, settings, key, AuthKey.generate("ES256"))
            wait_for(running, process)
            yield running
        finally:
            stop(process)
            quiet.close()


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        # Its workers with it: they are in a group of their own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(server: Server, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert process.poll() is None, "the server stopped"
        try:
            if server.send("GET", "/healthz", None, {})[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer")


def test_the_hub_is_ready(server: Server) -> None:
    assert server.send("GET", "/readyz", None, {}) == (200, b'{"status":"ready"}')


def at_once(
    server: Server, method: str, path: str, body: str | None, sent: list[dict[str, str]]
) -> Counter[int]:
    """The statuses of the same request sent by many threads over connections of their own."""
    statuses: list[int] = []
    start = threading.Barrier(len(sent))

    def send(headers: dict[str, str]) -> None:
        start.wait()
        statuses.append(server.send(method, path, body, headers)[0])

    threads = [threading.Thread(target=send, args=(headers,)) for headers in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(statuses)


def test_attack_04_of_24_assertion_replays_at_two_workers_exactly_one_gets_a_token(server: Server) -> None:
    form = server.form()
    sent = [{"Content-Type": FORM, "DPoP": server.proof("POST", "/oauth/token")} for _ in range(24)]
    before = server.entries()
    assert at_once(server, "POST", "/oauth/token", form, sent) == {200: 1, 400: 23}
    assert server.entries() == before + 24


def test_attack_05_of_24_proof_replays_at_two_workers_exactly_one_is_answered(server: Server) -> None:
    token = server.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": server.proof("GET", PATH, token)}
    before = server.entries()
    assert at_once(server, "GET", PATH, None, [headers] * 24) == {200: 1, 401: 23}
    assert server.entries() == before + 24


def test_attack_06_a_host_header_changes_nothing(server: Server) -> None:
    token = server.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": server.proof("GET", PATH, token)}
    assert server.send("GET", PATH, None, headers | {"Host": "evil.example"})[0] == 200


@pytest.mark.parametrize("doubled", ["DPoP", "Authorization"])
def test_attack_07_two_headers_on_the_wire(server: Server, doubled: str) -> None:
    token = server.token()
    lines = [f"GET {PATH} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: DPoP {token}"]
    lines.append(f"DPoP: {server.proof('GET', PATH, token)}")
    again = {"DPoP": server.proof("GET", PATH, token), "Authorization": f"DPoP {token}"}[doubled]
    request = "\r\n".join([*lines, f"{doubled}: {again}", "", ""]).encode()
    assert server.raw(request)[0] == 401
    single = "\r\n".join([*lines, "", ""]).encode()
    assert server.raw(single)[0] == 200


@pytest.mark.parametrize(
    "path", ["/v1/outbox%2f", "/v1//outbox", "/v1/./outbox", "/v1/x/../outbox", "//v1/outbox"]
)
def test_attack_06_dot_segments_and_escapes_on_the_wire(server: Server, path: str) -> None:
    token = server.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": server.proof("GET", PATH, token)}
    assert server.send("GET", path, None, headers)[0] == 404


def test_attack_22_a_body_of_undeclared_length(server: Server) -> None:
    chunk = b"8\r\n" + b"a=b&c=d&" + b"\r\n"
    head = (
        f"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    answer = server.raw(head.encode() + chunk * 3 + b"0\r\n\r\n")
    assert answer == (400, b'{"error":"invalid_request"}')


def test_attack_22_a_declared_body_over_the_limit_is_not_waited_for(server: Server) -> None:
    head = (
        f"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 99999999\r\n\r\n"
    )
    assert server.raw(head.encode())[0] == 400


def test_attack_25_line_breaks_in_a_header_never_reach_the_hub(server: Server) -> None:
    token = server.token()
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: DPoP {token}\nX-Other: 1\r\n\r\n"
    assert server.raw(head.encode())[0] >= 400
