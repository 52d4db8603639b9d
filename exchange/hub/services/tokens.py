"""Access tokens: who may have one, what it says, and how it stops being good.

Nothing of HTTP or Authlib is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exchange_schemas.errors import Unauthorized

ALGORITHMS: Final = "ES256 PS256"
INVALID_TOKEN: Final = "invalid_token"
INVALID_PROOF: Final = "invalid_dpop_proof"
USE_NONCE: Final = "use_dpop_nonce"

SCOPES: Final = {
    "directory:read": "Read the key directory",
    "directory:write": "Add events about the agency's own keys",
    "consents:read": "Read consents that the agency issued or received",
    "consents:write": "Register and withdraw the agency's own consents",
    "envelopes:send": "Upload parts, deposit envelopes, read the outbox",
    "envelopes:receive": "Read the inbox, fetch grants, answer with receipts",
    "audit:read": "Pull the audit log",
}


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
    """An access token or DPoP proof was refused; `error` None when none was shown (RFC 6750, section 3.1)."""

    def __init__(self, message: str, *, error: str | None, nonce: str | None = None) -> None:
        super().__init__(message)
        self.error = error
        self.nonce = nonce


def challenge(error: str | None) -> str:
    """The value of WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1)."""
    return f'DPoP algs="{ALGORITHMS}"' if error is None else f'DPoP error="{error}", algs="{ALGORITHMS}"'
