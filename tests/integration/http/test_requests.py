"""Bodies, queries, methods, headers: what every operation refuses, and that such a denial is logged."""

import gzip
import io
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from exchange.hub.services import transact as transact_module
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import PROBE, Exchange, Member

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


def denied(exchange: Exchange, answer: TestResponse, status: int, code: str) -> None:
    """A problem with the receipt of its entry."""
    assert (answer.status_code, answer.json["code"], answer.json["status"]) == (status, code, status)
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == f"https://exchange.example/problems/{code.lower()}"
    last = exchange.entries()[-1]
    assert (last.out, last.rsn, last.org) == ("deny", code, "agency-a")
    assert answer.json["receipt"]["entry"] == b64u(last.to_bytes())
    assert answer.headers["Homeward-Receipt"] == last.id


def post(member: Member, body: bytes | str, **headers: str) -> TestResponse:
    sent = {"Content-Type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return member.call("POST", data=body, headers=sent)


def test_an_answer_has_its_receipt_and_the_security_headers(exchange: Exchange, member: Member) -> None:
    answer = member.call("GET")
    last = exchange.entries()[-1]
    assert answer.json["receipt"]["entry"] == b64u(last.to_bytes())
    assert answer.headers["Homeward-Receipt"] == last.id
    for response in (answer, exchange.client.get("/nope"), exchange.client.get(PROBE)):
        assert {name: response.headers.get(name) for name in SECURITY} == SECURITY
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in response.headers


BAD_JSON = [
    b"",
    b"{",
    b"[]",
    b"1",
    b'{"number":1}x',
    b'{"number":1,"number":2}',
    b'{"number":NaN}',
    b'{"number":1e3}',
    b'{"number":9007199254740992}',
    b'{"number":"\\ud800"}',
    b'{"number":1,"x":"\\u0000"}',
    b"\xef\xbb\xbf{}",
    b'{"number":1}\xff',
    b'{"a":' * 200 + b"1" + b"}" * 200,
]


@pytest.mark.parametrize("body", BAD_JSON)
def test_attack_13_14_json_that_is_not_strict(exchange: Exchange, member: Member, body: bytes) -> None:
    denied(exchange, post(member, body), 422, "MALFORMED")


@pytest.mark.parametrize(
    "number", ["true", '"3"', "1.9", "1.0", '"٣"', '"yes"', "null", "[]", "{}", '"urn:uuid:1"', "1e2"]
)
def test_attack_21_numbers_are_not_coerced(exchange: Exchange, member: Member, number: str) -> None:
    denied(exchange, post(member, f'{{"number":{number}}}'), 422, "MALFORMED")


def test_attack_19_unknown_members_are_refused_and_never_repeated(exchange: Exchange, member: Member) -> None:
    for body in ('{"number":1,"Maryam_7":1}', '{"number":1,"signed":{"Maryam_7":1}}', '{"Maryam_7":1}'):
        answer = post(member, body)
        denied(exchange, answer, 422, "MALFORMED")
        assert "Maryam" not in answer.text
    answer = post(member, '{"number":"Maryam_7"}')
    assert "Maryam" not in answer.text
    assert answer.json["field"] == "number"


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0",
        "?limit=501",
        "?limit=",
        "?limit=-1",
        "?limit=%D9%A3",
        "?limit=1.5",
        "?limit=+1",
        "?limit=01",
        "?limit=1&limit=2",
        "?other=1",
        "?cursor=",
        "?cursor=a%00",
        "?cursor=" + "a" * 200,
        "?limit=99999999999999999",
    ],
)
def test_attack_20_21_queries(exchange: Exchange, member: Member, query: str) -> None:
    denied(exchange, member.call("GET", query=query), 422, "MALFORMED")


def test_a_query_where_none_is_read_is_refused(exchange: Exchange, member: Member) -> None:
    denied(exchange, member.call("GET", f"{PROBE}/objects/x", query="?a=1"), 422, "MALFORMED")


def test_attack_22_compressed_bodies(exchange: Exchange, member: Member) -> None:
    body = gzip.compress(b'{"number":1}')
    for encoding in ("gzip", "br", "deflate", "identity", ""):
        answer = post(member, body, Content_Encoding=encoding)
        assert (answer.status_code, answer.json["code"]) == (415, "UNSUPPORTED_MEDIA")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json; charset=latin-1", "application/xml", ""]
)
def test_attack_22_other_media_types(exchange: Exchange, member: Member, media_type: str) -> None:
    denied(exchange, post(member, b'{"number":1}', Content_Type=media_type), 415, "UNSUPPORTED_MEDIA")


def test_attack_22_a_body_over_the_limit_is_refused_before_anybody_is_believed(exchange: Exchange) -> None:
    answer = exchange.client.post(PROBE, data=b"a" * 2049, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "TOO_LARGE")


