"""Two real worker processes behind one port: what only shows on the wire and across processes."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from exchange.hub.db import open_engine
from exchange.hub.models.directory import directory_agency
from exchange.hub.oauth.standing import TRUSTED_S
from exchange_keys.jose import AuthKey
from tests.integration.http.served import Server, served
from tests.integration.wire import FORM

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PATH = "/v1/outbox"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server"), [AuthKey.generate("ES256")]) as running:
        yield running


def test_the_hub_is_ready(server: Server) -> None:
    assert server.send("GET", "/readyz", None, {}) == (200, b'{"status":"ready"}')


def test_attack_04_of_24_assertion_replays_at_two_workers_exactly_one_gets_a_token(server: Server) -> None:
    form = server.form()
    sent = [{"Content-Type": FORM, "DPoP": server.proof("POST", "/oauth/token")} for _ in range(24)]
    before = server.entries()
    assert server.at_once("POST", "/oauth/token", form, sent) == {200: 1, 400: 23}
    assert server.entries() == before + 24


def test_attack_05_of_24_proof_replays_at_two_workers_exactly_one_is_answered(server: Server) -> None:
    token = server.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": server.proof("GET", PATH, token)}
    before = server.entries()
    assert server.at_once("GET", PATH, None, [headers] * 24) == {200: 1, 401: 23}
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


def test_attack_25_a_revoked_token_is_refused_by_both_workers_and_a_suspended_agency_too(
    server: Server,
) -> None:
    def sixteen(token: str) -> dict[int, int]:
        return server.at_once("GET", PATH, None, [server.bound("GET", PATH, token) for _ in range(16)])

    token, other = server.token(), server.token()
    assert sixteen(token) == {200: 16}
    form = server.form(token=token)
    assert server.send("POST", "/oauth/revoke", form, {"Content-Type": FORM})[0] == 200
    # No time passes: the next request at whichever worker is refused.
    assert sixteen(token) == {401: 16}
    assert server.get(PATH, other).status == 200
    engine = open_engine(server.settings.database_url)
    for status, expected in (("suspended", 401), ("active", 200)):
        with engine.begin() as conn:
            conn.execute(update(directory_agency).values(status=status))
        # What a worker remembers of an agency's standing is this old at most; 5 s are promised.
        time.sleep(TRUSTED_S)
        assert sixteen(other) == {expected: 16}
    engine.dispose()
    assert TRUSTED_S < 5
