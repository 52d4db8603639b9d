"""What a client signs, in Python with joserfc: a DPoP proof for each request, an assertion for each token.

`python docs/quickstart.py AGENCY assertion` and `… AGENCY proof METHOD PATH [TOKEN]` print them for an agency
of the sandbox in ./sandbox. See docs/quickstart.md.
"""

import base64
import hashlib
import json
import sys
import time
import uuid
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey


def proof(key: ECKey, method: str, url: str, token: str | None = None, nonce: str | None = None) -> str:
    """A DPoP proof (RFC 9449) for one request; `url` without query, `token` where one is sent."""
    public = {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public}
    claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": str(uuid.uuid4())}
    if token is not None:
        digest = hashlib.sha256(token.encode("ascii")).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if nonce is not None:
        claims["nonce"] = nonce
    return jwt.encode(header, claims, key)


def assertion(key: ECKey, kid: str, client: str, issuer: str) -> str:
    """What proves the client (RFC 7523): `aud` is the hub's issuer, `kid` the key's id in its directory."""
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": issuer}
    claims |= {"iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "ES256", "kid": kid}, claims, key)


def main(agency: str, what: str, method: str = "", path: str = "", token: str | None = None) -> str:
    """What the command line asks for."""
    sandbox = json.loads(Path("sandbox/sandbox.json").read_text("utf-8"))
    (found,) = [one for one in sandbox["agencies"] if one["id"] == agency]
    key = ECKey.import_key(Path(found["auth_key_file"]).read_text("ascii"))
    if what == "assertion":
        return assertion(key, found["auth_kid"], agency, sandbox["base_url"])
    return proof(key, method, sandbox["base_url"] + path, token)


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]) + "\n")
