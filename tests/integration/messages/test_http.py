"""The same over HTTP: addresses, statuses, headers, receipts, scopes and problem documents.

On SQLite alone: what the database has to do with it is tested below HTTP, on both.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from exchange.log.checkpoint import vkey
from exchange.log.proof import verify_entry
from exchange_keys.envelope import open_grant
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.entry import Entry
from exchange_schemas.envelope import PartRef
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, World
from tests.integration.messages.edits import body_of, core_of, grant_of

pytestmark = pytest.mark.parametrize("shared_hub", ["sqlite"], indirect=True)


@pytest.fixture
def world(shared: World) -> World:
    return shared


def entry_of(world: World, answer: TestResponse) -> Entry:
    """The entry of an answer's receipt, which verifies."""
    receipt = answer.json["receipt"]
    entry = unb64u(receipt["entry"], field="entry")
    name = world.hub.settings.audit_log
    key = vkey(name, world.hub.keys.audit_log.public.raw)
    verify_entry(entry, receipt["proof"], [key], origin=name)
    found = Entry.from_bytes(entry)
    assert answer.headers["Homeward-Receipt"] == found.id
    return found


def test_the_whole_way_of_a_record_with_a_photo(
    world: World, ngo: Agency, embassy: Agency, login: Any, tmp_path: Path
) -> None:
    sender, receiver = login(ngo), login(embassy)
    given = world.sign_consent(world.draft_consent(ngo, embassy, fields=tuple(sorted((*FOUND, "photo")))))
    done = sender.call("POST", "/v1/consents", json={"consent": given.body})
    assert (done.status_code, done.json["digest"]) == (201, given.digest)
    assert entry_of(world, done).act == "consent:register"
    assert receiver.call("GET", f"/v1/consents/{given.consent.cid}").json["status"] == "active"
    listed = receiver.call("GET", "/v1/consents", query="?limit=5").json
    assert ([item["cid"] for item in listed["items"]], listed["next"]) == ([given.consent.cid], None)

    (tmp_path / "photo").write_bytes(os.urandom(90_000))
    draft = world.draft(ngo, attachments={"photo": tmp_path / "photo"})
    recipient = world.recipient(ngo, embassy, given, fields=(*FOUND, "photo"))
    sealed = world.seal(ngo, [recipient], draft, spool=tmp_path)
    ((digest, path),) = sealed.attachments.items()
    put = sender.call("PUT", f"/v1/parts/{digest}", data=path.read_bytes())
    assert (put.status_code, put.json["bytes"]) == (201, path.stat().st_size)
    sent = sender.call("POST", "/v1/envelopes", json=body_of(sealed))
    assert sent.status_code == 201, sent.json
    assert entry_of(world, sent).act == "envelope:deposit"
    again = sender.call("POST", "/v1/envelopes", json=body_of(sealed))
    assert (again.status_code, again.json) == (200, sent.json)

    inbox = receiver.call("GET", "/v1/inbox")
    (item,) = inbox.json["items"]
    assert (item["state"], inbox.headers["Retry-After"]) == ("waiting", "30")
    same = receiver.call("GET", "/v1/inbox", headers={"If-None-Match": inbox.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    assert "Homeward-Receipt" not in same.headers

    got = receiver.call("GET", f"/v1/grants/{item['gid']}")
    assert entry_of(world, got).act == "grant:fetch"
    small = {part["sha256"]: part["ct"] for part in got.json["parts"] if "ct" in part}
    (large,) = (part for part in got.json["parts"] if "ct" not in part)
    core, keys = (unb64u(got.json[name], field=name) for name in ("core", "sealed"))

    def part(ref: PartRef) -> bytes:
        return unb64u(small[ref.sha256], field="ct")

    assert set(open_grant(core, keys, embassy.enc, part)) == set(FOUND)
    photo = receiver.call("GET", f"/v1/grants/{item['gid']}/parts/{large['p']}")
    assert photo.data == path.read_bytes()
    assert photo.content_length == path.stat().st_size
    assert (photo.headers["ETag"], photo.headers["Accept-Ranges"]) == (f'"{digest}"', "bytes")
    logged = world.last()
    assert photo.headers["Homeward-Receipt"] == logged.id

    rest = {"Range": "bytes=50000-", "If-Range": photo.headers["ETag"]}
    more = receiver.call("GET", f"/v1/grants/{item['gid']}/parts/{large['p']}", headers=rest)
    assert (more.status_code, more.data) == (206, path.read_bytes()[50_000:])
    assert more.headers["Content-Range"] == f"bytes 50000-{len(photo.data) - 1}/{len(photo.data)}"
    # A fetch of its own in the log, with what the whole one says.
    again = world.last()
    assert more.headers["Homeward-Receipt"] == again.id != logged.id
    assert (again.act, again.out, again.fld, again.pur) == ("part:fetch", "allow", logged.fld, logged.pur)
    beyond = receiver.call(
        "GET", f"/v1/grants/{item['gid']}/parts/{large['p']}", headers={"Range": f"bytes={len(photo.data)}-"}
    )
    assert (beyond.status_code, beyond.json["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert beyond.headers["Content-Range"] == f"bytes */{len(photo.data)}"
    refused = entry_of(world, beyond)
    assert (refused.act, refused.out, refused.rsn) == ("part:fetch", "deny", "RANGE_NOT_SATISFIABLE")

    receipt = {"receipt": world.sign_receipt(sealed, embassy).to_json()}
    assert receiver.call("POST", f"/v1/grants/{item['gid']}/receipt", json=receipt).status_code == 200
    shown = {item["rcp"]: item for item in sender.call("GET", "/v1/outbox").json["items"]}
    assert shown[embassy.id]["receipt"] == receipt["receipt"]
    heads = sender.call("GET", "/v1/outbox/heads", query=f"?rcp={embassy.id},{ngo.id}").json["heads"]
    assert heads[embassy.id] == {"seq": 1, "digest": grant_of(sealed, embassy).digest}

    body = {"withdrawal": world.sign_withdrawal(given).to_json()}
    ended = sender.call("POST", f"/v1/consents/{given.consent.cid}/withdrawal", json=body)
    assert (ended.status_code, ended.json["delivered"], ended.json["undelivered"]) == (200, 1, 0)
    dead = receiver.call("GET", f"/v1/grants/{item['gid']}")
    assert (dead.status_code, dead.json["code"]) == (410, "CONSENT_WITHDRAWN")
    assert dead.json["tombstone"]["withdrawal"] == body["withdrawal"]
    assert entry_of(world, dead).out == "deny"
    for wanted in ({}, rest, {"Range": "bytes=9999999-"}):
        gone = receiver.call("GET", f"/v1/grants/{item['gid']}/parts/{large['p']}", headers=wanted)
        assert (gone.status_code, gone.json["code"]) == (410, "CONSENT_WITHDRAWN")


def test_a_conflict_names_the_head(world: World, ngo: Agency, embassy: Agency, login: Any) -> None:
    sender = login(ngo)
    given = world.consent(ngo, embassy)
    last = world.send(ngo, given)
    ngo.heads.clear()
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    answer = sender.call("POST", "/v1/envelopes", json=body_of(sealed))
    assert (answer.status_code, answer.json["code"]) == (409, "SEQ_CONFLICT")
    assert answer.json["head"][embassy.id]["digest"] == grant_of(last, embassy).digest
    assert set(answer.json["head"]) == {embassy.id, ngo.id}
    assert entry_of(world, answer).rsn == "SEQ_CONFLICT"


def test_what_is_not_the_callers_is_not_there(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, login: Any
) -> None:
    given = world.consent(ngo, embassy)
    item = grant_of(world.send(ngo, given), embassy)
    entry = world.last().id
    other = login(commission)
    p = core_of(item.core).parts[0].p
    paths = (
        (f"/v1/consents/{given.consent.cid}", f"/v1/consents/{'A' * 22}"),
        (f"/v1/grants/{item.gid}", f"/v1/grants/{'A' * 22}"),
        (f"/v1/grants/{item.gid}/parts/{p}", f"/v1/grants/{'A' * 22}/parts/{'A' * 22}"),
        (f"/v1/audit/receipts/{entry}", f"/v1/audit/receipts/{'A' * 22}"),
    )
    for theirs, nobodys in paths:
        answers = [other.call("GET", path) for path in (theirs, nobodys)]
        assert [answer.status_code for answer in answers] == [404, 404]
        one, two = ({k: v for k, v in answer.json.items() if k != "receipt"} for answer in answers)
        assert one == two
        for answer in answers:
            assert entry_of(world, answer).out == "deny"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/consents", {}),
        ("POST", "/v1/consents", {"consent": {"payload": "AA", "signatures": []}}),
        ("POST", "/v1/envelopes", {"manifest": {}, "grants": [], "parts": []}),
        ("POST", "/v1/envelopes", {"manifest": {}, "grants": [], "parts": [], "more": 1}),
        ("POST", f"/v1/grants/{'A' * 22}/receipt", {"receipt": "text"}),
        ("POST", f"/v1/consents/{'A' * 22}/withdrawal", {"withdrawal": None}),
        ("GET", "/v1/grants/short", None),
        ("GET", "/v1/consents/no-id-at-all", None),
        ("PUT", "/v1/parts/short", None),
        ("GET", "/v1/audit/receipts/short", None),
        ("GET", "/v1/audit/log/tile/0/1", None),
        ("GET", "/v1/audit/log/tile/0/x000/001", None),
    ],
)
def test_what_is_not_well_formed_is_refused_and_logged(
    world: World, ngo: Agency, login: Any, method: str, path: str, body: Any
) -> None:
    sent = {"json": body} if body is not None else {"data": b"x"} if method == "PUT" else {}
    answer = login(ngo).call(method, path, **sent)
    assert (answer.status_code, answer.json["code"]) == (422, "MALFORMED")
    entry = entry_of(world, answer)
    assert (entry.out, entry.rsn, entry.org) == ("deny", "MALFORMED", ngo.id)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?limit=x", "?cursor=", "?cursor=AA", "?more=1"])
@pytest.mark.parametrize("path", ["/v1/inbox", "/v1/outbox", "/v1/consents"])
def test_a_query_that_is_not_well_formed_is_refused(ngo: Agency, login: Any, path: str, query: str) -> None:
    assert login(ngo).call("GET", path, query=query).status_code == 422


@pytest.mark.parametrize("query", ["", "?rcp=", "?rcp=a", "?rcp=ngo-a,", "?rcp=" + ",".join(["ngo-a"] * 66)])
def test_heads_are_asked_for_by_name(ngo: Agency, login: Any, query: str) -> None:
    assert login(ngo).call("GET", "/v1/outbox/heads", query=query).status_code == 422


def test_an_envelope_over_the_limit_is_not_read(world: World, ngo: Agency, login: Any) -> None:
    answer = login(ngo).call("POST", "/v1/envelopes", data=b"{" + bytes(4 * 1024 * 1024))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/consents", "consents:write"),
        ("POST", "/v1/consents", "consents:read"),
        ("GET", "/v1/inbox", "envelopes:send"),
        ("GET", "/v1/outbox", "envelopes:receive"),
        ("POST", "/v1/envelopes", "envelopes:receive"),
        ("GET", f"/v1/grants/{'A' * 22}", "envelopes:send"),
        ("POST", "/v1/audit/pulls", "directory:read"),
        ("GET", "/v1/audit/log/tile/entries/000.p/1", "directory:read"),
    ],
)
def test_each_operation_needs_its_scope(ngo: Agency, login: Any, method: str, path: str, scope: str) -> None:
    member = login(ngo).login(scope=scope)
    answer = member.call(method, path)
    assert (answer.status_code, answer.json["code"]) == (403, "FORBIDDEN")


