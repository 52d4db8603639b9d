"""Access tokens: who may have one, what it says, how it is read, and how it stops being good.

A token is an RFC 9068 JWT signed by the hub, bound to a key (RFC 9449), of 300 seconds at most. It is given
and revoked through `release`, so each is in the audit log. Nothing of HTTP or Authlib is here, and nothing
here may believe a token that another hub, or this one for another purpose, has signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from exchange.hub.services.directory import asking_client, client_in
from exchange.hub.services.release import Answer, Caller, Proof, Released, Trace, release
from exchange.hub.services.replays import revoke_token
from exchange_keys.jose import ACCESS_TOKEN_TYPE, sign_compact, verify_access_token
from exchange_schemas.entry import Act
from exchange_schemas.errors import Forbidden, NotFound, Unauthorized
from exchange_schemas.ids import Kid, new_id

if TYPE_CHECKING:
    from datetime import datetime

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_keys.jose import AccessToken, ClientAssertion
    from exchange_keys.public import PublicKey
    from exchange_schemas.codec import JsonValue

SIGNING_ALGORITHMS: Final = ("ES256", "PS256")
INVALID_TOKEN: Final = "invalid_token"
INVALID_PROOF: Final = "invalid_dpop_proof"
USE_NONCE: Final = "use_dpop_nonce"

SCOPES: Final[Mapping[str, str]] = {
    "directory:read": "Read the key directory",
    "directory:write": "Add events about the agency's own keys",
    "consents:read": "Read consents that the agency issued or received",
    "consents:write": "Register and withdraw the agency's own consents",
    "envelopes:send": "Upload parts, deposit envelopes, read the outbox",
    "envelopes:receive": "Read the inbox, fetch grants, answer with receipts",
    "audit:read": "Pull the audit log",
}
_AUDITOR: Final = frozenset({"directory:read", "audit:read"})
_MEMBER: Final = frozenset(SCOPES) - {"audit:read"}


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows to prove who calls: exactly as it came, before anything is believed.

    `path` is the path without the query; each header is None when absent.
    """

    method: str
    path: str
    authorization: str | None
    proof: str | None


class Refused(Unauthorized):
    """A token or proof was refused; `error` is None when none was shown (RFC 6750, section 3.1).

    `strange`: what was shown as a token is none that this hub has signed.
    """

    def __init__(
        self, message: str, *, error: str | None, nonce: str | None = None, strange: bool = False
    ) -> None:
        super().__init__(message)
        self.error = error
        self.nonce = nonce
        self.strange = strange


class ClientRefused(Unauthorized):
    """The client proved a key that may not be used, or an agency that takes no part at present."""


class ScopeRefused(Forbidden):
    """A scope was asked for that this kind of agency may not have."""


def challenge(error: str | None) -> str:
    """The value of WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1)."""
    algorithms = " ".join(SIGNING_ALGORITHMS)
    return f'DPoP algs="{algorithms}"' if error is None else f'DPoP error="{error}", algs="{algorithms}"'


def scopes_of(kind: str) -> frozenset[str]:
    """What an agency of this kind may do: auditors read, everybody else does not read the audit log."""
    return _AUDITOR if kind == "auditor" else _MEMBER


def granted(kind: str, asked: str | None) -> frozenset[str]:
    """The scopes to grant: exactly those asked for, all of the kind's when none is named.

    Raises: ScopeRefused when one is unknown, not for this kind, named twice, or the list is malformed
    (RFC 6749, section 3.3). Nothing is narrowed silently.
    """
    allowed = scopes_of(kind)
    if asked is None:
        return allowed
    names = asked.split(" ")
    if len(set(names)) != len(names) or not allowed.issuperset(names):
        raise ScopeRefused("a scope is unknown or not for this kind of agency", field="scope")
    return frozenset(names)


# -- issuing and revoking ------------------------------------------------------------------------------


