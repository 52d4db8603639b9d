"""What the claims of an OAuth client assertion and of an access token must say.

Pure checks over `compact.py`: issuer, audience, times, ids. One-time use, scopes, revocation and whether
a client is active are the hub's questions. An access token is accepted only when it is bound to a key, so
a stolen one is worth nothing as a bearer token.
Sources: RFC 7523 section 3, FAPI 2.0 section 5.3.2.1, RFC 9068 sections 2 and 4, RFC 9449 section 6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from exchange_keys.auth_key import AuthKey
from exchange_keys.compact import (
    decode_compact,
    integer,
    parse_compact,
    refused,
    sign_compact,
    token_id,
)
from exchange_keys.public import PublicKey
from exchange_schemas.codec import JsonValue, lp, sha256
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import AgencyId, Kid, check_agency, check_digest
from exchange_schemas.limits import LIMITS

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""What a form says beside an assertion (RFC 7523, section 2.2)."""
ASSERTION_TYPES = ("JWT", "client-authentication+jwt", None)
ACCESS_TOKEN_TYPE = "at+jwt"
ASSERTION_LIFE_S = 600
ACCESS_TOKEN_LIFE_S = 300
# Clocks of clients may differ from the hub's as everybody's do; those of the hub's own machines hardly.
OWN_LEEWAY_S = 10
_LEEWAY_S = int(LIMITS.clock_leeway.total_seconds())

_SCOPE = re.compile(r"[a-z]+:[a-z]+(?: [a-z]+:[a-z]+){0,31}")


@dataclass(frozen=True, slots=True)
class ClientAssertion:
    """A verified client assertion; `jti_hash` (32 bytes) must be stored until `expires` and be new."""

    client_id: AgencyId
    kid: Kid
    jti_hash: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A verified access token: whose it is, what it allows, and the thumbprint of the key it is bound to."""

    client_id: AgencyId
    scopes: frozenset[str]
    jkt: str
    jti: str
    iat: datetime
    expires: datetime
    claims: Mapping[str, JsonValue]


def client_assertion(
    key: AuthKey, *, client_id: str, audience: str, now: datetime, jti: str, life_s: int = 60
) -> str:
    """A private_key_jwt assertion; `audience` is the issuer, `jti` is fresh and random."""
    issued = int(now.timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": jti}
    header = {"typ": "client-authentication+jwt", "kid": key.public.kid}
    return sign_compact(key, header, {**claims, "iat": issued, "exp": issued + life_s})


def verify_client_assertion(
    assertion: str,
    *,
    audience: str,
    key_for: Callable[[AgencyId, Kid], PublicKey | None],
    now: datetime,
    max_life_s: int = ASSERTION_LIFE_S,
) -> ClientAssertion:
    """Verify an assertion: `iss` = `sub` = a client whose key signed it, `aud` = the issuer as one string.

    `key_for` gives the active `auth` key of that client with that kid, or None.
    Raises: Unauthorized, with a `rule` for logs.
    """
    parsed = parse_compact(assertion, typ=ASSERTION_TYPES)
    # The claimed client is only used to find the key that must prove it.
    client_id, kid = _client(parsed.claims, "iss"), parsed.kid()
    parsed.verify(key_for(client_id, kid))
    claims = parsed.claims
    if claims.get("sub") != client_id:
        raise refused("sub")
    if claims.get("aud") != audience:
        raise refused("aud")
    expires, today = integer(claims, "exp"), int(now.timestamp())
    if not today - _LEEWAY_S < expires <= today + max_life_s + _LEEWAY_S:
        raise refused("exp")
    if "nbf" in claims and integer(claims, "nbf") > today + _LEEWAY_S:
        raise refused("nbf")
    if "iat" in claims and not expires - max_life_s <= integer(claims, "iat") <= today + _LEEWAY_S:
        raise refused("iat")
    jti_hash = sha256(lp(b"hx1/assertion", client_id.encode("ascii"), token_id(claims).encode("ascii")))
    return ClientAssertion(client_id, kid, jti_hash, _instant(expires + _LEEWAY_S + 1))


def verify_access_token(
    token: str,
    *,
    issuer: str,
    audience: str,
    key_for: Callable[[Kid], PublicKey | None],
    now: datetime,
) -> AccessToken:
    """Verify one of the hub's own access tokens: `at+jwt`, one audience, at most 300 s, bound to a key.

    The caller then verifies the DPoP proof with `jkt` and the token itself.
    Raises: Unauthorized, with a `rule` for logs.
    """
    _, claims = decode_compact(token, typ=(ACCESS_TOKEN_TYPE,), key_for=key_for)
    if claims.get("iss") != issuer:
        raise refused("iss")
    if claims.get("aud") != audience:
        raise refused("aud")
    client_id = _client(claims, "client_id")
    if claims.get("sub") != client_id:
        raise refused("sub")
    issued, expires, today = integer(claims, "iat"), integer(claims, "exp"), int(now.timestamp())
    if not today < expires <= issued + ACCESS_TOKEN_LIFE_S:
        raise refused("exp")
    if issued > today + OWN_LEEWAY_S:
        raise refused("iat")
    return AccessToken(
        client_id,
        _scopes(claims),
        _bound_key(claims),
        token_id(claims),
        _instant(issued),
        _instant(expires),
        MappingProxyType(claims),
    )


def _client(claims: Mapping[str, JsonValue], name: str) -> AgencyId:
    try:
        return check_agency(claims.get(name), field=name)
    except Malformed:
        raise refused(name) from None


def _scopes(claims: Mapping[str, JsonValue]) -> frozenset[str]:
    scope = claims.get("scope")
    if not isinstance(scope, str) or _SCOPE.fullmatch(scope) is None:
        raise refused("scope")
    return frozenset(scope.split(" "))


def _bound_key(claims: Mapping[str, JsonValue]) -> str:
    cnf = claims.get("cnf")
    if not isinstance(cnf, dict) or set(cnf) != {"jkt"}:
        raise refused("cnf")
    try:
        return check_digest(cnf["jkt"], field="jkt")
    except Malformed:
        raise refused("cnf") from None


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
