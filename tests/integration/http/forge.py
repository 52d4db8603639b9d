"""Making tokens that no honest program makes: any header and claims, signed or not."""

import hashlib
import hmac
import json
from typing import Any

from exchange_keys.jose import AuthKey
from exchange_schemas.codec import b64u


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
