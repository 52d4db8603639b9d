"""DPoP proofs: made by a client for one request, verified by the hub.

A proof binds a request to a key; a bound token is worth nothing without it. Verification here is pure:
that a proof is used once is the caller's transaction, with `jti_hash` as the key. The expected address
comes from the configured origin and must never come from a Host header.
Source: RFC 9449.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from exchange_keys.auth_key import AuthKey, thumbprint
from exchange_keys.compact import decode_embedded, integer, refused, sign_compact, token_id
from exchange_keys.secret import same
from exchange_schemas.codec import Encodable, JsonValue, b64u, sha256
from exchange_schemas.errors import Malformed

TYP = "dpop+jwt"
# How far a proof's `iat` may lie from the hub's clock, on either side.
WINDOW_S = 120

_URI = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*)"
)
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
_MAX_URI_CHARS = 1024
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_METHOD = re.compile(r"[A-Z]{3,10}")
_NONCE = re.compile(r"[!-~]{1,256}")
_USR = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A verified proof.

    `jkt` is the key's thumbprint; `jti_hash` (32 bytes) must be stored until `expires` and be new;
    `compact` is the proof as it came, whose SHA-256 is the `req` of an audit entry; `usr` is the
    caseworker's pseudonym; `nonce` is for the caller to check where nonces are on.
    """

    jkt: str
    jti_hash: bytes
    iat: datetime
    expires: datetime
    compact: str
    usr: str | None
    nonce: str | None


def token_hash(access_token: str) -> str:
    """`ath`: base64url of the SHA-256 of an access token's ASCII text. Raises: Malformed."""
    if not access_token.isascii():
        raise Malformed("access token: only ASCII is allowed", field="access_token")
    return b64u(sha256(access_token.encode("ascii")))


def dpop_proof(
    key: AuthKey,
    *,
    htm: str,
    htu: str,
    now: datetime,
    jti: str,
    ath: str | None = None,
    nonce: str | None = None,
    usr: str | None = None,
) -> str:
    """A proof for one request: method, address without query and fragment, a fresh random `jti`.

    `ath` is `token_hash` of the access token and needed wherever one is sent.
    Raises: Malformed (an address that the hub would refuse).
    """
    normal_uri(htu)
    claims: dict[str, Encodable] = {"htm": htm, "htu": htu, "iat": int(now.timestamp()), "jti": jti}
    claims |= {n: v for n, v in (("ath", ath), ("nonce", nonce), ("usr", usr)) if v is not None}
    return sign_compact(key, {"typ": TYP, "jwk": key.jwk()}, claims)


def verify_dpop(
    proof: str,
    *,
    htm: str,
    htu: str,
    now: datetime,
    access_token: str | None = None,
    jkt: str | None = None,
) -> DpopProof:
    """Verify a proof for this request, key and token.

    `htu` is the configured origin with the request's path. With `access_token`, `ath` must be its hash;
    with `jkt` (the token's `cnf.jkt`), the proof must be made by that key.
    Steps: (1) shape, type, algorithm, public key, signature (2) method and address (3) time (4) jti
    (5) token hash (6) bound key (7) our own claims.

    Raises: Unauthorized with a `rule` for logs; Malformed when `htu` itself is no address.
    """
    expected = normal_uri(htu)
    # (1) Everything about the proof as such.
    claims, public = decode_embedded(proof, typ=TYP)
    # (2) Method and address.
    if claims.get("htm") != htm or _METHOD.fullmatch(htm) is None:
        raise refused("htm")
    # Most say it exactly so, which needs no second reading.
    if claims.get("htu") != expected and _claimed_uri(claims) != expected:
        raise refused("htu")
    # (3) Time, by the hub's clock.
    issued = _issued(claims, now)
    # (4) A jti of its own.
    jti = token_id(claims)
    # (5) The token it is sent with.
    if access_token is not None:
        _check_token_hash(claims, access_token)
    # (6) The key that the token is bound to.
    own = thumbprint(public)
    if jkt is not None and not same(own.encode("ascii"), jkt.encode("utf-8")):
        raise refused("jkt")
    # (7) What the SDK adds.
    nonce = _optional(claims, "nonce", _NONCE)
    usr = _optional(claims, "usr", _USR)
    expires = issued + timedelta(seconds=WINDOW_S + 1)
    return DpopProof(own, sha256(f"{own}{jti}".encode("ascii")), issued, expires, proof, usr, nonce)


@lru_cache(maxsize=1024)
def normal_uri(uri: str) -> str:
    """An http(s) address in its one normal form: lower-case scheme and host, no default port, a path.

    Refused: query, fragment, user info, escapes, dot segments, a bad port, anything but ASCII.
    Raises: Malformed.
    """
    lowered = _AUTHORITY.sub(lambda found: found[0].lower(), uri[: _MAX_URI_CHARS + 1], count=1)
    match = _URI.fullmatch(lowered)
    if match is None or len(uri) > _MAX_URI_CHARS:
        raise Malformed("htu: not an address that can be proved", field="htu")
    scheme, host, port, path = match.group("scheme", "host", "port", "path")
    if (port is not None and int(port) > 65535) or {".", ".."} & set(path.split("/")):
        raise Malformed("htu: a bad port or dot segments", field="htu")
    authority = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{authority}{path or '/'}"


def _claimed_uri(claims: dict[str, JsonValue]) -> str:
    uri = claims.get("htu")
    if not isinstance(uri, str):
        raise refused("htu")
    try:
        return normal_uri(uri)
    except Malformed:
        raise refused("htu") from None


def _issued(claims: dict[str, JsonValue], now: datetime) -> datetime:
    issued, today = integer(claims, "iat"), int(now.timestamp())
    if abs(today - issued) > WINDOW_S:
        raise refused("iat")
    if "exp" in claims and integer(claims, "exp") <= today:
        raise refused("exp")
    return datetime.fromtimestamp(issued, UTC)


def _check_token_hash(claims: dict[str, JsonValue], access_token: str) -> None:
    ath = claims.get("ath")
    if not isinstance(ath, str) or not access_token.isascii():
        raise refused("ath")
    if not same(ath.encode("utf-8"), token_hash(access_token).encode("ascii")):
        raise refused("ath")


def _optional(claims: dict[str, JsonValue], name: str, pattern: re.Pattern[str]) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise refused(name)
    return value
