"""The directory's routes with a real token, and what needs none."""

import pytest
from flask import Flask

from exchange.directory.snapshot import DirectoryLog, Page
from exchange.hub.app import create_app_from
from exchange.hub.services.agencies import admit
from exchange.hub.services.deployment import deployment
from exchange_keys.jws import Signed
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u
from exchange_schemas.ids import Digest
from tests.integration.directory.people import Agency, Operators
from tests.integration.http.conftest import Member

EVENTS = "/v1/directory/events"


@pytest.fixture
def app(operators: Operators) -> Flask:
    """The hub's application."""
    return create_app_from(operators.hub)


@pytest.fixture
def agency(operators: Operators) -> Agency:
    """An admitted agency."""
    return operators.admit("ngo-a")


@pytest.fixture
def member(operators: Operators, app: Flask, agency: Agency) -> Member:
    """The agency's program, with a token got by the key that is in the directory."""
    return Member(operators.hub, app.test_client(), agency.id, agency.auth).login()


def body(event: Signed, *keys: EncKey) -> dict[str, object]:
    return {"event": event.to_json(), "keys": {key.public.kid: b64u(key.public.raw) for key in keys}}


def test_the_pins_and_the_checkpoint_need_no_token(operators: Operators, app: Flask) -> None:
    client = app.test_client()
    pins = client.get("/v1/deployment")
    assert (pins.status_code, pins.json) == (200, deployment(operators.hub))
    note = client.get("/v1/directory/checkpoint")
    assert (note.status_code, note.mimetype) == (200, "text/plain")
    assert note.text.startswith("exchange.example/directory\n1\n")


def test_a_page_verifies_from_the_pins_alone(operators: Operators, member: Member, agency: Agency) -> None:
    pins = deployment(operators.hub)
    assert isinstance(pins["governance"], dict)
    log = DirectoryLog.join(
        str(pins["origin"]), pin=Digest(str(pins["governance"]["pin"])), vkeys=[str(pins["directory_vkey"])]
    )
    while not log.complete:
        answer = member.call("GET", EVENTS, query=f"?after={log.state.size}&limit=4")
        assert answer.status_code == 200
        assert answer.headers["Homeward-Receipt"]
        found = answer.get_json()
        assert set(found.pop("receipt")) == {"entry", "proof"}
        log = log.apply(Page.from_json(found)).log
    assert log.current().agency(agency.id) is not None
    nothing_new = member.call("GET", EVENTS, query=f"?after={log.state.size}")
    assert nothing_new.json is not None
    assert "receipt" not in nothing_new.json


def test_a_key_is_read_and_an_event_logged(member: Member, agency: Agency) -> None:
    fresh = EncKey.generate()
    logged = member.call("POST", EVENTS, json=body(agency.key(fresh.public, "enc"), fresh))
    assert logged.status_code == 201
    assert logged.json is not None
    assert (logged.json["index"], set(logged.json)) == (7, {"index", "receipt"})
    shown = member.call("GET", f"/v1/directory/keys/{fresh.public.kid}")
    assert shown.json is not None
    assert (shown.json["alg"], shown.json["key"]) == ("X-Wing", b64u(fresh.public.raw))


@pytest.mark.parametrize(
    ("query", "status"), [("?after=9999", 409), ("?after=-1", 422), ("?limit=501", 422), ("?limit=0", 422)]
)
def test_a_page_that_cannot_be_is_refused_with_a_receipt(member: Member, query: str, status: int) -> None:
    answer = member.call("GET", EVENTS, query=query)
    assert answer.status_code == status
    assert answer.json is not None
    assert "receipt" in answer.json


def test_refusals_say_their_code(operators: Operators, member: Member, agency: Agency) -> None:
    other = operators.admit("ngo-b")
    refused = [
        (member.call("POST", EVENTS, json=body(other.revoke(other.enc.public.kid))), 403, "SENDER_MISMATCH"),
        (member.call("POST", EVENTS, json=body(operators.suspension(other.id))), 403, "SENDER_MISMATCH"),
        (member.call("POST", EVENTS, json=body(agency.revoke(other.enc.public.kid))), 422, "KID_UNKNOWN"),
        (member.call("POST", EVENTS, json={"event": {}, "keys": {}}), 422, "MALFORMED"),
        (member.call("GET", f"/v1/directory/keys/{'A' * 43}"), 404, "NOT_FOUND"),
        (member.call("GET", "/v1/directory/keys/x'--"), 422, "MALFORMED"),
    ]
    for answer, status, code in refused:
        assert answer.json is not None
        assert (answer.status_code, answer.json["code"]) == (status, code)
        assert "receipt" in answer.json


def test_a_suspended_agency_gets_no_token(operators: Operators, member: Member, agency: Agency) -> None:
    operators.suspend(agency)
    assert member.ask_token().status_code == 400
    operators.resume(agency)
    assert member.ask_token().status_code == 200


def test_a_drained_client_key_gets_no_token(member: Member, agency: Agency) -> None:
    assert member.call("POST", EVENTS, json=body(agency.drain(agency.auth.public.kid))).status_code == 201
    assert member.ask_token().status_code == 400


def test_an_auditor_reads_and_writes_nothing(operators: Operators, app: Flask) -> None:
    auditor = Agency.named("auditor-a")
    admit(operators.hub, operators.admission(auditor, kind="auditor"), auditor.bundle(kind="auditor"))
    member = Member(operators.hub, app.test_client(), auditor.id, auditor.auth).login()
    assert member.call("GET", EVENTS).status_code == 200
    answer = member.call("POST", EVENTS, json=body(auditor.revoke(auditor.enc.public.kid)))
    assert answer.status_code == 403
