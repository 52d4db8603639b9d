"""crypt4gh (GA4GH): the whole record once, the header for all recipients, X25519 and ChaCha20-Poly1305."""

import io
import json

from crypt4gh.lib import decrypt, encrypt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from serve import Fields, Pair, serve


def make(fields: Fields, count: int) -> Pair:
    """One file for all recipients."""
    sender = X25519PrivateKey.generate()
    keys = [X25519PrivateKey.generate() for _ in range(count)]
    recipients = [(0, sender.private_bytes_raw(), key.public_key().public_bytes_raw()) for key in keys]
    own = [(0, keys[0].private_bytes_raw(), sender.public_key().public_bytes_raw())]

    def seal() -> bytes:
        out = io.BytesIO()
        encrypt(recipients, io.BytesIO(json.dumps(fields).encode()), out)
        return out.getvalue()

    def open_(sealed: bytes) -> Fields:
        out = io.BytesIO()
        decrypt(own, io.BytesIO(sealed), out)
        return json.loads(out.getvalue())

    return seal, open_


if __name__ == "__main__":
    serve(make, len)
