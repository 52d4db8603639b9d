"""Two `exchange-hub serve` on one database, both under load: one log, every answer in it once, one tree."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from exchange.hub.db import open_engine
from exchange_schemas.entry import Act, Entry
from tests.integration.admin.conftest import Shell, both
from tests.integration.admin.test_serve import answer, serving
from tests.integration.ports import free_port
from tests.integration.storage.logs import check_log_in
from tests.integration.wire import WireClient

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PATH = "/v1/outbox"
EACH = 12


def answered(client: WireClient) -> list[str]:
    """The entries of so many answers, one after another."""
    token = client.token()
    replies = [client.get(PATH, token) for _ in range(EACH)]
    assert {reply.status for reply in replies} == {200}
    return [reply.headers["homeward-receipt"] for reply in replies]


@both
def test_two_hubs_on_one_database_keep_one_log(made: Shell) -> None:
    agency, ports = made.admit("ngo-a"), (free_port(), free_port())
    clients = [WireClient(port, "https://exchange.example", agency.id, agency.auth) for port in ports]
    with serving(made, ports[0], "--workers", "1") as one, serving(made, ports[1], "--workers", "1") as other:
        for port in ports:
            assert json.loads(answer(port, "/readyz")) == {"status": "ready"}
        with ThreadPoolExecutor(4) as pool:
            found = [entry for some in pool.map(answered, clients * 2) for entry in some]
        for port in ports:
            assert json.loads(answer(port, "/readyz")) == {"status": "ready"}
        for server in (one, other):
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
    engine = open_engine(made.database_url)
    log = check_log_in(engine)
    engine.dispose()
    acts = [Entry.from_bytes(entry).act for entry in log.entries]
    outbox = [ident for ident, act in zip(log.ids, acts, strict=True) if act is Act.OUTBOX_LIST]
    assert sorted(outbox) == sorted(found)
    assert acts.count(Act.HUB_START) == 2