def issue(hub: Hub, client: ClientAssertion, scope: str | None, proof: Proof, jkt: str) -> Released:
    """An access token bound to the key `jkt`, once agency and key are seen to be in force; logged.

    Raises: ClientRefused, ScopeRefused (each a logged denial); Unauthorized for a used proof or assertion.
    """
    settings = hub.settings

    def work(unit: Unit) -> Answer:
        kind = _kind_in_force(unit)
        scopes = " ".join(sorted(granted(kind, scope)))
        now = int(unit.now.timestamp())
        claims: dict[str, JsonValue] = {
            "iss": settings.base_url,
            "aud": settings.base_url,
            "sub": client.client_id,
            "client_id": client.client_id,
            "iat": now,
            "exp": now + settings.token_lifetime_s,
            "jti": new_id(hub.random),
            "scope": scopes,
            "cnf": {"jkt": jkt},
            "kind": kind,
        }
        return Answer(claims, trace)

    key, trace = hub.keys.token_key(hub.clock()), Trace(act=Act.TOKEN_ISSUE)
    asks = asking_client(client.client_id, client.kid)
    issued = release(hub, _caller(client, proof), trace, work, asks=asks, reads=True)
    # Only now: nobody waits for a signature who waits for a turn at the database.
    token = sign_compact(key, {"kid": key.public.kid, "typ": ACCESS_TOKEN_TYPE}, issued.body)
    body: dict[str, JsonValue] = {
        "access_token": token,
        "token_type": "DPoP",
        "expires_in": settings.token_lifetime_s,
        "scope": issued.body["scope"],
    }
    return replace(issued, body=body)


def revoke(hub: Hub, client: ClientAssertion, token: str, proof: Proof) -> Released:
    """Refuse the client's token from now on, in every worker; logged also when there is nothing to revoke.

    A token that is none, has expired, or is another agency's gets the same answer and stays as it is
    (RFC 7009, section 2.2). Raises: ClientRefused; Unauthorized for a used assertion.
    """

    def work(unit: Unit) -> Answer:
        _kind_in_force(unit)
        try:
            found = read_token(hub, token, unit.now)
        except Unauthorized:
            found = None
        if found is not None and found.client_id == client.client_id:
            revoke_token(unit.conn, found.jti, expires=found.expires)
        return Answer({}, trace)

    trace = Trace(act=Act.TOKEN_REVOKE)
    asks = asking_client(client.client_id, client.kid)
    return release(hub, _caller(client, proof), trace, work, asks=asks)


def _caller(client: ClientAssertion, proof: Proof) -> Caller:
    return Caller(client.client_id, "", frozenset(), proof, None, "")


def _kind_in_force(unit: Unit) -> str:
    """The agency's kind, read in this transaction: no cache decides who gets a token."""
    try:
        agency, key = client_in(unit.asked, unit.now)
    except NotFound:
        raise ClientRefused("the agency is not a member") from None
    if agency.status != "active":
        raise ClientRefused("the agency takes no part at present")
    if key is None:
        raise ClientRefused("the client key is not in force")
    return agency.kind


# -- reading -------------------------------------------------------------------------------------------


def read_token(hub: Hub, compact: str, now: datetime) -> AccessToken:
    """Verify an access token of this hub under its published keys.

    Whether it was revoked is `release`'s question. Raises: Unauthorized.
    """
    base_url = hub.settings.base_url
    keys: dict[Kid, PublicKey] = {key.public.kid: key.public for key in hub.keys.published()}
    token = verify_access_token(compact, issuer=base_url, audience=base_url, key_for=keys.get, now=now)
    # What this hub signs always keeps these; a token that does not was not made here as it is.
    if not token.scopes <= scopes_of(kind_of(token)):
        raise Unauthorized("the access token was not accepted", rule="scope")
    return token


def kind_of(token: AccessToken) -> str:
    """The kind of agency that the token was given to. Raises: Unauthorized."""
    kind = token.claims.get("kind")
    if not isinstance(kind, str):
        raise Unauthorized("the access token was not accepted", rule="kind")
    return kind
