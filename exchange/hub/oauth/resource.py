"""Who calls a protected operation: the access token and its DPoP proof, checked in this order.

(1) one Authorization header of the scheme DPoP with one token; Bearer is no scheme here
(2) one DPoP header with one proof
(3) the token: type, key among the published ones, signature, issuer, audience, times, binding, scopes
(4) the proof: type, its own key, signature, method, address, time, the token's hash, the token's key
(5) the nonce, where nonces are on
(6) the agency takes part at present
What may be used once, and what was revoked, is `services.release`'s question, in the transaction that
answers. The address is the configured one with the path; the Host header must never be looked at.
Sources: RFC 9449 section 7, RFC 9068 section 4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exchange.hub.oauth.nonce import current_nonce, is_current
from exchange.hub.oauth.standing import Standings
from exchange.hub.services.counters import FAILED, Counter
from exchange.hub.services.release import Caller, Proof
from exchange.hub.services.tokens import INVALID_PROOF, INVALID_TOKEN, USE_NONCE, Refused, kind_of, read_token
from exchange_keys.jose import NOT_OURS, verify_dpop
from exchange_schemas.errors import Malformed, Unauthorized

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.tokens import Presented
    from exchange_keys.jose import AccessToken, DpopProof

# Two headers of one name arrive joined by a comma, which no token holds.
_COMPACT: Final = r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
_AUTHORIZATION: Final = re.compile(rf"[Dd][Pp][Oo][Pp] ({_COMPACT})")
_PROOF: Final = re.compile(_COMPACT)
_MOST: Final = 4096
_SHOW_NEITHER: Final = "an access token and a DPoP proof are needed"


class ResourceGate:
    """Authenticates requests; one for each process, with tokens already verified and standings of late."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._standings = Standings(hub)
        self._failures = Counter(hub, FAILED)
        self._verified: dict[str, AccessToken] = {}
        self._keys = hub.keys.present()

    def authenticate(self, shown: Presented) -> Caller:
        """The caller. Raises: Refused (401); Unavailable, AuditUnavailable."""
        try:
            return self._authenticate(shown)
        except Refused as error:
            if error.error is not None and error.error != USE_NONCE:
                self._failures.add()
            raise

    def nonce(self) -> str:
        """The nonce for a client's next proof."""
        return current_nonce(self._hub)

    def _authenticate(self, shown: Presented) -> Caller:
        if shown.authorization is None:
            raise Refused(_SHOW_NEITHER, error=None)
        # (1) Authorization.
        match = _AUTHORIZATION.fullmatch(shown.authorization)
        if match is None:
            raise Refused("one access token of the scheme DPoP is needed", error=INVALID_TOKEN, strange=True)
        # (2) DPoP.
        if shown.proof is None or _PROOF.fullmatch(shown.proof) is None:
            raise Refused("one DPoP proof is needed", error=INVALID_PROOF)
        # (3) The token.
        token = self._token(match[1])
        # (4) The proof.
        proof = self._proof(shown, shown.proof, match[1], token)
        # (5) The nonce.
        if self._hub.settings.dpop_nonce and not is_current(self._hub, proof.nonce):
            raise Refused("the proof needs the nonce given", error=USE_NONCE, nonce=self.nonce())
        # (6) A kind that has changed means other scopes: ask for a new token.
        kind = self._standings.kind_of(token.client_id)
        if kind is None or kind != kind_of(token):
            raise Refused("the access token was not accepted", error=INVALID_TOKEN)
        spent = Proof(proof.jti_hash, proof.expires, proof.compact)
        return Caller(token.client_id, kind, token.scopes, spent, proof.usr, token.jti)

    def _token(self, compact: str) -> AccessToken:
        now = self._hub.clock()
        present = self._hub.keys.present()
        if present is not self._keys:
            # A key may be gone: what it signed is not believed any longer.
            self._verified.clear()
            self._keys = present
        known = self._verified.get(compact)
        if known is not None:
            # Only the time can have made it worse.
            if known.expires <= now:
                del self._verified[compact]
                raise Refused("the access token was not accepted", error=INVALID_TOKEN)
            return known
        try:
            token = read_token(self._hub, compact, now)
        except Unauthorized as error:
            strange = error.rule in NOT_OURS
            raise Refused("the access token was not accepted", error=INVALID_TOKEN, strange=strange) from None
        if len(self._verified) >= _MOST:
            self._verified.clear()
        self._verified[compact] = token
        return token

    def _proof(self, shown: Presented, compact: str, token: str, bound: AccessToken) -> DpopProof:
        try:
            return verify_dpop(
                compact,
                htm=shown.method,
                htu=self._hub.settings.base_url + shown.path,
                now=self._hub.clock(),
                access_token=token,
                jkt=bound.jkt,
            )
        except (Unauthorized, Malformed):
            raise Refused("the DPoP proof was not accepted", error=INVALID_PROOF) from None
