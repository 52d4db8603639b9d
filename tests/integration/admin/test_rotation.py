"""Keys rotate while clients under load lose no request: two real workers, four clients."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from exchange.hub.tokenfile import EVERY_S
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_schemas.codec import b64u
from tests.integration.admin.conftest import Shell
from tests.integration.admin.test_serve import answer, serving
from tests.integration.directory.people import Agency
from tests.integration.ports import free_port
from tests.integration.wire import WireClient

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
PATH = "/v1/outbox"
CLIENTS = 4
MOST_ROUNDS = 2000
PAUSE_S = 0.005


def kid_of(token: str) -> str:
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


@dataclass
class Load:
    """Clients that ask for a token and use it, over and over; whatever is not a 200 is kept."""

    client: WireClient
    lost: list[bytes] = field(default_factory=list)
    kids: list[str] = field(default_factory=list)
    stop: bool = False

    def run(self) -> None:
        for _ in range(MOST_ROUNDS):
            if self.stop:
                return
            asked = self.client.ask_token()
            if asked.status != 200:
                self.lost.append(asked.body)
                continue
            token = str(json.loads(asked.body)["access_token"])
            used = self.client.get(PATH, token)
            if used.status != 200:
                self.lost.append(used.body)
            self.kids.append(kid_of(token))
            time.sleep(PAUSE_S)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for the load to get there."""
        while not holds():
            assert not self.lost, self.lost
            assert len(self.kids) < CLIENTS * MOST_ROUNDS
            time.sleep(0.02)

    def more(self, count: int) -> None:
        """Let this many more rounds pass."""
        goal = len(self.kids) + count
        self.until(lambda: len(self.kids) >= goal)


@pytest.fixture
def agency(made: Shell) -> Agency:
    return made.admit("agency-a")


@pytest.fixture
def client(made: Shell, agency: Agency) -> Iterator[WireClient]:
    """The agency at a hub of two workers."""
    port = free_port()
    # The load is one agency's, and a fast machine would meet its limit.
    made.env["HOMEWARD_RATE_AGENCY"] = "1000000"
    with serving(made, port, "--workers", "2"):
        answer(port, "/readyz")
        yield WireClient(port, "https://exchange.example", agency.id, agency.auth)


@pytest.fixture
def load(client: WireClient) -> Iterator[Load]:
    load = Load(client)
    threads = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    yield load
    load.stop = True
    for thread in threads:
        thread.join()
    assert load.lost == []


def published(client: WireClient) -> list[str]:
    return [key["kid"] for key in json.loads(client.ask("GET", "/oauth/jwks.json", None, {}).body)["keys"]]


def test_the_token_key_rotates_under_load_and_no_request_is_lost(
    made: Shell, client: WireClient, load: Load
) -> None:
    current, following = published(client)
    load.more(8)
    assert set(load.kids) == {current}
    old = client.token()
    made.run("keys", "rotate", "token", *made.signed_by("asha"))
    load.until(lambda: following in load.kids)
    # By then each worker has looked at the file again, while the load goes on.
    time.sleep(EVERY_S)
    load.more(CLIENTS)
    before = len(load.kids)
    load.more(16)
    assert set(load.kids[before:]) == {following}
    # The retired key is published as long as its tokens live, and they are good.
    keys = published(client)
    assert (keys[:2], len(keys)) == ([current, following], 3)
    sent = [client.bound("GET", PATH, old) for _ in range(8)]
    assert client.at_once("GET", PATH, None, sent) == {200: 8}


def test_stolen_token_keys_are_out_in_every_worker_without_a_restart(made: Shell, client: WireClient) -> None:
    old = client.token()
    made.run("keys", "rotate", "token", "--compromised", *made.signed_by("asha"))
    time.sleep(EVERY_S)
    sent = [client.bound("GET", PATH, old) for _ in range(12)]
    assert client.at_once("GET", PATH, None, sent) == {401: 12}
    assert client.get(PATH, client.token()).status == 200


def test_an_agencys_auth_key_rotates_through_the_directory_under_load(
    agency: Agency, client: WireClient, load: Load
) -> None:
    def log(event: Signed, *keys: PublicKey) -> int:
        body = {"event": event.to_json(), "keys": {key.kid: b64u(key.raw) for key in keys}}
        return client.post("/v1/directory/events", client.token(), body).status

    load.more(8)
    old, new = agency.auth, AuthKey.generate("PS256")
    # Next: in the directory beside the old one. Current: what the client signs with from here on.
    assert log(agency.key(new.public, "auth"), new.public) == 201
    load.client.key = new
    load.more(8)
    # An assertion of the old key may still be under way in one of the clients' threads.
    load.more(CLIENTS)
    assert log(agency.revoke(old.public.kid)) == 201
    load.more(8)
    stale = WireClient(client.port, client.base_url, agency.id, old)
    assert {stale.ask_token().status for _ in range(6)} == {400}
