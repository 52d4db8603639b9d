"""Schemathesis over every operation of a served hub: whatever it makes up, the answer is a described one.

Each request goes out with a token that has the operation's scope and with a DPoP proof of its final address.
Two of its checks have no place here. `ignored_auth` sends a request again without its token, but cannot keep
the proof off; tests/integration/http has that refusal. `positive_data_acceptance` wants a 2xx for whatever
fits the schemas: a signature that was made up fits them, and must be refused. What it asks of
other methods is left out where an address could also be an id in another operation's path: that one answers
there, with 422.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from joserfc.jwk import ECKey
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    positive_data_acceptance,
    unsupported_method,
)

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
OTHER_METHODS = [allow_header_conformance, unsupported_method]
ALSO_AN_ID = ("POST /v1/consents/check",)
EXAMPLES = 8


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


@pytest.fixture(scope="module")
def statuses() -> dict[str, set[int]]:
    """Every status that an operation answered with, by method and path."""
    return {}


def caller(members: Mapping[str, Member], operation: schemathesis.APIOperation) -> Member | None:
    """Somebody with the operation's scope; None where it has none."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    scopes = [scope for need in described["security"] for scope in need.get("oauth2", [])]
    if not scopes:
        return None
    return members["open-audit" if scopes == ["audit:read"] else "river-relief"]


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_described(
    case: schemathesis.Case,
    sandbox: Running,
    members: dict[str, Member],
    statuses: dict[str, set[int]],
) -> None:
    with requests.Session() as session:
        session.auth = caller(members, case.operation)
        answer = case.call(base_url=sandbox.base_url, session=session, timeout=60)
    statuses.setdefault(case.operation.label, set()).add(answer.status_code)
    shadowed = OTHER_METHODS if case.operation.label in ALSO_AN_ID else []
    case.validate_response(answer, excluded_checks=[*EXCLUDED, *shadowed])


def test_every_operation_was_reached_by_somebody_who_was_believed(statuses: dict[str, set[int]]) -> None:
    """Else the test above would hold for a hub that refuses everybody."""
    operations = [
        f"{method.upper()} {path}"
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert set(statuses) == set(operations)
    for name in operations:
        assert statuses[name] - {401, 404, 500, 503}, (name, statuses[name])
    for name in ("GET /v1/inbox", "GET /v1/outbox", "GET /v1/consents", "GET /v1/directory/events"):
        assert 200 in statuses[name]
    assert 201 in statuses["POST /v1/audit/pulls"]
