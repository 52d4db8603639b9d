"""pyrage (age in Rust): the whole record once, one flat blob for all recipients, unsigned, X25519 alone."""

import json

from pyrage import decrypt, encrypt, x25519
from serve import Fields, Pair, serve


def make(fields: Fields, count: int) -> Pair:
    """One file for all recipients."""
    keys = [x25519.Identity.generate() for _ in range(count)]
    recipients = [key.to_public() for key in keys]

    def seal() -> bytes:
        return encrypt(json.dumps(fields).encode(), recipients)

    def open_(sealed: bytes) -> Fields:
        return json.loads(decrypt(sealed, [keys[0]]))

    return seal, open_


if __name__ == "__main__":
    serve(make, len)
