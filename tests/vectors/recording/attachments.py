"""Attachments: one that opens, and each way in which its bytes, its name or its padding are wrong.

The bytes of a case are slices of a sealed one, put together, with one bit turned where `flip` says.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from exchange_keys.attachments import open_file, seal_stream
from exchange_keys.padding import MARK, padded_length
from exchange_keys.parts import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, PartContext, encryptor
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, PartId
from tests.vectors.recording.seeds import ORIGIN, Case, an_id, code_of, digest, flipped, seed

LABEL = "attachment key"
SIZES = (0, 1, 20_000)
CONTEXT = {
    "origin": ORIGIN,
    "eid": an_id("attachment eid"),
    "p": an_id("attachment part"),
    "field": "photo",
    "schema": 1,
    "sender": "ngo",
}


def context(**changes: Any) -> PartContext:
    of = {**CONTEXT, **changes}
    return PartContext(
        of["origin"],
        EnvelopeId(of["eid"]),
        PartId(of["p"]),
        of["field"],
        of["schema"],
        AgencyId(of["sender"]),
    )


def plain(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def sealed(size: int) -> bytes:
    out = io.BytesIO()
    seal_stream(seed(LABEL), io.BytesIO(plain(size)), out, size, context())
    return out.getvalue()


def padded_as(data: bytes) -> bytes:
    """An authentic ciphertext of padded bytes that no sender of ours makes."""
    sealing = encryptor(seed(LABEL), context())
    return sealing.update(data) + sealing.finalize()


def bytes_of(file: Case, case: Case) -> bytes:
    """The bytes that a case gives to the recipient."""
    data = unb64u(file["sealed"][case["of"]], field="sealed")
    if case["slices"] is not None:
        data = b"".join(data[start:end] for start, end in case["slices"])
    return data if case["flip"] is None else flipped(data, case["flip"])


def opened(file: Case, case: Case) -> bytes:
    """What a recipient makes of a case. Raises: the error that refuses it."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "part", Path(name) / "photo"
        source.write_bytes(bytes_of(file, case))
        ref = case["ref"]
        open_file(
            seed(file["key"]),
            source,
            target,
            context(**case["context"]),
            length=ref["len"],
            sha256=Digest(ref["sha256"]),
        )
        return target.read_bytes()


def attachment_file() -> Case:
    """`sealed` and cases; the member `plain` is the digest of what comes out."""
    good = sealed(SIZES[-1])
    end, chunk = len(good), HEADER_BYTES + CHUNK_BYTES + TAG_BYTES
    padded = plain(SIZES[-1]) + MARK
    full = padded_length(SIZES[-1], None)
    bad_paddings = {
        "no mark": bytes(full),
        "another byte behind the mark": padded.ljust(full - 1, b"\0") + b"\1",
        "longer than PADMÉ": padded.ljust(full + 512, b"\0"),
        "shorter than PADMÉ": padded,
    }
    file: Case = {
        "key": LABEL,
        "context": CONTEXT,
        "sealed": [b64u(sealed(size)) for size in SIZES[:-1]]
        + [b64u(good)]
        + [b64u(padded_as(data)) for data in bad_paddings.values()],
    }
    at, whole = len(SIZES) - 1, {"slices": None, "flip": None, "context": {}}
    bent: dict[str, Case] = {
        "a flipped salt": {"flip": 0},
        "a flipped commitment": {"flip": 24},
        "a flipped byte of the first chunk": {"flip": HEADER_BYTES},
        "a flipped tag": {"flip": end - 1},
        "the last chunk dropped": {"slices": [[0, chunk]]},
        "cut within a chunk": {"slices": [[0, end - 100]]},
        "the first chunk twice": {"slices": [[0, chunk], [HEADER_BYTES, end]]},
        "chunks swapped": {"slices": [[0, HEADER_BYTES], [chunk, end], [HEADER_BYTES, chunk]]},
        "a byte more": {"slices": [[0, end], [0, 1]]},
        "of another part": {"context": {"p": an_id("another part")}},
        "of another envelope": {"context": {"eid": an_id("another eid")}},
        "of another sender": {"context": {"sender": "commission"}},
        "of another deployment": {"context": {"origin": "other.example"}},
        "of another field": {"context": {"field": "marks"}},
    }
    cases = [{"name": f"{size} bytes", "of": number, **whole} for number, size in enumerate(SIZES)]
    cases += [{"name": f"named so: {name}", "of": at, **whole, **change} for name, change in bent.items()]
    cases += [
        {"name": f"padded by a bad sender: {name}", "of": len(SIZES) + number, **whole}
        for number, name in enumerate(bad_paddings)
    ]
    for case in cases:
        data = bytes_of(file, case)
        case["ref"] = {"len": len(data), "sha256": digest(data)}
    named = {"len": end, "sha256": digest(good)}
    hubs = {name: change for name, change in bent.items() if "context" not in change}
    cases += [
        {"name": f"given so by the hub: {name}", "of": at, **whole, **change, "ref": named}
        for name, change in hubs.items()
    ]
    cases.append(
        {
            "name": "of a length that the grant does not name",
            "of": at,
            **whole,
            "ref": {**named, "len": end + 1},
        }
    )
    for case in cases:
        case["error"] = code_of(lambda case=case: opened(file, case))
        case["plain"] = None if case["error"] else digest(opened(file, case))
    return {**file, "cases": cases}
