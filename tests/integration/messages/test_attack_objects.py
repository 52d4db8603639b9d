"""Attacks on objects over HTTP, numbered as in docs/threat-model.md: what is another's, what is forged."""

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from exchange.hub.db import reading
from exchange.hub.models.consents import consent
from exchange.hub.models.envelopes import grant
from exchange.hub.models.log import audit_pull
from exchange.hub.models.replay import replay, revoked_token
from exchange_keys.jws import sign
from exchange_schemas.codec import b64u, decode, encode
from exchange_schemas.ids import new_id
from tests.integration.http.conftest import Member
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import World
from tests.integration.messages.edits import body_of, core_of, edited, grant_of
from tests.integration.messages.statements import statements

pytestmark = pytest.mark.parametrize("shared_hub", ["sqlite"], indirect=True)
Login = Callable[[Agency], Member]
PRUNES = tuple(f"DELETE FROM {table}" for table in (replay, revoked_token, audit_pull))
# What differs between any two answers.
OF_ANY_ANSWER = ("Homeward-Receipt", "Content-Length", "RateLimit")


@pytest.fixture
def world(shared: World) -> World:
    return shared


Request = tuple[str, str, Any]


@pytest.fixture
def pairs(world: World, ngo: Agency, embassy: Agency, commission: Agency) -> list[tuple[Request, Request]]:
    """For each kind of object: a request about one that exists between others, and about one that does not.

    All of them are the commission's, which is party of neither.
    """
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    entry, item = world.last().id, grant_of(sealed, embassy)
    p = core_of(item.core).parts[0].p
    world.fetch(embassy, item.gid)
    signed = world.sign_withdrawal(given, commission.approver, iss=commission.id).to_json()

    def receipt(gid: str) -> Request:
        made = world.sign_receipt(sealed, embassy, rcp=commission.id, gid=gid)
        mine = sign(made.payload, "hx-receipt", [commission.envelope])
        return "POST", f"/v1/grants/{gid}/receipt", {"receipt": mine.to_json()}

    def check(cid: str) -> Request:
        asked = {"kind": "found_notice", "purpose": "trace", "names": ["sex"]}
        return "POST", "/v1/consents/check", {"consent": cid, **asked}

    nobodys = new_id(os.urandom)
    return [
        (check(given.consent.cid), check(nobodys)),
        (("GET", f"/v1/consents/{given.consent.cid}", None), ("GET", f"/v1/consents/{nobodys}", None)),
        (
            ("POST", f"/v1/consents/{given.consent.cid}/withdrawal", {"withdrawal": signed}),
            ("POST", f"/v1/consents/{nobodys}/withdrawal", {"withdrawal": signed}),
        ),
        (("GET", f"/v1/grants/{item.gid}", None), ("GET", f"/v1/grants/{nobodys}", None)),
        (
            ("GET", f"/v1/grants/{item.gid}/parts/{p}", None),
            ("GET", f"/v1/grants/{nobodys}/parts/{new_id(os.urandom)}", None),
        ),
        (receipt(item.gid), receipt(nobodys)),
        (("GET", f"/v1/audit/receipts/{entry}", None), ("GET", f"/v1/audit/receipts/{nobodys}", None)),
    ]


def ask(member: Member, request: Request) -> TestResponse:
    method, path, body = request
    return member.call(method, path, **({} if body is None else {"json": body}))


def test_attack_17_another_agencys_object_and_none_are_one_answer(
    commission: Agency, login: Login, pairs: list[tuple[Request, Request]]
) -> None:
    other = login(commission)
    for pair in pairs:
        shown = set()
        for answer in (ask(other, request) for request in pair):
            body = {name: value for name, value in answer.json.items() if name != "receipt"}
            headers = {name: value for name, value in answer.headers.items() if name not in OF_ANY_ANSWER}
            shown.add((answer.status_code, encode(body), str(sorted(headers.items()))))
        assert len(shown) == 1, pair
        assert next(iter(shown))[0] == 404


def test_attack_18_another_agencys_object_costs_the_sql_of_none(
    world: World, commission: Agency, login: Login, pairs: list[tuple[Request, Request]]
) -> None:
    """The SQL carries the caller: the same statements, and not a row of the other's comes back."""
    other = login(commission)
    # What a worker remembers of the caller is there before anything is compared.
    ask(other, pairs[0][0])
    for pair in pairs:
        ran = []
        for request in pair:
            with statements(world) as seen:
                assert ask(other, request).status_code == 404
            # One request in 256 also prunes what was used up, revoked or opened long ago.
            ran.append([text for text, _ in seen if not text.startswith(PRUNES)])
            about = [(text, values) for text, values in seen if "SELECT" in text and _is_about_objects(text)]
            assert about, request
            with reading(world.hub.engine) as conn:
                assert [conn.exec_driver_sql(*one).all() for one in about] == [[]] * len(about), request
        assert ran[0] == ran[1], pair


