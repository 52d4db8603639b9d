"""OAuth clients that others wrote work with a served hub as they are: openid-client and oauth4webapi.

Each runs every combination of discovery (both well-known addresses), client key and DPoP key (ES256, PS256),
against a hub that asks for nonces and one that does not.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from exchange_keys.jose import AuthKey
from tests.integration.http.served import AGENCY, Server, served
from tests.node.tools import HERE, run

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

CLIENTS = HERE / "clients"
SCOPE = "envelopes:send directory:read"
KEYS = {alg: AuthKey.generate(alg) for alg in ("ES256", "PS256")}


@pytest.fixture(scope="module", params=["0", "1"], ids=["no-nonce", "nonce"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    extra = {"HOMEWARD_DPOP_NONCE": request.param}
    with served(tmp_path_factory.mktemp("clients"), list(KEYS.values()), extra=extra) as running:
        yield running


def ran(script: str, server: Server) -> list[dict[str, Any]]:
    """What the script prints after it was given the hub, the client's keys and what to ask for."""
    keys = {
        alg: {"kid": key.public.kid, "pkcs8": base64.b64encode(key.secret).decode()}
        for alg, key in KEYS.items()
    }
    given = {
        "issuer": server.base_url,
        "client_id": AGENCY,
        "keys": keys,
        "scope": SCOPE,
        "url": f"{server.base_url}/v1/outbox",
    }
    done = run(CLIENTS, script, stdin=json.dumps(given))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def openid_client(server: Server) -> list[dict[str, Any]]:
    return ran("openid-client.mjs", server)


@pytest.fixture(scope="module")
def oauth4webapi(server: Server) -> list[dict[str, Any]]:
    return ran("oauth4webapi.mjs", server)


@pytest.mark.parametrize("name", ["openid_client", "oauth4webapi"])
def test_a_client_of_others_gets_a_bound_token_and_uses_and_revokes_it(
    name: str, server: Server, request: pytest.FixtureRequest
) -> None:
    results = request.getfixturevalue(name)
    combinations = {(one["discovery"], one["client"], one["dpop"]) for one in results}
    assert len(combinations) == len(results) == 8
    for one in results:
        assert one["issuer"] == server.base_url
        assert one["token_type"].lower() == "dpop"
        assert 0 < one["expires_in"] <= 300
        assert set(one["scope"].split()) == set(SCOPE.split())
        assert one["status"] == 200
        assert one["body"]["items"] == []
        assert "receipt" in one["body"]
        assert one["refused"] == 401, "the token works after it was revoked"


def test_a_resource_server_of_others_accepts_our_tokens(
    oauth4webapi: list[dict[str, Any]], server: Server
) -> None:
    for claims in (one["claims"] for one in oauth4webapi):
        assert (claims["iss"], claims["sub"], claims["aud"]) == (server.base_url, AGENCY, server.base_url)
        assert claims["cnf"]["jkt"]


def test_a_resource_server_of_others_takes_none_of_our_tokens_as_bearer(
    oauth4webapi: list[dict[str, Any]],
) -> None:
    assert all(one["as_bearer"] != "accepted" for one in oauth4webapi)