def test_attack_22_no_more_is_read_than_was_declared(member: Member) -> None:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(b"a" * 5000), "CONTENT_LENGTH": "5"}
    path = f"{PROBE}/bytes"
    answer = member.client.put(path, headers=member.headers("PUT", path), environ_overrides=environ)
    assert (answer.status_code, answer.data) == (200, b"a" * 5)


def test_attack_22_a_body_of_undeclared_length_is_refused(member: Member) -> None:
    for path, method in ((f"{PROBE}/bytes", "PUT"), (PROBE, "POST"), (PROBE, "GET")):
        answer = member.call(method, path, headers={"Transfer-Encoding": "chunked"})
        assert (answer.status_code, answer.json["code"]) == (422, "MALFORMED")


def test_a_body_that_ends_early_is_a_logged_denial(exchange: Exchange, member: Member) -> None:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(b"abc"), "CONTENT_LENGTH": "900"}
    path = f"{PROBE}/bytes"
    answer = member.client.put(path, headers=member.headers("PUT", path), environ_overrides=environ)
    denied(exchange, answer, 422, "MALFORMED")


def test_a_body_where_none_is_read_is_refused(member: Member) -> None:
    answer = member.call("GET", data=b"x")
    assert (answer.status_code, answer.json["code"]) == (422, "MALFORMED")


def test_a_stream_is_answered_with_its_bytes_and_the_receipts_id(exchange: Exchange, member: Member) -> None:
    answer = member.call("PUT", f"{PROBE}/bytes", data=b"a" * 1000)
    assert (answer.status_code, answer.data) == (200, b"a" * 1000)
    assert answer.headers["Homeward-Receipt"] == exchange.entries()[-1].id


def test_methods_that_are_not_there_are_405_with_allow(exchange: Exchange, member: Member) -> None:
    for method in ("DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"):
        answer = exchange.client.open(PROBE, method=method)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}
        assert method == "HEAD" or answer.json["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("method", ["get", "Get", "pOST"])
def test_a_method_in_other_letters_is_another_method(member: Member, method: str) -> None:
    answer = member.call(method.upper(), environ_overrides={"REQUEST_METHOD": method})
    assert (answer.status_code, answer.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer.headers["Allow"].split(", ")) <= {"GET", "POST"}


@pytest.mark.parametrize(
    "path", [f"{PROBE}/", f"/{PROBE}", "/V1/probe", "/v1//probe", "/v1/x/../probe", "/v1/%00"]
)
def test_no_address_is_tidied_up_by_a_redirect(exchange: Exchange, path: str) -> None:
    answer = exchange.client.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, "NOT_FOUND")


def test_a_refusal_before_the_service_is_logged_and_one_for_being_busy_is_not(
    exchange: Exchange, member: Member
) -> None:
    full = member.call("GET", f"{PROBE}/full")
    assert (full.status_code, full.json["code"]) == (507, "STORAGE_FULL")
    assert exchange.acts()[-1] == ("part:upload", "error", "STORAGE_FULL")
    count = len(exchange.entries())
    assert member.call("GET", f"{PROBE}/busy").status_code == 503
    assert len(exchange.entries()) == count


def test_a_failure_of_the_hub_says_nothing(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    answer = exchange.client.get(f"{PROBE}/broken")
    assert (answer.status_code, answer.json["code"]) == (500, "INTERNAL")
    assert answer.json.keys() == {"type", "title", "status", "detail", "code"}
    assert "KeyError" in caplog.text
    assert "name of a child" not in caplog.text + answer.text


def test_a_view_that_did_not_go_through_release_gives_nothing(member: Member) -> None:
    answer = member.call("GET", f"{PROBE}/careless")
    assert (answer.status_code, answer.json["code"]) == (500, "INTERNAL")
    assert "name of a child" not in answer.text


def test_an_answer_without_entry_is_given_only_where_that_is_declared(member: Member) -> None:
    refused = member.call("GET", f"{PROBE}/unlogged")
    assert (refused.status_code, refused.json["code"]) == (503, "AUDIT_UNAVAILABLE")
    assert "name of a child" not in refused.text
    nothing = member.call("GET", f"{PROBE}/nothing")
    assert (nothing.status_code, nothing.data, nothing.headers["ETag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("table", ["log_entry", "log_disclosure", "replay"])
def test_a_log_that_cannot_be_written_is_503_and_no_payload(
    exchange: Exchange, member: Member, table: str
) -> None:
    with exchange.hub.engine.begin() as conn:
        conn.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    for answer in (member.call("GET"), member.call("POST", json={"wrong": 1}), member.ask_token()):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "seen" not in answer.text
        assert "access_token" not in answer.text


def test_a_busy_database_says_when_to_try_again(exchange: Exchange, member: Member, monkeypatch: Any) -> None:
    from exchange_schemas.errors import Unavailable

    def busy(*_args: object) -> None:
        raise Unavailable("the database is busy, try again", detail={"retry_after_s": 2})

    monkeypatch.setattr(transact_module, "append_entries", busy)
    answer = member.call("GET")
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
        503,
        "UNAVAILABLE",
        "2",
    )