def _is_about_objects(text: str) -> bool:
    return any(f"FROM {table}" in text for table in ("consent", "grant_", "part", "log_entry"))


@pytest.mark.parametrize("member", ["status", "state", "agency", "iss", "delivered", "entry_id"])
def test_attack_19_no_member_of_a_row_can_be_sent(
    world: World, ngo: Agency, embassy: Agency, login: Login, member: str
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, world.consent(ngo, embassy))])
    sender, before = login(ngo), (world.count(consent), world.count(grant))
    tried: list[tuple[str, dict[str, Any]]] = [
        ("/v1/consents", {"consent": given.body, member: "active"}),
        ("/v1/consents", {"consent": {**given.body, member: "active"}}),
        ("/v1/envelopes", {**body_of(sealed), member: "waiting"}),
        ("/v1/envelopes", body_of(sealed) | {"grants": [{**body_of(sealed)["grants"][0], member: "x"}]}),
    ]
    for path, body in tried:
        answer = sender.call("POST", path, json=body)
        assert (answer.status_code, answer.json["code"]) == (422, "MALFORMED")
        assert member not in answer.json["detail"]
    assert (world.count(consent), world.count(grant)) == before


def test_attack_20_cursors_that_were_guessed_altered_or_given_to_others(
    world: World, ngo: Agency, embassy: Agency, login: Login
) -> None:
    for _ in range(2):
        world.send(ngo, world.consent(ngo, embassy))
    sender, receiver = login(ngo), login(embassy)
    outbox = sender.call("GET", "/v1/outbox", query="?limit=1").json["next"]
    inbox = receiver.call("GET", "/v1/inbox", query="?limit=1").json["next"]
    altered = ("B" if outbox[0] != "B" else "C") + outbox[1:]
    for member, path, cursor in (
        (receiver, "/v1/inbox", outbox),
        (receiver, "/v1/outbox", outbox),
        (sender, "/v1/outbox", inbox),
        (sender, "/v1/inbox", outbox),
        (sender, "/v1/consents", outbox),
        (sender, "/v1/outbox", altered),
        (sender, "/v1/outbox", outbox[:-1]),
        (sender, "/v1/outbox", b64u(bytes(24))),
        (sender, "/v1/outbox", "1"),
    ):
        answer = member.call("GET", path, query=f"?cursor={cursor}")
        assert (answer.status_code, answer.json["code"]) == (422, "MALFORMED"), (path, cursor)
    assert sender.call("GET", "/v1/outbox", query=f"?cursor={outbox}").status_code == 200


def test_attack_24_a_substituted_recipient_key_and_older_versions(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, login: Login
) -> None:
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, world.consent(ngo, embassy))])
    sender = login(ngo)
    nobodys = b64u(os.urandom(32))

    def becomes(name: str, value: Any) -> dict[str, Any]:
        return edited(sealed, ngo, lambda core: core.update({name: value}), only=embassy)

    older = decode(sealed.manifest.payload, limit=16 * 1024) | {"v": 0}
    manifest = sign(encode(older), "hx-manifest", [ngo.envelope]).to_json()
    tried = [
        # Sealed to a key that somebody else holds, that is for another use, that nobody registered.
        (becomes("rcp_kid", commission.enc.public.kid), "KEY_WRONG_USE"),
        (becomes("rcp_kid", embassy.envelope.public.kid), "KEY_WRONG_USE"),
        (becomes("rcp_kid", nobodys), "KID_UNKNOWN"),
        (becomes("v", 0), "VERSION"),
        (becomes("v", 2), "VERSION"),
        ({**body_of(sealed), "manifest": manifest}, "VERSION"),
    ]
    for body, code in tried:
        answer = sender.call("POST", "/v1/envelopes", json=body)
        assert (answer.status_code, answer.json["code"]) == (422, code)
    assert sender.call("POST", "/v1/envelopes", json=body_of(sealed)).status_code == 201


HOSTILE = [
    "%0d%0aX-Evil:1",
    "%E2%80%AE%E2%81%A6evil",
    "%00",
    "a%0Ab",
    "%F0%9F%92%A3",
    "..%2f..%2fetc",
    "%1b[31m",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_attack_25_line_breaks_and_direction_marks_in_ids_stay_out_of_answers_and_logs(
    client: FlaskClient, ngo: Agency, login: Login, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    member = login(ngo)
    raw = unquote(text)
    for path in ("/v1/grants/{}", "/v1/consents/{}", "/v1/audit/receipts/{}", "/v1/directory/keys/{}"):
        address = path.format(text)
        answer = client.get(address, headers=member.headers("GET", path.format("x")))
        assert answer.status_code in (401, 404, 422)
        assert "X-Evil" not in str(answer.headers)
        assert raw not in answer.text
    assert client.get(f"/problems/{text}").status_code == 404
    assert raw not in caplog.text
    assert caplog.text == ""
