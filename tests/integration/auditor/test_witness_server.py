"""A witness over real sockets: the protocol's statuses, its limits, and many submissions at once."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, vkey
from exchange.log.policy import Policy
from exchange.log.tree import Frontier, consistency_proof, leaf_hash, node_hash
from exchange.log.witnessing import (
    SIZE_TYPE,
    Submission,
    WitnessSize,
    obtain_cosignature,
    origin_hash,
)
from exchange.net.wire import Wire
from exchange.net.witnesses import WitnessClient
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import HubUnreachable, LogFork, NotFound, ProofInvalid
from tests.integration.auditor.serving import running

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

ORIGIN = "hub.test/audit"
LOG = SigningKey.from_seed(bytes(32))
VKEY = vkey(ORIGIN, LOG.public.raw)
PASSPHRASE = b"correct horse battery"
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


def node(level: int, index: int) -> bytes:
    if level == 0:
        return LEAVES[index]
    return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


def note(size: int, *, origin: str = ORIGIN) -> str:
    return sign_checkpoint(Checkpoint(origin, size, Frontier.empty().extend(LEAVES[:size]).root()), LOG)


def submission(old: int, size: int) -> Submission:
    return Submission(old, tuple(consistency_proof(old, size, node)), note(size))


def proofs(size: int) -> Callable[[int], list[bytes]]:
    return lambda old: consistency_proof(old, size, node)


@pytest.fixture
def store(tmp_path: Path) -> WitnessStore:
    made = WitnessStore(tmp_path / "witness")
    made.create("witness.test/w1", PASSPHRASE, [VKEY], insecure=True)
    return made


@contextmanager
def serving(store: WitnessStore, **limits: float) -> Iterator[WitnessServer]:
    with running(Witness(store, store.open_key(PASSPHRASE, insecure=True)), **limits) as server:
        yield server


@pytest.fixture
def server(store: WitnessStore) -> Iterator[WitnessServer]:
    with serving(store) as running:
        yield running


@pytest.fixture
def client(server: WitnessServer) -> Iterator[WitnessClient]:
    wire = Wire(sleep=lambda _seconds: None)
    yield WitnessClient(server.url + "/", wire)
    wire.close()


def policy(store: WitnessStore) -> Policy:
    witness = store.open_key(PASSPHRASE, insecure=True).vkey
    return Policy.from_bytes(f"log {VKEY}\nwitness w {witness}\nquorum w\n".encode())


def test_a_log_gets_its_checkpoints_cosigned_as_it_grows(store: WitnessStore, client: WitnessClient) -> None:
    assert client.latest(ORIGIN) is None
    old = 0
    for size in (0, 1, 7, 7, 33):
        cosigned = obtain_cosignature(client.submit, note(size), proofs(size), old=old)
        assert policy(store).judge(cosigned, datetime.now(UTC)).quorum.witnessed
        assert client.latest(ORIGIN) == cosigned
        old = size


def test_a_log_that_forgot_the_witness_s_size_is_told(client: WitnessClient) -> None:
    client.submit(submission(0, 7))
    assert client.submit(submission(0, 9)) == WitnessSize(7)
    cosigned = obtain_cosignature(client.submit, note(9), proofs(9))
    assert open_checkpoint(cosigned, [VKEY]).size == 9


def test_a_log_that_went_back_is_told_by_its_witness(client: WitnessClient) -> None:
    client.submit(submission(0, 9))
    with pytest.raises(LogFork) as caught:
        obtain_cosignature(client.submit, note(7), proofs(7))
    assert caught.value.detail == {"size": 9}


def test_a_fork_and_an_unknown_log_are_refused(client: WitnessClient) -> None:
    client.submit(submission(0, 7))
    fork = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)), LOG)
    with pytest.raises(ProofInvalid):
        client.submit(Submission(7, (), fork))
    with pytest.raises(NotFound):
        client.submit(Submission(0, (), note(7, origin="other.test/audit")))


def test_the_statuses_of_the_protocol(server: WitnessServer) -> None:
    url = f"{server.url}/add-checkpoint"
    first = requests.post(url, submission(0, 7).to_bytes(), timeout=10)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert first.text.startswith("— witness.test/w1 ")
    conflict = requests.post(url, submission(0, 9).to_bytes(), timeout=10)
    assert (conflict.status_code, conflict.headers["Content-Type"], conflict.content) == (
        409,
        SIZE_TYPE,
        b"7\n",
    )
    assert requests.post(url, b"nonsense", timeout=10).status_code == 400
    served = requests.get(f"{server.url}/{origin_hash(ORIGIN)}/checkpoint", timeout=10)
    assert served.content == note(7).encode() + first.content


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/../witness.key", 404),
        ("GET", "/add-checkpoint", 404),
        ("POST", "/elsewhere", 404),
        ("DELETE", "/add-checkpoint", 501),
    ],
)
def test_nothing_else_is_there(server: WitnessServer, method: str, path: str, status: int) -> None:
    assert raw(
        server, f"{method} {path} HTTP/1.1\r\nHost: w\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )[9:12] == str(status)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: 65537", "413"),
        ("Content-Length: -1", "411"),
        ("Transfer-Encoding: chunked", "411"),
        ("X: y", "411"),
        ("Content-Length: 3\r\nContent-Length: 4", "411"),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "411"),
    ],
)
def test_a_body_without_or_over_its_limit_is_not_read(
    server: WitnessServer, headers: str, status: str
) -> None:
    assert raw(server, f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n{headers}\r\n\r\n")[9:12] == status


def raw(server: WitnessServer, text: str) -> str:
    """Send these bytes, and give what comes until the witness hangs up."""
    target = urlsplit(server.url)
    with socket.create_connection((target.hostname, target.port), timeout=30) as connection:
        connection.sendall(text.encode())
        found = b""
        while piece := connection.recv(4096):
            found += piece
        return found.decode()


@pytest.mark.parametrize(
    "sent", ["", "POST /add-check", "POST /add-checkpoint HTTP/1.1\r\nContent-Length: 9\r\n\r\nold"]
)
def test_a_caller_that_never_finishes_is_hung_up_on(store: WitnessStore, sent: str) -> None:
    with serving(store, request_seconds=0.2, idle_seconds=0.2) as server:
        assert raw(server, sent) == ""


def test_over_the_limit_of_connections_nobody_is_served_and_afterwards_everybody(store: WitnessStore) -> None:
    with serving(store, connections=1, idle_seconds=1.0) as server:
        target = urlsplit(server.url)
        with socket.create_connection((target.hostname, target.port), timeout=30) as first:
            first.sendall(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
            assert first.recv(12) == b"HTTP/1.1 404"
            assert raw(server, "") == ""
        answer = ""
        while answer == "":
            answer = raw(server, "GET / HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
        assert answer[9:12] == "404"


def test_of_many_submissions_at_once_exactly_one_wins(client: WitnessClient, server: WitnessServer) -> None:
    client.submit(submission(0, 7))

    def submit(size: int) -> int:
        data = submission(7, size).to_bytes()
        return requests.post(f"{server.url}/add-checkpoint", data, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(submit, range(8, 24)))
    assert statuses == [200] + [409] * 15


def test_a_witness_that_is_not_there_is_named(store: WitnessStore) -> None:
    with serving(store) as server:
        url = server.url
    wire = Wire(sleep=lambda _seconds: None)
    with pytest.raises(HubUnreachable, match=r"the witness at http"):
        WitnessClient(url, wire).latest(ORIGIN)
    wire.close()


# -- the program ---------------------------------------------------------------------------------------

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def audit(tmp_path: Path) -> Run:
    (tmp_path / "pass").write_bytes(PASSPHRASE)
    (tmp_path / "pass").chmod(0o600)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(tmp_path, *words), capture_output=True, text=True, env=environment(), check=False
        )

    return run


def command(folder: Path, *words: str) -> list[str]:
    program = [sys.executable, "-c", "from exchange.auditor.cli import main; main()"]
    return [*program, *words, "--passphrase-file", str(folder / "pass"), "--json"]


def environment() -> dict[str, str]:
    return {**os.environ, "HOMEWARD_INSECURE_KDF": "1"}


def test_the_program_makes_serves_and_stops_a_witness(audit: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "w")
    made = json.loads(audit("witness", "init", folder, "--name", "witness.test/w1", "--log", VKEY).stdout)
    assert audit("witness", "init", folder, "--name", "again", "--log", VKEY).returncode != 0
    assert audit("witness", "init", folder, "--name", "none").returncode == 1
    with subprocess.Popen(
        command(tmp_path, "witness", "serve", folder, "--port", "0"),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            wire = Wire()
            cosigned = obtain_cosignature(WitnessClient(url, wire).submit, note(7), lambda _old: ())
            wire.close()
            assert audit("witness", "serve", folder, "--port", "0").returncode == 1
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
    one = Policy.from_bytes(f"log {VKEY}\nwitness w {made['vkey']}\nquorum w\n".encode())
    assert one.judge(cosigned, datetime.now(UTC)).quorum.witnessed
    assert json.loads(audit("witness", "show", folder).stdout) == {"logs": [{"origin": ORIGIN, "size": 7}]}
    other = vkey("hub.test/directory", LOG.public.raw)
    assert audit("witness", "add-log", folder, other).returncode == 0
    assert len(json.loads(audit("witness", "show", folder).stdout)["logs"]) == 2
