"""Access tokens: asked for with a signed client assertion, bound to a fresh DPoP key, kept until they expire.

The agency's OAuth key signs assertions and nothing else; the DPoP key lives as long as this object and
never touches the disk. Sources: RFC 7523 (private_key_jwt), RFC 9449 (DPoP), RFC 9068 (the token).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode

from exchange.member.problems import oauth_code, oauth_error
from exchange.member.skew import SUSPECT_SECONDS, check_skew
from exchange.net.wire import Answer, Call, Wire
from exchange_keys.jose import CLIENT_ASSERTION_TYPE, AuthKey, client_assertion, dpop_proof, token_hash
from exchange_schemas.codec import decode
from exchange_schemas.errors import HubRefused, Malformed
from exchange_schemas.ids import AgencyId, new_id

ASSERTION_SECONDS = 60
# A token is renewed this long before its end, so that none expires on its way.
MARGIN_SECONDS = 15
_TOKEN_BYTES = 64 * 1024
# Auditors read the directory and the log; every other kind of agency has all but the log's entries.
AUDITOR_SCOPES = ("directory:read", "audit:read")
MEMBER_SCOPES = (
    "directory:read",
    "directory:write",
    "consents:read",
    "consents:write",
    "envelopes:send",
    "envelopes:receive",
)


def scopes_of(kind: str) -> tuple[str, ...]:
    """What an agency of this kind asks for."""
    return AUDITOR_SCOPES if kind == "auditor" else MEMBER_SCOPES


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the agency, its newest OAuth key, and the pseudonym of the person at work."""

    agency: AgencyId
    scopes: tuple[str, ...]
    auth: AuthKey
    pseudonym: str


@dataclass(slots=True)
class Tokens:
    """Gives the headers of authenticated requests. `now` is aware UTC, `random` gives n bytes."""

    base_url: str
    caller: Caller
    wire: Wire
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    noted: Callable[[str], None]
    """Called with the entry id that the hub's log gave to a token."""
    newest_auth: Callable[[], AuthKey] | None = None
    """Gives the agency's newest OAuth key, asked for when the one in use is refused."""
    _dpop: AuthKey = field(default_factory=lambda: AuthKey.generate("ES256"))
    _token: str | None = None
    _until: float = 0.0
    _nonce: str | None = None

    def headers(self, method: str, path: str) -> dict[str, str]:
        """`Authorization` and `DPoP` for one request to `base_url + path`.

        Raises: Unauthorized, ClockSkew, HubUnreachable, HubRefused.
        """
        token = self._valid_token()
        return {"Authorization": f"DPoP {token}", "DPoP": self._proof(method, path, token)}

    def drop(self) -> None:
        """Forget the token: the hub no longer takes it."""
        self._token = None

    def take_newest_key(self) -> None:
        """Log in with the agency's newest key from the next request on."""
        self._took_newer_key()
        self.drop()

    def take_nonce(self, headers: Mapping[str, str]) -> bool:
        """Keep a nonce that an answer carries; says whether it is a new one."""
        nonce = headers.get("DPoP-Nonce")
        fresh = nonce is not None and nonce != self._nonce
        self._nonce = nonce if nonce is not None else self._nonce
        return fresh

    def _proof(self, method: str, path: str, token: str | None) -> str:
        return dpop_proof(
            self._dpop,
            htm=method,
            htu=self.base_url + path,
            now=self.now(),
            jti=new_id(self.random),
            ath=None if token is None else token_hash(token),
            nonce=self._nonce,
            usr=self.caller.pseudonym,
        )

    def _valid_token(self) -> str:
        if self._token is None or self.now().timestamp() >= self._until:
            self._token, lifetime = self._ask()
            self._until = self.now().timestamp() + lifetime - MARGIN_SECONDS
        return self._token

    def _ask(self) -> tuple[str, int]:
        answer = self._request()
        if self.take_nonce(answer.headers) and oauth_code(answer.body) == "use_dpop_nonce":
            answer = self._request()
        if answer.status != 200 and self._took_newer_key():
            answer = self._request()
        if answer.status != 200:
            # A wrong clock is the usual reason, and the only one that the person can mend at once.
            check_skew(answer.headers, self.now(), limit=SUSPECT_SECONDS)
            raise oauth_error(answer.status, answer.body)
        check_skew(answer.headers, self.now())
        entry = answer.headers.get("Homeward-Receipt")
        if entry is not None:
            self.noted(entry)
        return _read_token(answer.body)

    def _took_newer_key(self) -> bool:
        """Whether the agency's key was changed since this one was read; the new one is used from now on."""
        if self.newest_auth is None:
            return False
        newest = self.newest_auth()
        changed = newest.public.kid != self.caller.auth.public.kid
        self.caller = replace(self.caller, auth=newest)
        return changed

    def _request(self) -> Answer:
        path = "/oauth/token"
        return self.wire.send(
            Call(
                "POST",
                self.base_url + path,
                headers=lambda: {
                    "DPoP": self._proof("POST", path, None),
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                },
                body=self._form,
            )
        )

    def _form(self) -> bytes:
        return urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.caller.agency,
                "scope": " ".join(self.caller.scopes),
                "client_assertion_type": CLIENT_ASSERTION_TYPE,
                "client_assertion": self._assertion(),
            }
        ).encode()

    def _assertion(self) -> str:
        return client_assertion(
            self.caller.auth,
            client_id=self.caller.agency,
            audience=self.base_url,
            now=self.now(),
            jti=new_id(self.random),
            life_s=ASSERTION_SECONDS,
        )


def _read_token(body: bytes) -> tuple[str, int]:
    try:
        answer = decode(body, limit=_TOKEN_BYTES)
    except Malformed as error:
        raise HubRefused("the hub's token answer cannot be read") from error
    token, kind, lifetime = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
    if (
        not isinstance(token, str)
        or kind != "DPoP"
        or isinstance(lifetime, bool)
        or not isinstance(lifetime, int)
    ):
        raise HubRefused("the hub's token answer lacks a DPoP-bound token")
    return token, lifetime
