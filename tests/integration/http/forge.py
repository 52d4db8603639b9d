"""Making tokens that no honest program makes: any header and claims, signed or not."""

import hashlib
import hmac
import json
import os
from typing import Any

from werkzeug.test import TestResponse

from exchange_keys.jose import AuthKey, thumbprint
from exchange_schemas.codec import b64u
from tests.integration.http.conftest import BASE_URL, Member


def dumps(value: Any) -> bytes:
    """JSON as Python writes it: NaN and all."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forge(key: AuthKey | bytes | None, header: Any, claims: Any) -> str:
    """A compact JWS: signed by a key, by HMAC with bytes, or with nothing (None)."""
    signing_input = f"{b64u(dumps(header))}.{b64u(dumps(claims))}"
    message = signing_input.encode()
    if key is None:
        signature = b""
    elif isinstance(key, bytes):
        signature = hmac.digest(key, message, hashlib.sha256)
    else:
        signature = key.sign(message)
    return f"{signing_input}.{b64u(signature)}"


def deep(levels: int) -> bytes:
    """A JSON object that nests this deep."""
    return b'{"a":' * levels + b"1" + b"}" * levels


def refused(answer: TestResponse, error: str | None) -> None:
    """A 401 that says no more than it should, and no entry but the minute's counter."""
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    shown = 'DPoP algs="ES256 PS256"' if error is None else f'DPoP error="{error}", algs="ES256 PS256"'
    assert answer.headers["WWW-Authenticate"] == shown
    assert answer.json["code"] == "UNAUTHORIZED"
    assert answer.json.keys() == {"type", "title", "status", "detail", "code"}


def claims(member: Member, **changes: Any) -> dict[str, Any]:
    """The claims of a good access token."""
    now = int(member.now().timestamp())
    made = {"iss": BASE_URL, "aud": BASE_URL, "sub": member.agency, "client_id": member.agency, "kind": "ngo"}
    made |= {"iat": now, "exp": now + 300, "jti": b64u(os.urandom(16)), "scope": "directory:read"}
    made |= {"cnf": {"jkt": thumbprint(member.dpop.public)}}
    return {name: value for name, value in (made | changes).items() if value is not None}


def with_token(member: Member, token: str) -> TestResponse:
    member.token = token
    return member.call("GET")


def signed(member: Member, claims: Any, **header: Any) -> TestResponse:
    """A call with a token that one of the hub's own keys has signed."""
    key = member.hub.keys.published()[0]
    head = {"alg": "ES256", "typ": "at+jwt", "kid": key.public.kid} | header
    return with_token(member, forge(key, {n: v for n, v in head.items() if v != "absent"}, claims))
