"""Strict reading, keys, contexts, padding: what has one right answer and needs no randomness."""

from __future__ import annotations

import json

from exchange_keys.mldsa import MlDsaKey
from exchange_keys.padding import pad_to, padme
from exchange_keys.parts import PartContext
from exchange_schemas.codec import b64u, decode_value, parse_time, unb64u
from exchange_schemas.ids import AgencyId, EnvelopeId, PartId
from tests.vectors.recording.seeds import ORIGIN, Case, an_id, code_of, digest, enc, root, seed, signing

LIMIT = 200
GOOD_JSON = (
    b"{}",
    b' \t\r\n{"a":[1,-5,0,true,false,null,"x"]} ',
    b'{"a":9007199254740991,"b":-9007199254740991}',
    '{"é":"\N{GRINNING FACE}"}'.encode(),
    b'{"a":"\\ud83d\\ude00\\/\\n\x7f"}',
    b"[[[[[[[[1]]]]]]]]",
    b'"text"',
    b'{"a":"[[[[[[[[[[[[","b":"\\"}"}',
    b'{"a":"\\"[[[[[[[[[[[[\\""}',
)
BAD_JSON = {
    "nothing": b"",
    "two values": b"{}{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a member twice": b'{"a":1,"a":1}',
    "a member twice after escapes": b'{"a":1,"\\u0061":2}',
    "a member twice, deep": b'{"a":[{"b":1,"b":2}]}',
    "a fraction": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "minus zero": b'{"a":-0}',
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "2^53": b'{"a":9007199254740992}',
    "-2^53": b'{"a":-9007199254740992}',
    "a very long number": b'{"a":' + b"1" * 150 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "NUL": b'{"a":"\\u0000"}',
    "a raw control character": b'{"a":"\n"}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "half a surrogate pair in a name": b'{"\\udc00":1}',
    "surrogates in the wrong order": b'{"a":"\\ude00\\ud83d"}',
    "nine levels": b"[[[[[[[[[1]]]]]]]]]",
    "a bracket too many": b"{}]",
    "a trailing comma": b'{"a":1,}',
    "a comment": b"{}/**/",
    "single quotes": b"{'a':1}",
    "a form feed": b"{\x0c}",
    "a no-break space": b"{}\xc2\xa0",
    "digits of another script": '{"a":\N{ARABIC-INDIC DIGIT ONE}}'.encode(),
    "over the limit": b'{"a":"' + b"x" * LIMIT + b'"}',
}
BAD_BASE64 = ("", "=", "AA==", "AAA=", "A", "AAAAA", "AB", "AA\n", " AA", "A+", "A/", "A.", "AÄ", "AAB")
TIMES = {
    "2026-11-23T12:00:00Z": None,
    "0001-01-01T00:00:00Z": None,
    "9999-12-31T23:59:59Z": None,
    "2024-02-29T00:00:00Z": None,
    "2023-02-29T00:00:00Z": "MALFORMED",
    "0000-01-01T00:00:00Z": "MALFORMED",
    "2026-13-01T00:00:00Z": "MALFORMED",
    "2026-00-01T00:00:00Z": "MALFORMED",
    "2026-04-31T00:00:00Z": "MALFORMED",
    "2026-11-23T24:00:00Z": "MALFORMED",
    "2026-11-23T23:60:00Z": "MALFORMED",
    "2026-11-23T23:59:60Z": "MALFORMED",
    "2026-11-23T12:00:00z": "MALFORMED",
    "2026-11-23T12:00:00+00:00": "MALFORMED",
    "2026-11-23T12:00:00.0Z": "MALFORMED",
    "2026-11-23 12:00:00Z": "MALFORMED",
    "2026-11-23T12:00Z": "MALFORMED",
    "2026-11-23": "MALFORMED",
    "": "MALFORMED",
}


def codec_file() -> Case:
    good = [{"name": f"good {n}", "bytes": b64u(data), "error": None} for n, data in enumerate(GOOD_JSON)]
    bad = [
        {
            "name": name,
            "bytes": b64u(data),
            "error": code_of(lambda data=data: decode_value(data, limit=LIMIT)),
        }
        for name, data in BAD_JSON.items()
    ]
    texts = [b64u(bytes(range(n))) for n in (1, 2, 3, 16, 32)]
    return {
        "limit": LIMIT,
        "json": [*good, *bad],
        "base64url": [
            *({"name": text, "text": text, "error": None} for text in texts),
            *({"name": json.dumps(text), "text": text, "error": "MALFORMED"} for text in BAD_BASE64),
        ],
        "times": [
            {"name": text, "text": text, "error": code_of(lambda text=text: parse_time(text, field="time"))}
            for text in TIMES
        ],
    }


def check_base64(text: str) -> None:
    """Read a base64url text that must not be empty, as members do."""
    if not unb64u(text, field="text"):
        unb64u("=", field="text")


KEYS = {
    "envelope a": lambda: signing("envelope a").public,
    "enc b": lambda: enc("enc b").public,
    "root ed25519": lambda: root("root").publics[0],
    "root mldsa65": lambda: MlDsaKey(seed("root mldsa65")).public,
}
VALUES = (b"", b"value", b"\x80\0\0", b"x" * 255)


def keys_file() -> Case:
    contexts = [
        PartContext(ORIGIN, EnvelopeId(an_id("eid")), PartId(b64u(part)), field, 1, AgencyId("agency-a"))
        for field, part in (("name_given", bytes(16)), ("photo", b"p" * 16))
    ]
    return {
        "keys": [
            {"name": label, "alg": key.alg, "raw_sha256": digest(key.raw), "kid": key.kid}
            for label, key in ((label, make()) for label, make in KEYS.items())
        ],
        "root_digest": root("root").public.digest,
        "contexts": [
            {
                "name": ctx.field,
                "origin": ctx.origin,
                "eid": ctx.eid,
                "part_id": ctx.part_id,
                "field": ctx.field,
                "schema": ctx.schema,
                "sender": ctx.sender,
                "ctx": b64u(ctx.digest()),
            }
            for ctx in contexts
        ],
        "padme": [[size, padme(size)] for size in (0, 1, 2, 9, 100, 1000, 65_537, 1_000_000, 26_214_401)],
        "padding": [
            {
                "name": f"{value.hex()[:12]} {len(value)} {bucket}",
                "value": b64u(value),
                "bucket": bucket,
                "padded_sha256": digest(pad_to(value, bucket)),
            }
            for value in VALUES
            for bucket in (256, 8192, None)
        ],
    }
