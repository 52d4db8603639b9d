"""A hub behind the Flask test client, agencies in its directory, and what they send.

The probe blueprint stands for any operation: `/v1/probe` reads, writes, streams and refuses.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from marshmallow import fields
from sqlalchemy import Table, insert, select, update
from werkzeug.test import TestResponse

from exchange.hub.api.base import (
    BYTES,
    Blueprint,
    BodyStream,
    JsonSchema,
    current_caller,
    current_hub,
    respond,
    respond_bytes,
)
from exchange.hub.api.schemas import JwsSchema, PageQuery, Whole
from exchange.hub.app import BLUEPRINTS, create_app_from
from exchange.hub.models.directory import directory_agency, directory_key
from exchange.hub.models.log import log_entry
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Trace, release
from exchange.hub.services.unit import Unit
from exchange_keys.jose import AuthKey, client_assertion, dpop_proof, token_hash
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import NotFound, StorageFull, Unavailable

BASE_URL = "https://exchange.example"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PROBE = "/v1/probe"


@pytest.fixture
def database_kind() -> str:
    """SQLite alone, where the database makes no difference; tests that need both say so."""
    return "sqlite"


# -- a blueprint to call ---------------------------------------------------------------------------


class ProbeBody(JsonSchema):
    """A body with a number and perhaps a signed object."""

    number = Whole(required=True)
    signed = fields.Nested(JwsSchema)


class ProbeAnswer(JsonSchema):
    """What came."""

    seen = fields.Raw(required=True)


def _release(seen: Any, **changes: Any) -> Any:
    hub, caller = current_hub(), current_caller()

    def work(_unit: Unit) -> Answer:
        return Answer({"seen": seen}, Trace(act=Act.INBOX_LIST), **changes)

    return release(hub, caller, Trace(act=Act.INBOX_LIST), work)


def probe_blueprint() -> Blueprint:
    """Operations of every shape."""
    blp = Blueprint("probe", "probe", url_prefix=PROBE)

    @blp.route("", methods=["GET"])
    @blp.operation(
        scope="directory:read",
        act=Act.INBOX_LIST,
        summary="Read",
        query=PageQuery,
        responses={200: ProbeAnswer},
    )
    def read(query: dict[str, Any]) -> Response:
        return respond(_release({"agency": current_caller().agency, "limit": query["limit"]}))

    @blp.route("", methods=["POST"])
    @blp.operation(
        scope="consents:write",
        act=Act.CONSENT_REGISTER,
        summary="Write",
        request=ProbeBody,
        max_bytes=2048,
        responses={201: ProbeAnswer},
    )
    def write(body: dict[str, Any]) -> Response:
        return respond(_release(body["number"], status=201))

    @blp.route("/bytes", methods=["PUT"])
    @blp.operation(
        scope="envelopes:send",
        act=Act.PART_UPLOAD,
        summary="Stream",
        raw=True,
        max_bytes=1000,
        responses={200: BYTES},
    )
    def stream(stream: BodyStream) -> Response:
        data = b""
        while chunk := stream.read(100):
            data += chunk
        return respond_bytes(_release(len(data)), data)

    @blp.route("/objects/<gid>", methods=["GET"])
    @blp.operation(
        scope="envelopes:receive", act=Act.GRANT_FETCH, summary="Fetch", responses={200: ProbeAnswer}
    )
    def fetch(gid: str) -> Response:
        def work(_unit: Unit) -> Answer:
            raise NotFound(f"no {gid}", field="gid", hint="look elsewhere", detail={"why": gid})

        return respond(release(current_hub(), current_caller(), Trace(act=Act.GRANT_FETCH), work))

    _declare_failures(blp)
    return blp


def _declare_failures(blp: Blueprint) -> None:
    @blp.route("/careless", methods=["GET"])
    @blp.operation(scope="directory:read", summary="Answer without release", responses={200: ProbeAnswer})
    def careless() -> Response:
        return Response('{"secret": "name of a child"}', mimetype="application/json")

    @blp.route("/unlogged", methods=["GET"])
    @blp.operation(scope="directory:read", summary="Answer without entry", responses={200: ProbeAnswer})
    def unlogged() -> Response:
        return respond(_release("name of a child", logged=False))

    @blp.route("/nothing", methods=["GET"])
    @blp.operation(
        scope="directory:read", summary="Nothing new", unlogged="nothing new", responses={304: None}
    )
    def nothing() -> Response:
        return respond(_release("", logged=False, status=304, headers={"ETag": '"1"'}))

    @blp.route("/full", methods=["GET"])
    @blp.operation(scope="directory:read", act=Act.PART_UPLOAD, summary="Full", responses={200: ProbeAnswer})
    def full() -> Response:
        raise StorageFull("the agency's share is used up")

    @blp.route("/busy", methods=["GET"])
    @blp.operation(scope="directory:read", summary="Busy", responses={200: ProbeAnswer})
    def busy() -> Response:
        raise Unavailable("the database is busy, try again")

    @blp.route("/broken", methods=["GET"])
    @blp.operation(auth=False, summary="Fail", responses={200: ProbeAnswer})
    def broken() -> Response:
        raise KeyError("name of a child")


# -- agencies --------------------------------------------------------------------------------------


@dataclass
class Member:
    """An agency's program: its client key, its DPoP key, and what it would send."""

    hub: Hub
    client: FlaskClient
    agency: str
    key: AuthKey
    dpop: AuthKey = field(default_factory=AuthKey.generate)
    token: str = ""

    def now(self) -> datetime:
        return self.hub.clock()

    def assertion(self, **changes: Any) -> str:
        made: dict[str, Any] = {
            "client_id": self.agency,
            "audience": BASE_URL,
            "now": self.now(),
            "jti": b64u(os.urandom(16)),
        }
        return client_assertion(self.key, **(made | changes))

    def form(self, **changes: Any) -> dict[str, Any]:
        """The form of a token request; None takes a field away."""
        form: dict[str, Any] = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        }
        return {name: value for name, value in (form | changes).items() if value is not None}

    def proof(self, htm: str, path: str, *, token: str | None = None, **changes: Any) -> str:
        made: dict[str, Any] = {
            "htm": htm,
            "htu": BASE_URL + path,
            "now": self.now(),
            "jti": b64u(os.urandom(16)),
            "ath": None if token is None else token_hash(token),
        }
        return dpop_proof(self.dpop, **(made | changes))

    def ask_token(self, headers: dict[str, str] | None = None, **form: Any) -> TestResponse:
        sent = {"DPoP": self.proof("POST", "/oauth/token")} if headers is None else headers
        return self.client.post("/oauth/token", data=self.form(**form), headers=sent)

    def login(self, **form: Any) -> "Member":
        answer = self.ask_token(**form)
        assert answer.status_code == 200, answer.json
        self.token = answer.json["access_token"]
        return self

    def headers(self, htm: str, path: str) -> dict[str, str]:
        return {"Authorization": f"DPoP {self.token}", "DPoP": self.proof(htm, path, token=self.token)}

    def call(self, htm: str, path: str = PROBE, *, query: str = "", **request: Any) -> TestResponse:
        """A request with a token and a fresh proof; `headers` replace or add (None takes one away)."""
        headers: dict[str, Any] = self.headers(htm, path) | request.pop("headers", {})
        sent = {name: value for name, value in headers.items() if value is not None}
        return self.client.open(path + query, method=htm, headers=sent, **request)


