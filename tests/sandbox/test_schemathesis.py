"""Schemathesis over every operation of a served hub: whatever it makes up, the answer is a described one.

Each request goes out with a token that has the operation's scope and with a DPoP proof of its final address.
Two of its checks have no place here. `ignored_auth` sends a request again without its token, but cannot keep
the proof off; tests/integration/http has that refusal. `positive_data_acceptance` wants a 2xx for whatever
fits the schemas: a signature that was made up fits them, and must be refused.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from joserfc.jwk import ECKey
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from docs.quickstart import assertion, proof
from exchange.hub.openapi import DESCRIPTION
from tests.sandbox.conftest import Running

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.enable_socket]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: Mapping[str, Any] = yaml.safe_load((ROOT / DESCRIPTION).read_text("utf-8"))


def without_security(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what our hook adds: schemathesis would make up tokens and proofs of its own."""
    plain = copy.deepcopy(dict(document))
    for item in plain["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
    del plain["components"]["securitySchemes"]
    return plain


# What it takes for a refusal of data that does not fit; it does not know of a body that is too long (413).
REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "5xx"]
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
SCHEMA = schemathesis.openapi.from_dict(without_security(DOCUMENT), config=CONFIG)
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCLUDED = [ignored_auth, positive_data_acceptance]
WEBHOOK = "/v1/webhook"
TRIED = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method != "parameters"
]
GIVEN: Mapping[str, set[int]] = {
    "GET /v1/inbox": {200},
    "GET /v1/outbox": {200},
    "GET /v1/consents": {200},
    "GET /v1/directory/events": {200},
    "POST /v1/audit/pulls": {201},
    "GET /v1/webhook": {200},
    "DELETE /v1/webhook": {200},
    "POST /v1/webhook/secret": {200},
}


class Member(requests.auth.AuthBase):
    """One agency of the sandbox; as an `auth` of requests it signs what is about to be sent."""

    def __init__(self, sandbox: Running, name: str) -> None:
        self.base_url, agency = sandbox.base_url, sandbox.agency(name)
        self.name, self.kid = name, agency["auth_kid"]
        self.key = ECKey.import_key(Path(agency["auth_key_file"]).read_text("ascii"))
        self.token = self._token()

    def assertion(self) -> str:
        return assertion(self.key, self.kid, self.name, self.base_url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        address = urlsplit(str(request.url))._replace(query="", fragment="").geturl()
        request.headers["Authorization"] = f"DPoP {self.token}"
        request.headers["DPoP"] = proof(self.key, str(request.method), address, self.token)
        return request

    def _token(self) -> str:
        url = f"{self.base_url}/oauth/token"
        form = {"grant_type": "client_credentials", "client_assertion_type": BEARER}
        answer = requests.post(
            url,
            data=form | {"client_assertion": self.assertion()},
            headers={"DPoP": proof(self.key, "POST", url)},
            timeout=30,
        )
        return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def members(sandbox: Running) -> dict[str, Member]:
    return {name: Member(sandbox, name) for name in ("commission", "river-relief", "open-audit")}


def caller(members: Mapping[str, Member], operation: schemathesis.APIOperation) -> Member | None:
    """Somebody with the operation's scope; None where it has none."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    scopes = [scope for need in described["security"] for scope in need.get("oauth2", [])]
    if not scopes:
        return None
    return members["open-audit" if scopes == ["audit:read"] else "river-relief"]


def prepare(sandbox: Running, members: Mapping[str, Member], path: str) -> None:
    """What an operation is about is there before it, whichever operations ran before."""
    if path.startswith(WEBHOOK):
        address = {"url": "https://ngo.example/homeward"}
        answer = requests.put(
            sandbox.base_url + WEBHOOK, json=address, auth=members["river-relief"], timeout=60
        )
        assert answer.status_code in (200, 201), answer.text


def strategies(operation: schemathesis.APIOperation) -> Iterator[SearchStrategy[schemathesis.Case]]:
    """The described examples, then what fits the schemas, then what does not."""
    yield from operation.get_strategies_from_examples()
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if operation.body or next(iter(operation.iter_parameters()), None) is not None:
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


# By name, not by schemathesis' own way, which gives all operations one id: xdist runs an id once.
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_answers_as_described(
    name: str, sandbox: Running, members: dict[str, Member]
) -> None:
    """And more than refusals, else this would hold for a hub that refuses everybody."""
    method, path = name.split(" ", 1)
    operation = SCHEMA[path][method]
    prepare(sandbox, members, path)
    seen: set[int] = set()

    def answers_as_described(case: schemathesis.Case) -> None:
        with requests.Session() as session:
            session.auth = caller(members, operation)
            answer = case.call(base_url=sandbox.base_url, session=session, timeout=60)
        seen.add(answer.status_code)
        case.validate_response(answer, excluded_checks=EXCLUDED)

    for strategy in strategies(operation):
        with suppress(Unsatisfiable):
            TRIED(given(case=strategy)(answers_as_described))()
    # Nobody has the ids that are made up; whoever is told so was believed before.
    assert seen - {401, 500, 503, None if "{" in path else 404}, seen
    assert GIVEN.get(name, set()) <= seen, seen