def test_auditors_pull_over_http(world: World, client: FlaskClient, login: Any) -> None:
    auditor = login(world.admit(f"auditor-{b64u(os.urandom(4)).lower().replace('_', '0')}x", kind="auditor"))
    assert client.get("/v1/audit/log/checkpoint").mimetype == "text/plain"
    pull = auditor.call("POST", "/v1/audit/pulls", json={"from": 0})
    assert pull.status_code == 201
    size = pull.json["size"]
    width = size % 256
    n = size // 256
    tail = f"{n:03}.p/{width}"
    for kind in ("0", "entries"):
        answer = auditor.call("GET", f"/v1/audit/log/tile/{kind}/{tail}")
        assert (answer.status_code, answer.mimetype) == (200, "application/octet-stream")
        assert "Homeward-Receipt" not in answer.headers
    assert auditor.call("POST", "/v1/audit/pulls", json={"from": -1}).status_code == 422
    assert auditor.call("POST", "/v1/audit/pulls", json={"from": size + 100}).status_code == 422


def test_a_dry_run_tells_what_would_go(world: World, ngo: Agency, embassy: Agency, login: Any) -> None:
    given = world.consent(ngo, embassy)
    asked = {
        "consent": given.consent.cid,
        "kind": "found_notice",
        "purpose": "trace",
        "names": ["photo", "sex"],
    }
    done = login(embassy).call("POST", "/v1/consents/check", json=asked)
    assert done.status_code == 200
    assert (done.json["given"], done.json["decision"]) == (["sex"], "deny")
    assert done.json["withheld"][0]["field"] == "photo"
    assert entry_of(world, done).act == "consent:check"
    sender = login(ngo)
    for wrong in ({"kind": "gossip"}, {"names": []}, {"names": ["religion"]}, {"purpose": "x"}, {"more": 1}):
        refused = sender.call("POST", "/v1/consents/check", json=asked | wrong)
        assert refused.status_code == 422
        assert "religion" not in refused.get_data(as_text=True)


def test_an_empty_body_is_no_part(login: Any, ngo: Agency) -> None:
    empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    answer = login(ngo).call("PUT", f"/v1/parts/{empty}", data=b"")
    assert (answer.status_code, answer.json["code"], answer.json["field"]) == (422, "MALFORMED", "body")
