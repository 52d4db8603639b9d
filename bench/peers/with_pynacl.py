"""PyNaCl's SealedBox: the whole record for each recipient, unsigned, X25519 alone."""

import json

from nacl.public import PrivateKey, SealedBox
from serve import Fields, Pair, serve


def make(fields: Fields, count: int) -> Pair:
    """One box for each recipient."""
    keys = [PrivateKey.generate() for _ in range(count)]
    public = [key.public_key for key in keys]
    own = SealedBox(keys[0])

    def seal() -> list[bytes]:
        record = json.dumps(fields).encode()
        return [SealedBox(key).encrypt(record) for key in public]

    def open_(sealed: list[bytes]) -> Fields:
        return json.loads(own.decrypt(sealed[0]))

    return seal, open_


if __name__ == "__main__":
    serve(make, lambda sealed: sum(map(len, sealed)))
