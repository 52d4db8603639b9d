"""joserfc: one general JWE for each field, for all recipients (RFC 7516, ECDH-ES+A256KW), unsigned.

With the argument `flat` the whole record is one JWE: nobody can then be given fewer fields.
"""

import json
import sys

from joserfc import jwe
from joserfc.jwk import OKPKey
from serve import Fields, Pair, serve


def make(fields: Fields, count: int) -> Pair:
    """One JWE for each text; `flat` has one text."""
    keys = [OKPKey.generate_key("X25519") for _ in range(count)]
    public = [OKPKey.import_key(key.as_dict(private=False)) for key in keys]
    flat = "flat" in sys.argv

    def seal() -> dict[str, object]:
        texts = {"record": json.dumps(fields)} if flat else fields
        return {name: one(text.encode()) for name, text in texts.items()}

    def one(text: bytes) -> object:
        obj = jwe.GeneralJSONEncryption({"enc": "A256GCM"}, text)
        for key in public:
            obj.add_recipient({"alg": "ECDH-ES+A256KW"}, key)
        return jwe.encrypt_json(obj, None)

    def open_(sealed: dict[str, dict[str, object]]) -> Fields:
        # Who knows its own place among the recipients opens that one alone.
        plain = {}
        for name, value in sealed.items():
            mine = {**value, "recipients": value["recipients"][:1]}
            plain[name] = jwe.decrypt_json(mine, keys[0]).plaintext.decode()
        return json.loads(plain["record"]) if flat else plain

    return seal, open_


if __name__ == "__main__":
    serve(make, lambda sealed: len(json.dumps(sealed)))
