"""JOSE for OAuth in one place: keys, compact tokens, client assertions, access tokens, DPoP proofs.

Callers import from here; the parts live in auth_key, compact, tokens and dpop. ES256 and PS256 only, and
nothing of it is used for the exchange's own signed objects (jws.py).
"""

from exchange_keys.auth_key import (
    ALGS,
    AuthKey,
    jwk_of,
    jwks_member,
    public_from_jwk,
    thumbprint,
)
from exchange_keys.compact import NOT_OURS, decode_compact, decode_embedded, sign_compact
from exchange_keys.dpop import DpopProof, dpop_proof, normal_uri, token_hash, verify_dpop
from exchange_keys.tokens import (
    ACCESS_TOKEN_TYPE,
    CLIENT_ASSERTION_TYPE,
    AccessToken,
    ClientAssertion,
    client_assertion,
    verify_access_token,
    verify_client_assertion,
)

__all__ = [
    "ACCESS_TOKEN_TYPE",
    "ALGS",
    "CLIENT_ASSERTION_TYPE",
    "NOT_OURS",
    "AccessToken",
    "AuthKey",
    "ClientAssertion",
    "DpopProof",
    "client_assertion",
    "decode_compact",
    "decode_embedded",
    "dpop_proof",
    "jwk_of",
    "jwks_member",
    "normal_uri",
    "public_from_jwk",
    "sign_compact",
    "thumbprint",
    "token_hash",
    "verify_access_token",
    "verify_client_assertion",
    "verify_dpop",
]
