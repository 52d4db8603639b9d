"""Both implementations give one code for whatever is put before them: bytes, payloads, signatures, grants.

The cases are random, from seeds: a batch is written as files in the form of schemas/vectors, run by the
second implementation, and compared with what this one says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange_keys.envelope import open_grant
from exchange_keys.jws import Signed, verify
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u, decode_value, encode, parse_time, unb64u
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import PartMissing
from tests.soak import rounds
from tests.vectors.recording.basics import check_base64
from tests.vectors.recording.bending import bend
from tests.vectors.recording.payloads import EXAMPLES, READERS
from tests.vectors.recording.seeds import Case, code_of, seed
from tests.vectors.recording.signed import keys_of
from tests.vectors.test_homeward_vectors import FILES
from tests.vectors.test_second_implementation import node

JSON_BITS = (
    *'{}[]":,\\ \t\n-0123456789.eE+truefalsnul',
    "\\u0041",
    "\\ud83d",
    "\\ude00",
    "\0",
    "é",
    "\ufeff",
    "9" * 17,
)
WORDS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**53 - 1, "", "x", "A" * 22, "A" * 43, "ngo", "trace", "DE", "sex",
    "\u00a0", "e\u0301", "\u2028", "\U00010d00" * 80, [], {}, [["x"]], {"v": 1},
    "2026-11-23T12:00:00Z", "9999-12-31T23:59:59Z",
)  # fmt: skip


def some_json(rng: random.Random) -> bytes:
    """Text that is JSON, or nearly."""
    text = json.dumps(some_value(rng, 0), ensure_ascii=rng.random() < 0.5)
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(JSON_BITS) + text[at + rng.choice((0, 1)) :]
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if data and rng.random() < 0.1:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def some_value(rng: random.Random, depth: int) -> Any:
    how = rng.random()
    if how < 0.3 and depth < 10:
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if how < 0.6 and depth < 10:
        return {
            rng.choice("abc") + rng.choice(("", '"', "\\", "[")): some_value(rng, depth + 1) for _ in range(3)
        }
    return rng.choice(WORDS)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in items for path in paths(item, (*at, key)))]


def some_change(rng: random.Random, value: Any) -> Case:
    """One change somewhere in a payload: another value, one from elsewhere in it, or nothing."""
    path = list(rng.choice(paths(value)[1:]))
    if rng.random() < 0.2 and isinstance(path[-1], str):
        return {"at": path, "drop": True}
    if rng.random() < 0.4:
        other: Any = value
        for key in rng.choice(paths(value)[1:]):
            other = other[key]
        return {"at": path, "set": other}
    return {"at": path, "set": rng.choice(WORDS)}


def flip(rng: random.Random, text: str) -> str:
    data = bytearray(unb64u(text, field="x"))
    for _ in range(rng.choice((0, 1, 1, 3))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return b64u(bytes(data[: rng.choice((len(data), len(data), len(data) - 1))]))


def codec_batch(rng: random.Random, count: int) -> Case:
    def b64(text: str) -> str:
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice(("", "=", " ", "+", "_", "Z", "é")) + text[at + rng.choice((0, 1)) :]

    def moment() -> str:
        parts = (
            rng.choice((0, 1, 1900, 2000, 2024, 2026, 9999)),
            *(rng.randrange(top) for top in (14, 33, 26, 62, 62)),
        )
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*parts)

    return {
        "limit": 2000,
        "json": [{"name": str(n), "bytes": b64u(some_json(rng))} for n in range(count)],
        "base64url": [
            {"name": str(n), "text": b64(b64u(rng.randbytes(rng.randrange(1, 40))))} for n in range(count)
        ],
        "times": [{"name": str(n), "text": moment()} for n in range(count)],
    }


def payload_batch(rng: random.Random, count: int) -> Case:
    cases = []
    for number in range(count):
        of = rng.choice(sorted(EXAMPLES))
        value: Any = EXAMPLES[of][1]
        changes = []
        for _ in range(rng.choice((1, 1, 2))):
            changes.append(some_change(rng, value))
            value = bend(value, changes[-1])
        cases.append({"name": str(number), "of": of, "changes": changes})
    return {"examples": FILES["payloads"]["examples"], "cases": cases}


def signed_batch(rng: random.Random, count: int) -> Case:
    file, cases = FILES["signed"], []
    for number in range(count):
        jws = json.loads(json.dumps(rng.choice(file["cases"])["jws"]))
        donor = rng.choice(file["cases"])["jws"]
        if rng.random() < 0.3:
            jws["payload"] = flip(rng, jws["payload"])
        for item in jws["signatures"]:
            for name in ("protected", "signature"):
                if rng.random() < 0.2 and "=" not in item[name]:
                    item[name] = flip(rng, item[name])
        if rng.random() < 0.3 and donor["signatures"]:
            jws["signatures"] = [*jws["signatures"], rng.choice(donor["signatures"])][-3:]
        cases.append({"name": str(number), "jws": jws})
    return {**file, "cases": cases}


def grant_batch(rng: random.Random, count: int) -> Case:
    file, cases = FILES["grants"], []
    for number in range(count):
        case = rng.choice(file["cases"])
        parts = {
            name: flip(rng, text) if rng.random() < 0.1 else text for name, text in case["parts"].items()
        }
        core = flip(rng, case["core"]) if rng.random() < 0.5 else case["core"]
        sealed = flip(rng, case["sealed"]) if rng.random() < 0.5 else case["sealed"]
        cases.append({"name": str(number), "core": core, "sealed": sealed, "parts": parts})
    return {**file, "cases": cases}


def open_here(case: Case) -> dict[str, bytes]:
    def part(ref: PartRef) -> bytes:
        if ref.sha256 not in case["parts"]:
            raise PartMissing("not there", field=ref.f)
        return unb64u(case["parts"][ref.sha256], field="part")

    key = EncKey.from_seed(seed(FILES["grants"]["recipient"]))
    return open_grant(unb64u(case["core"], field="core"), unb64u(case["sealed"], field="sealed"), key, part)


def read_here(case: Case) -> object:
    typ, value = EXAMPLES[case["of"]]
    for change in case["changes"]:
        value = bend(value, change)
    return READERS[typ](encode(value))


def verify_here(case: Case) -> object:
    file = FILES["signed"]
    signed = Signed.from_json(case["jws"], 16 * 1024)
    return verify(signed, file["typ"], origin=file["origin"], key_for=keys_of(file).get)


RUNS: dict[tuple[str, str], Callable[[Case], object]] = {
    ("codec", "json"): lambda case: decode_value(unb64u(case["bytes"], field="x"), limit=2000),
    ("codec", "base64url"): lambda case: check_base64(case["text"]),
    ("codec", "times"): lambda case: parse_time(case["text"], field="time"),
    ("payloads", "cases"): read_here,
    ("signed", "cases"): verify_here,
    ("grants", "cases"): open_here,
}


@pytest.mark.soak
def test_both_say_the_same_of_whatever_is_put_before_them(tmp_path: Path) -> None:
    seen: set[str | None] = set()
    for batch in range(rounds(1)):
        rng = random.Random(batch)
        files = {
            "codec": codec_batch(rng, 800),
            "payloads": payload_batch(rng, 800),
            "signed": signed_batch(rng, 100),
            "grants": grant_batch(rng, 100),
        }
        for name, file in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(file))
        found = node("run.mjs", "--from", str(tmp_path), *files)["found"]
        for (name, key), run in RUNS.items():
            for case in files[name][key]:
                here, there = (
                    code_of(lambda case=case, run=run: run(case)),
                    found[name][key][case["name"]]["error"],
                )
                assert here == there, (batch, name, key, case)
                seen.add(here)
    assert {None, "MALFORMED", "VERSION", "SIG_INVALID", "DECRYPT_FAILED", "PART_DIGEST"} <= seen
