"""Rate limits where they count: two worker processes that share one store and together never give more."""

import time

import pytest

from exchange.hub.services.limits import WINDOW_S
from exchange_keys.jose import AuthKey
from tests.integration.http.served import Server, served

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

QUOTA = 60
AT_ONCE = 30


def given_in_one_window(server: Server, path: str, token: str | None) -> int:
    """How many of twice the quota's requests were answered, all within one window."""
    for _ in range(5):
        # The others' connections begin and end with a window: wait for the next one.
        window = time.time() // WINDOW_S
        while time.time() // WINDOW_S == window:
            time.sleep(0.05)
        window, statuses = time.time() // WINDOW_S, dict[int, int]()
        for _ in range(2 * QUOTA // AT_ONCE):
            sent = [{} if token is None else server.bound("GET", path, token) for _ in range(AT_ONCE)]
            for status, count in server.at_once("GET", path, None, sent).items():
                statuses[status] = statuses.get(status, 0) + count
        if time.time() // WINDOW_S == window:
            assert set(statuses) <= {200, 429}
            return statuses.get(200, 0)
    pytest.fail("the machine is too slow to ask so often within one window")


def test_two_processes_together_give_the_quota_and_one_agency_is_not_anothers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    limits = {"HOMEWARD_RATE_ADDRESS": str(QUOTA), "HOMEWARD_RATE_AGENCY": str(QUOTA)}
    folder = tmp_path_factory.mktemp("quotas")
    with served(folder, [AuthKey.generate("ES256")], extra=limits) as server:
        # What each worker keeps for itself, a quarter of the quota together, the others cannot give.
        assert 3 * QUOTA // 4 <= given_in_one_window(server, "/oauth/jwks.json", None) <= QUOTA
        token = server.token()
        assert 3 * QUOTA // 4 <= given_in_one_window(server, "/v1/inbox", token) <= QUOTA
