"""The project's own recorded vectors: what was sealed once must open for ever, or fail with its code."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from exchange_keys.envelope import grant_digest, open_grant
from exchange_keys.jws import Signed, verify
from exchange_keys.manifest import check_grant, open_manifest
from exchange_keys.mldsa import MlDsaKey
from exchange_keys.padding import pad_to, padme
from exchange_keys.parts import PartContext
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, sha256, unb64u
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import ExchangeError, PartMissing
from tests.vectors.record_homeward_vectors import FILE, public_keys, record, seed

VECTORS = json.loads(FILE.read_text())
MAKERS = {"Ed25519": SigningKey.from_seed, "ML-DSA-65": MlDsaKey, "X-Wing": EncKey.from_seed}
ENC = EncKey.from_seed(seed(VECTORS["recipient"]))


def raw(text: str) -> bytes:
    return unb64u(text, field="vector")


def names_of(kind: str) -> list[str]:
    return [case["name"] for case in VECTORS[kind]]


@pytest.mark.parametrize("case", VECTORS["keys"], ids=[case["seed"] for case in VECTORS["keys"]])
def test_a_label_gives_its_key_and_kid(case: Mapping[str, str]) -> None:
    public = MAKERS[case["alg"]](seed(case["seed"])).public
    assert (public.alg, public.kid) == (case["alg"], case["kid"])
    assert b64u(sha256(public.raw)) == case["raw_sha256"]


def test_the_root_digest_is_the_recorded_one() -> None:
    root = RootKey.from_seeds(ed25519=seed("root ed25519"), mldsa65=seed("root mldsa65"))
    assert root.public.digest == VECTORS["root_digest"]


def test_contexts_and_paddings_are_the_recorded_ones() -> None:
    for case in VECTORS["contexts"]:
        values = {name: value for name, value in case.items() if name != "ctx"}
        assert b64u(PartContext(**values).digest()) == case["ctx"]
    assert [[size, padme(size)] for size, _ in VECTORS["padme"]] == VECTORS["padme"]
    values_by_size = {0: b"", 5: b"value", 3: b"\x80\0\0", 255: b"x" * 255}
    for case in VECTORS["padding"]:
        padded = pad_to(values_by_size[case["size"]], case["bucket"])
        assert b64u(sha256(padded)) == case["padded_sha256"]


@pytest.mark.parametrize("case", VECTORS["signed"], ids=names_of("signed"))
def test_a_signed_object_verifies_or_fails_with_its_code(case: Mapping[str, Any]) -> None:
    def read() -> None:
        signed = Signed.from_json(case["jws"], 16 * 1024)
        verify(signed, "hx-event", origin=VECTORS["origin"], key_for=lambda kid: public_keys().get(kid))

    assert code_of(read) == case["error"]


@pytest.mark.parametrize("case", VECTORS["grants"], ids=names_of("grants"))
def test_a_grant_opens_or_fails_with_its_code(case: Mapping[str, Any]) -> None:
    core, sealed = raw(case["core"]), raw(case["sealed"])
    assert grant_digest(core, sealed) == case["digest"]

    def part(ref: PartRef) -> bytes:
        if ref.sha256 not in case["parts"]:
            raise PartMissing("the part is not there", field=ref.f)
        return raw(case["parts"][ref.sha256])

    opened: dict[str, bytes] = {}
    assert code_of(lambda: opened.update(open_grant(core, sealed, ENC, part))) == case["error"]
    if case["error"] is None:
        assert {field: b64u(value) for field, value in opened.items()} == case["fields"]


def test_the_recorded_manifest_lists_the_grant_that_opens() -> None:
    manifest, _ = open_manifest(
        Signed.from_json(VECTORS["manifest"], 16 * 1024),
        origin=VECTORS["origin"],
        key_for=lambda kid: public_keys().get(kid),
    )
    good = VECTORS["grants"][0]
    assert check_grant(manifest, raw(good["core"]), raw(good["sealed"])).rcp == "agency-b"


def test_the_recorder_records_the_same_cases() -> None:
    fresh = record()
    for kind in ("signed", "grants"):
        assert [(case["name"], case["error"]) for case in fresh[kind]] == [
            (case["name"], case["error"]) for case in VECTORS[kind]
        ]
    for kind in ("keys", "root_digest", "contexts", "padme", "padding"):
        assert fresh[kind] == VECTORS[kind]


def test_no_secret_stands_in_the_file() -> None:
    text = FILE.read_text()
    labels = [case["seed"] for case in VECTORS["keys"]]
    for label in [*labels, "enc a", "part key", "another part key", "stranger"]:
        assert b64u(seed(label)) not in text
        assert seed(label).hex() not in text


def code_of(call: Any) -> str | None:
    try:
        call()
    except ExchangeError as error:
        return error.code
    return None
