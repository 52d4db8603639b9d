"""The token and revocation endpoints over Authlib: it dispatches, our strict parts decide.

Authlib reads the grant type, runs the client's authentication and shapes the error; tokens, keys, proofs
and replay are `services.tokens`' and `exchange_keys`'. No error may say more than its RFC 6749 code, and
every refusal has status 400: clients read the code from the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint

from exchange.hub.oauth.client import METHOD, ClientKeys, authenticate_client
from exchange.hub.oauth.nonce import current_nonce, is_current
from exchange.hub.services.counters import FAILED, Counter
from exchange.hub.services.release import Proof, Released
from exchange.hub.services.tokens import INVALID_PROOF, USE_NONCE, ScopeRefused, issue, revoke
from exchange_keys.jose import verify_dpop
from exchange_schemas.errors import Forbidden, Malformed, Unauthorized

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.limits import Quota
    from exchange.hub.services.quotas import Quotas
    from exchange_keys.jose import ClientAssertion, DpopProof

TOKEN_PATH: Final = "/oauth/token"
REVOKE_PATH: Final = "/oauth/revoke"
_TOKEN, _REVOCATION = ClientCredentialsGrant.GRANT_TYPE, RevocationEndpoint.ENDPOINT_NAME
OAuthAnswer = tuple[int, dict[str, Any], Mapping[str, str]]


class TokenServer:
    """The two endpoints as functions of a form, a proof and who knows the address; one for each process."""

    def __init__(self, hub: Hub, quotas: Quotas) -> None:
        self._server = _Server(hub, quotas)

    def token(self, form: Mapping[str, str], proof: str | None, address: Callable[[], str]) -> OAuthAnswer:
        """RFC 6749 section 4.4 with RFC 7523 and RFC 9449. Raises: Limited, Unavailable, AuditUnavailable."""
        answer: OAuthAnswer = self._server.create_token_response(_Call(TOKEN_PATH, form, proof, address))
        return answer

    def revoke(self, form: Mapping[str, str], proof: str | None, address: Callable[[], str]) -> OAuthAnswer:
        """RFC 7009. Raises: Limited, Unavailable, AuditUnavailable."""
        call = _Call(REVOKE_PATH, form, proof, address)
        answer: OAuthAnswer = self._server.create_endpoint_response(_REVOCATION, call)
        return answer


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    form: Mapping[str, str]
    proof: str | None
    address: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Client:
    """What Authlib asks of a client."""

    proved: ClientAssertion

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == METHOD

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == _TOKEN)


class _ProofError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """RFC 9449, sections 5 and 8."""

    def __init__(self, error: str, nonce: str | None = None) -> None:
        super().__init__(error=error)
        self.nonce = nonce


class _LoggedError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """A client that proved its key was refused, and the log says so."""


class _TargetError(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """RFC 8707, section 2."""

    error = "invalid_target"


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    def __init__(self, hub: Hub, call: _Call) -> None:
        # Authlib wants https; who ends TLS is not seen here, and the address is never used.
        host = hub.settings.base_url.partition(":")[2]
        super().__init__("POST", f"https:{host}{call.path}", headers={})
        self.payload = BasicOAuth2Payload(dict(call.form))
        self.call = call

    @property
    def form(self) -> Mapping[str, str]:
        return self.call.form


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = [METHOD]

    def validate_token_request(self) -> None:
        server: _Server = self.server
        if self.request.form.get("resource", server.hub.settings.base_url) != server.hub.settings.base_url:
            raise _TargetError
        # The proof first: without it nothing is written, and an assertion may be used again with the nonce.
        self.proof = server.verify_proof(self.request.call)
        super().validate_token_request()

    def validate_requested_scope(self) -> None:
        """In the transaction that gives the token, so that a scope refused is logged."""

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        server: _Server = self.server
        client: ClientAssertion = self.client.proved
        spent = Proof(
            self.proof.jti_hash, self.proof.expires, self.proof.compact, ((client.jti_hash, client.expires),)
        )
        quota = server.quotas.of_agency(client.client_id)
        scope = self.request.form.get("scope")
        with _refusals():
            released = issue(server.hub, client, scope, spent, self.proof.jkt)
        return 200, released.body, _headers(released, quota)


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib has no types
    CLIENT_AUTH_METHODS = [METHOD]

    def create_endpoint_response(
        self, request: _Request
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        server: _Server = self.server
        self.check_params(request, None)
        client: ClientAssertion = self.authenticate_endpoint_client(request).proved
        # The assertion is proof enough here (RFC 7009 knows no DPoP); a DPoP proof that is sent must hold.
        if request.call.proof is None:
            spent = Proof(client.jti_hash, client.expires, request.form["client_assertion"])
        else:
            proof = server.verify_proof(request.call)
            spent = Proof(proof.jti_hash, proof.expires, proof.compact, ((client.jti_hash, client.expires),))
        quota = server.quotas.of_agency(client.client_id)
        with _refusals():
            released = revoke(server.hub, client, request.form["token"], spent)
        return 200, released.body, _headers(released, quota)


class _Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    def __init__(self, hub: Hub, quotas: Quotas) -> None:
        super().__init__()
        self.hub = hub
        self.quotas = quotas
        self._failures = Counter(hub, FAILED)
        keys = ClientKeys(hub)

        def authenticate(_query_client: object, request: _Request) -> _Client | None:
            client = authenticate_client(hub, keys, request.form)
            return None if client is None else _Client(client)

        self.register_client_auth_method(METHOD, authenticate)
        self.register_grant(_Grant)
        self.register_endpoint(_Revocation)

    def verify_proof(self, call: _Call) -> DpopProof:
        """The DPoP proof of this call. Raises: _ProofError."""
        if call.proof is None:
            raise _ProofError(INVALID_PROOF)
        htu = self.hub.settings.base_url + call.path
        try:
            proof = verify_dpop(call.proof, htm="POST", htu=htu, now=self.hub.clock())
        except (Unauthorized, Malformed):
            raise _ProofError(INVALID_PROOF) from None
        if self.hub.settings.dpop_nonce and not is_current(self.hub, proof.nonce):
            raise _ProofError(USE_NONCE, current_nonce(self.hub))
        return proof

    def create_oauth2_request(self, request: _Call) -> _Request:
        """Authlib's request around ours."""
        return _Request(self.hub, request)

    def handle_error_response(self, request: _Request, error: OAuth2Error) -> OAuthAnswer:
        """The code and nothing else: Authlib's descriptions repeat what was sent. Raises: Limited."""
        # A client that was known has its own entry; a missing nonce is no failure.
        if error.error != USE_NONCE and not isinstance(error, _LoggedError):
            self._failures.add()
            self.quotas.of_failure(request.call.address())
        nonce = error.nonce if isinstance(error, _ProofError) else None
        return 400, {"error": error.error}, {} if nonce is None else {"DPoP-Nonce": nonce}

    def handle_response(
        self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]
    ) -> OAuthAnswer:
        """A plain value; the blueprint makes the response."""
        return status, body, dict(headers)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """None: nobody listens."""


@contextmanager
def _refusals() -> Iterator[None]:
    """A client refused in the transaction, as OAuth names it; a used assertion is a client not believed."""
    try:
        yield
    except ScopeRefused:
        raise _LoggedError(error=InvalidScopeError.error) from None
    except (Unauthorized, Forbidden):
        raise _LoggedError(error=InvalidClientError.error) from None


def _headers(released: Released, quota: Quota) -> list[tuple[str, str]]:
    receipt = [] if released.receipt is None else [("Homeward-Receipt", released.receipt.entry_id)]
    return [*receipt, *quota.headers().items()]
