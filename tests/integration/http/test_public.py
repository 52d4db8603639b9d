"""What anybody may read: metadata, keys, health, the interface description, the pages of the codes."""

import re
from html import escape
from typing import Any

import pytest
from sqlalchemy import text

from exchange.hub.api.problem import problems
from exchange.words import LANGUAGES, gettext, in_language
from tests.integration.http.conftest import BASE_URL, Exchange


def test_the_metadata_is_the_same_at_both_addresses(exchange: Exchange) -> None:
    first = exchange.client.get("/.well-known/oauth-authorization-server")
    second = exchange.client.get("/.well-known/openid-configuration")
    assert first.data == second.data
    body = first.json
    assert body["issuer"] == BASE_URL
    assert body["token_endpoint"] == f"{BASE_URL}/oauth/token"
    assert body["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert body["dpop_signing_alg_values_supported"] == ["ES256", "PS256"]
    assert "max-age" in first.headers["Cache-Control"]


def test_the_key_set_has_the_next_key_and_nothing_private(exchange: Exchange) -> None:
    answer = exchange.client.get("/oauth/jwks.json")
    kids = [key["kid"] for key in answer.json["keys"]]
    assert kids == [key.public.kid for key in exchange.hub.keys.published()]
    assert len(kids) == 2
    for key in answer.json["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_healthz_asks_no_database(exchange: Exchange, monkeypatch: Any) -> None:
    monkeypatch.setattr(type(exchange.hub.engine), "connect", None)
    assert exchange.client.get("/healthz").json == {"status": "alive"}


def test_readyz_says_why_not(exchange: Exchange) -> None:
    assert exchange.client.get("/readyz").json == {"status": "ready"}
    with exchange.hub.engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = exchange.client.get("/readyz")
    assert (answer.status_code, answer.json["code"], answer.json["rule"]) == (503, "UNAVAILABLE", "S1-schema")


def test_every_code_has_its_page(exchange: Exchange) -> None:
    index = exchange.client.get("/problems").text
    for code, problem in problems().items():
        page = exchange.client.get(f"/problems/{code.lower()}")
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert problem.title in page.text
        assert f"/problems/{code.lower()}" in index


def test_a_code_is_explained_in_json_to_a_client_that_prefers_it(exchange: Exchange) -> None:
    known = problems()["CONSENT_WITHDRAWN"]
    answer = exchange.client.get("/problems/consent_withdrawn", headers={"Accept": "application/json"})
    assert answer.json == {
        "code": known.code,
        "status": known.status,
        "title": known.title,
        "happened": known.happened,
        "todo": known.todo,
    }
    listed = exchange.client.get("/problems", headers={"Accept": "application/json"}).json
    assert [one["code"] for one in listed["problems"]] == list(problems())
    assert answer.headers["Vary"] == "Accept, Accept-Language"


@pytest.mark.parametrize("accept", [None, "*/*", "text/html, application/json;q=0.5", "image/png"])
def test_everybody_else_gets_the_page_of_a_code(exchange: Exchange, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    assert exchange.client.get("/problems/forbidden", headers=headers).mimetype == "text/html"


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA, en;q=0.8", "fr"),
        ("en;q=0.2, ru;q=0.9, ar;q=0.4", "ru"),
        ("de, ar;q=0.3", "ar"),
        ("de, pl;q=0.3", "en"),
        ("ru;q=0, fr;q=0.1", "fr"),
        ("*", "en"),
        ("x" * 4000, "en"),
        ("fr;q=nonsense, \x7f;;,", "en"),
    ],
)
def test_a_page_is_in_the_language_that_the_reader_likes_best(
    exchange: Exchange, asked: str | None, language: str
) -> None:
    headers = {} if asked is None else {"Accept-Language": asked}
    for path in ("/problems", "/problems/consent_withdrawn"):
        page = exchange.client.get(path, headers=headers)
        assert page.status_code == 200
        assert page.headers["Content-Language"] == language
        assert page.headers["Vary"] == "Accept, Accept-Language"
        assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in page.text
        with in_language(LANGUAGES[language]):
            assert escape(gettext("Consent withdrawn")) in page.text


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_no_page_has_an_english_sentence_in_another_language(exchange: Exchange, code: str) -> None:
    for one in problems().values():
        page = exchange.client.get(f"/problems/{one.code.lower()}?lang={code}").text
        english = (one.title, one.happened, one.todo, "What happened", "What to do", "Every error code")
        assert [text for text in english if f">{escape(text)}<" in page] == []
        assert f'<code dir="ltr">{one.code}</code>' in page


def test_a_language_asked_for_by_name_wins_and_is_kept_in_links(exchange: Exchange) -> None:
    page = exchange.client.get("/problems?lang=ar", headers={"Accept-Language": "fr"})
    assert page.headers["Content-Language"] == "ar"
    assert 'href="/problems/forbidden?lang=ar"' in page.text
    assert 'href="/problems?lang=ar"' in exchange.client.get("/problems/forbidden?lang=ar").text
    assert '<a href="?lang=ru" hreflang="ru" lang="ru" dir="ltr">русский</a>' in page.text
    assert exchange.client.get("/problems?lang=xx").status_code == 422


@pytest.mark.parametrize("language", ["fr", "ar", "ru"])
def test_what_programs_read_is_english_whatever_the_reader_speaks(exchange: Exchange, language: str) -> None:
    headers = {"Accept": "application/json", "Accept-Language": language}
    explained = exchange.client.get(f"/problems/forbidden?lang={language}", headers=headers)
    assert explained.json["title"] == problems()["FORBIDDEN"].title
    assert explained.headers["Content-Language"] == "en"
    plain = exchange.client.get("/v1/inbox").json
    assert exchange.client.get("/v1/inbox", headers={"Accept-Language": language}).json == plain
    assert plain["title"] == problems()["UNAUTHORIZED"].title


@pytest.mark.parametrize("code", ["MALFORMED", "nope", "<script>", "a" * 5000])
def test_another_code_has_none(exchange: Exchange, code: str) -> None:
    assert exchange.client.get(f"/problems/{code}").status_code == 404


def test_the_interface_description_names_this_hub(exchange: Exchange) -> None:
    body = exchange.client.get("/openapi.json").json
    assert body["openapi"] == "3.1.0"
    assert body["servers"][0]["url"] == BASE_URL


def test_the_reference_may_load_what_the_hub_ships_and_nothing_else(exchange: Exchange) -> None:
    page = exchange.client.get("/reference")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    (policy,) = page.headers.getlist("Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["connect-src"]) == ("'self'", "'self'")
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert loaded
    assert all(exchange.client.get(path).status_code == 200 for path in loaded), loaded
    assert "<script>" not in page.text


def test_the_script_of_the_reference_comes_with_its_licences(exchange: Exchange) -> None:
    script = exchange.client.get("/reference/redoc.js")
    assert (script.status_code, script.mimetype) == (200, "text/javascript")
    assert "MIT License" in exchange.client.get("/reference/licence.txt").text


@pytest.mark.parametrize("path", ["/openapi.json", "/healthz", "/problems", "/nope"])
def test_no_other_answer_may_load_anything(exchange: Exchange, path: str) -> None:
    (policy,) = exchange.client.get(path).headers.getlist("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; base-uri 'none'")


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/oauth/jwks.json", "/.well-known/oauth-authorization-server", "/reference"]
)
def test_what_is_the_same_for_everybody_is_sent_once(exchange: Exchange, path: str) -> None:
    first = exchange.client.get(path)
    again = exchange.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert exchange.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_public_answers_are_not_logged(exchange: Exchange) -> None:
    for path in ("/healthz", "/readyz", "/oauth/jwks.json", "/openapi.json", "/problems", "/nope"):
        exchange.client.get(path)
    assert exchange.entries() == []