def filled(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """The row with something in every column that needs a value and has no part in these tests."""
    blanks = {str: "x", bytes: b"x", int: 0, bool: False}
    needed = {c.name: blanks[c.type.python_type] for c in table.columns if not c.nullable}
    return needed | row


@dataclass
class Exchange:
    """A hub with its app."""

    hub: Hub
    app: Flask
    client: FlaskClient

    def admit(
        self, agency: str, kind: str = "ngo", *, alg: str = "ES256", key: AuthKey | None = None
    ) -> Member:
        """An agency in the directory with one `auth` key."""
        key = AuthKey.generate(alg) if key is None else key
        with self.hub.engine.begin() as conn:
            row = {"agency": agency, "kind": kind, "status": "active"}
            conn.execute(insert(directory_agency), filled(directory_agency, row))
        self.add_key(agency, key)
        return Member(self.hub, self.client, agency, key)

    def add_key(self, agency: str, key: AuthKey) -> None:
        row = {
            "kid": key.public.kid,
            "agency": agency,
            "use": "auth",
            "alg": key.public.alg,
            "raw": key.public.raw,
            "status": "active",
            "nbf": int(self.hub.clock().timestamp()) - 60,
        }
        with self.hub.engine.begin() as conn:
            conn.execute(insert(directory_key), filled(directory_key, row))

    def set_status(self, agency: str, status: str) -> None:
        with self.hub.engine.begin() as conn:
            conn.execute(
                update(directory_agency).where(directory_agency.c.agency == agency).values(status=status)
            )

    def set_key_status(self, kid: str, status: str) -> None:
        with self.hub.engine.begin() as conn:
            conn.execute(update(directory_key).where(directory_key.c.kid == kid).values(status=status))

    def entries(self) -> list[Entry]:
        """The audit log's entries, in order."""
        rows = select(log_entry.c.entry)
        with self.hub.engine.connect() as conn:
            found = conn.execute(rows.order_by(log_entry.c.idx)).scalars().all()
        return [Entry.from_bytes(bytes(entry)) for entry in found]

    def acts(self) -> list[tuple[str, str, str | None]]:
        """What the entries say: (act, outcome, reason)."""
        return [(entry.act.value, str(entry.out), entry.rsn) for entry in self.entries()]


@pytest.fixture
def make_exchange(make_hub: Callable[..., Hub]) -> Callable[..., Exchange]:
    """Make a hub with its app; keywords are those of `make_hub`."""

    def make(**changes: Any) -> Exchange:
        hub = make_hub(**changes)
        app = create_app_from(hub, (*BLUEPRINTS, probe_blueprint()))
        return Exchange(hub, app, app.test_client())

    return make


@pytest.fixture
def exchange(make_exchange: Callable[..., Exchange]) -> Exchange:
    """A hub with its app."""
    return make_exchange()


@pytest.fixture
def member(exchange: Exchange) -> Member:
    """An agency with a token for everything that it may do."""
    return exchange.admit("agency-a").login()


def past(member: Member, **ago: int) -> datetime:
    """An instant before the hub's now."""
    return member.now() - timedelta(**ago)
