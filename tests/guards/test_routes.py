"""Every route says who may call it, and whatever may leave without an entry in the audit log stands here.

The lists are audit.md, "What is logged". A route on neither list, or a scope that nobody needs, fails.
"""

from pathlib import Path

import pytest

from exchange.hub.api.operation import Operation, operation_of
from exchange.hub.api.problem import MEDIA_TYPE
from exchange.hub.app import described_app
from exchange.hub.openapi import BASE_URL, description, files
from exchange.hub.services.tokens import SCOPES
from exchange_schemas.limits import LIMITS

ROOT = Path(__file__).resolve().parents[2]

# No caller is known: nothing here may depend on who asks.
PUBLIC = {
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
    "GET /oauth/jwks.json",
    "GET /openapi.json",
    "GET /healthz",
    "GET /readyz",
    "GET /problems",
    "GET /problems/<code>",
    "GET /reference",
    "GET /reference/redoc.js",
    "GET /reference/licence.txt",
    "GET /v1/deployment",
    "GET /v1/audit/log/checkpoint",
    "GET /v1/directory/checkpoint",
    # These know their client from the form and log what they answer to it.
    "POST /oauth/token",
    "POST /oauth/revoke",
}
# No quota of addresses counts these: monitoring, and what counts its clients and failures by itself.
NOT_COUNTED = {"GET /healthz", "GET /readyz", "POST /oauth/token", "POST /oauth/revoke"}
# An authenticated answer of these may have no entry: nothing new, or parts of the log itself.
MAY_BE_UNLOGGED = {
    "GET /v1/inbox",
    "GET /v1/directory/events",
    "GET /v1/audit/receipts/<entry>",
    "GET /v1/audit/slice",
    "GET /v1/audit/salts",
    "GET /v1/audit/entries",
    "GET /v1/audit/disclosures/<reading>",
    "GET /v1/audit/log/tile/<rest>",
    "GET /v1/audit/log/tile/entries/<rest>",
}


def routes() -> dict[str, Operation]:
    app, _ = described_app(BASE_URL)
    return {
        f"{method} {rule.rule.replace('<string:', '<').replace('<path:', '<')}": operation_of(
            app.view_functions[rule.endpoint]
        )
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
    }


ROUTES = routes()


def test_every_route_needs_a_scope_or_stands_on_the_list_of_public_ones() -> None:
    assert {name for name, operation in ROUTES.items() if operation.scope is None} == PUBLIC


def test_only_the_listed_routes_may_answer_a_member_without_an_entry() -> None:
    unlogged = {name for name, operation in ROUTES.items() if operation.scope and operation.unlogged}
    assert unlogged == MAY_BE_UNLOGGED


def test_a_quota_counts_every_public_route_but_those_listed() -> None:
    assert {name for name, operation in ROUTES.items() if not operation.counted} == NOT_COUNTED


def test_every_scope_exists_and_is_needed_somewhere() -> None:
    assert {operation.scope for operation in ROUTES.values()} - {None} == set(SCOPES)


def test_reading_takes_no_body_and_every_body_has_a_limit() -> None:
    for name, operation in ROUTES.items():
        if name.startswith("GET "):
            assert operation.max_bytes == 0, name
        most = LIMITS.request_body_bytes if not operation.raw else LIMITS.attachment_bytes * 1.2
        assert operation.max_bytes <= most, name


def test_the_denials_of_a_route_have_an_act_of_their_own() -> None:
    for name, operation in ROUTES.items():
        if operation.scope is not None:
            assert operation.act != "request:refuse", name


def test_no_route_answers_to_methods_that_nobody_declared() -> None:
    methods = {name.split(" ")[0] for name in ROUTES}
    assert methods <= {"GET", "POST", "PUT", "DELETE"}


def test_no_address_is_also_an_id_in_anothers_path() -> None:
    """Else it answers to the other's methods as well, and a wrong method is no 405."""
    app, _ = described_app(BASE_URL)
    declared: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        declared.setdefault(rule.rule, set()).update(rule.methods or ())
    addresses = app.url_map.bind("exchange.example")
    for path in declared:
        if "<" not in path:
            assert set(addresses.allowed_methods(path)) == declared[path], path


@pytest.mark.parametrize("path", files())
def test_the_generated_files_are_fresh(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == files()[path], "stale: make openapi"


def test_the_description_has_every_route_with_its_security() -> None:
    described = {
        f"{method.upper()} {path}": operation
        for path, item in description()["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert len(described) == len(ROUTES)
    needs = [need for operation in described.values() for need in operation["security"]]
    assert {scope for need in needs for scope in need.get("oauth2", [])} == set(SCOPES)
    for name, operation in described.items():
        assert operation["operationId"], name
        assert operation["summary"], name
        assert operation["responses"]["default"]["$ref"].endswith("/Problem"), name
    assert MEDIA_TYPE in description()["components"]["responses"]["Problem"]["content"]


def test_operation_ids_are_unique() -> None:
    ids = [
        operation["operationId"]
        for item in description()["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(set(ids)) == len(ids)
