"""Clients that anybody could write: requests with the proof function of the quick start, and generated code.

The proof function is the one that docs/quickstart.md shows. The generated client is what
openapi-python-client makes of openapi/exchange.yaml, and gets its proofs from the same function. No waiting
message is taken here.
"""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests
from joserfc.jwk import ECKey

from docs.quickstart import assertion, proof
from tests.sandbox.conftest import Running

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.enable_socket]

ROOT = Path(__file__).resolve().parents[2]
AGENCY = "commission"
SCOPE = "envelopes:receive consents:read directory:read"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CONFIG = "package_name_override: homeward_generated\npost_hooks: []\n"


def form(sandbox: Running, key: ECKey) -> dict[str, str]:
    kid = sandbox.agency(AGENCY)["auth_kid"]
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": BEARER,
        "client_assertion": assertion(key, kid, AGENCY, sandbox.base_url),
        "scope": SCOPE,
    }


@pytest.fixture(scope="module")
def key(sandbox: Running) -> ECKey:
    return ECKey.import_key(Path(sandbox.agency(AGENCY)["auth_key_file"]).read_text("ascii"))


@pytest.fixture(scope="module")
def token(sandbox: Running, key: ECKey) -> str:
    url = f"{sandbox.base_url}/oauth/token"
    headers = {"DPoP": proof(key, "POST", url)}
    answer = requests.post(url, data=form(sandbox, key), headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


# -- requests ------------------------------------------------------------------------------------------


def test_the_proof_function_is_short() -> None:
    lines = [line for line in inspect.getsource(proof).splitlines() if line.strip()]
    assert len(lines) <= 15


def get(path: str, sandbox: Running, key: ECKey, token: str, **query: str) -> requests.Response:
    url = sandbox.base_url + path
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof(key, "GET", url, token)}
    return requests.get(url, headers=headers, params=query, timeout=30)


def test_requests_walks_the_inbox_and_fetches_a_grant(sandbox: Running, key: ECKey, token: str) -> None:
    first = get("/v1/inbox", sandbox, key, token, limit="1").json()
    assert first["more"] is True
    second = get("/v1/inbox", sandbox, key, token, limit="1", cursor=first["next"]).json()
    gids = [item["gid"] for page in (first, second) for item in page["items"]]
    assert len(set(gids)) == 2
    grant = get(f"/v1/grants/{gids[0]}", sandbox, key, token)
    assert grant.status_code == 200
    assert grant.headers["Homeward-Receipt"]


def test_requests_gets_a_problem_with_a_page_for_a_wrong_scope(
    sandbox: Running, key: ECKey, token: str
) -> None:
    refused = get("/v1/outbox", sandbox, key, token)
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    assert requests.get(refused.json()["type"], timeout=30).status_code == 200


# -- generated -----------------------------------------------------------------------------------------


class Bound(httpx.Auth):
    """All that generated code lacks: a proof for each request."""

    def __init__(self, key: ECKey, token: str) -> None:
        self.key, self.token = key, token

    def auth_flow(self, request: httpx.Request) -> Any:
        url = str(request.url.copy_with(query=None))
        request.headers["Authorization"] = f"DPoP {self.token}"
        request.headers["DPoP"] = proof(self.key, request.method, url, self.token)
        yield request


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package `homeward_generated`, made now; a warning of its maker fails."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yaml").write_text(CONFIG)
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--fail-on-warning"]
    command += ["--path", str(ROOT / "openapi" / "exchange.yaml"), "--config", str(folder / "config.yaml")]
    command += ["--meta", "none", "--output-path", str(folder / "homeward_generated")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("homeward_generated")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture
def client(generated: ModuleType, sandbox: Running, key: ECKey, token: str) -> Iterator[Any]:
    with generated.Client(base_url=sandbox.base_url, httpx_args={"auth": Bound(key, token)}) as made:
        yield made


def call(name: str, client: Any, *path: str, **query: Any) -> Any:
    return importlib.import_module(f"homeward_generated.api.{name}").sync(*path, client=client, **query)


def test_generated_code_asks_who_runs_the_hub(client: Any, sandbox: Running) -> None:
    assert call("deployment.deployment_show", client).origin == sandbox.facts["origin"]


def test_generated_code_reads_the_inbox_and_a_grant(client: Any) -> None:
    page = call("inbox.inbox_listing", client)
    (opened,) = [item for item in page.items if item.state.value == "receipted"]
    grant = call("grants.grants_fetch", client, opened.gid)
    assert grant.core
    assert grant.receipt.proof.startswith("c2sp.org/tlog-proof@v1")
    assert grant.consent.signatures


def test_generated_code_lists_consents_and_keys(client: Any) -> None:
    consents = call("consents.consents_listing", client).items
    assert {one.status.value for one in consents} <= {"active", "withdrawn", "superseded", "expired"}
    events = call("directory.directory_events", client, limit=3)
    assert [one.index for one in events.events] == [0, 1, 2]


def test_generated_code_reads_a_problem(client: Any) -> None:
    problem = call("grants.grants_fetch", client, "AAAAAAAAAAAAAAAAAAAAAA")
    assert (problem.status, problem.code) == (404, "NOT_FOUND")
