"""Cobblestone-256 (C2SP chunked-encryption) against published vectors and a second implementation."""

import base64
import json
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

from exchange_keys.padding import pad_to
from exchange_keys.parts import PartContext, open_part, seal_part, sealed_length
from exchange_schemas.errors import DecryptFailed
from exchange_schemas.ids import AgencyId, EnvelopeId, PartId
from tests.vectors import cobblestone_reference as reference

CASES = json.loads(
    (Path(cryptography_vectors.__file__).parent / "chunked-encryption/vectors.json").read_text()
)["vectors"]
OURS = [case for case in CASES if case["aead"] == "AEAD_AES_256_GCM"]
CTX = PartContext("test.example", EnvelopeId("e"), PartId("p"), "name_given", 1, AgencyId("agency-a"))


def ciphertext_of(case: dict[str, Any]) -> bytes:
    data = base64.b64decode(case["ciphertext"] or "")
    return zlib.decompress(data) if case.get("compressed") else data


def test_the_reference_opens_or_refuses_every_published_aes_256_case() -> None:
    assert len(OURS) == 34
    for case in OURS:
        key, context = bytes.fromhex(case["key"]), case["context"].encode()
        payload = reference.open_(key, context, ciphertext_of(case), SHA256())
        assert (payload is not None) == (case["expect"] == "success"), case["name"]
        if payload is not None:
            assert sha256(payload).hexdigest() == case["payload_sha256"], case["name"]


def test_the_ciphertext_length_that_we_promise_is_the_published_one() -> None:
    for case in OURS:
        if case["expect"] == "success":
            assert len(ciphertext_of(case)) == sealed_length(case["payload_length"]), case["name"]


@pytest.mark.parametrize("size", [0, 1, 255, 16_382, 16_383, 16_384, 40_000])
def test_the_reference_opens_what_we_seal_and_we_open_what_it_seals(size: int) -> None:
    key, value = bytes(range(32)), b"x" * size
    sealed = seal_part(key, value, None, CTX)
    assert reference.open_(key, CTX.digest(), sealed, SHA512()) == pad_to(value, None)
    theirs = reference.seal(key, bytes(24), CTX.digest(), pad_to(value, None), SHA512())
    assert open_part(key, theirs, CTX, None) == value


# -- one ciphertext under two keys --------------------------------------------------------------------------


def multiply(left: int, right: int) -> int:
    """In GF(2^128) with GCM's reflected bits (NIST SP 800-38D section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def inverse(value: int) -> int:
    result, power = 1 << 127, value
    for _ in range(127):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def ghash(key: int, blocks: list[int]) -> int:
    state = 0
    for block in blocks:
        state = multiply(state ^ block, key)
    return state


def aes(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block))


def opening_under_both(first: reference.Derived, second: reference.Derived, blocks: int) -> bytes:
    """One AES-GCM chunk with one tag that is authentic under two keys: the first block is solved for."""
    rest = list(range(1, blocks))
    length = blocks * 128
    hashes = [aes(derived.key, bytes(16)) for derived in (first, second)]
    masks = [aes(derived.key, derived.nonce + b"\0\0\0\1") for derived in (first, second)]
    fixed = [ghash(key, [0, *rest, length]) ^ mask for key, mask in zip(hashes, masks, strict=True)]
    weights = [ghash(key, [1 << 127, *[0] * blocks]) for key in hashes]
    free = multiply(fixed[0] ^ fixed[1], inverse(weights[0] ^ weights[1]))
    tag = ghash(hashes[0], [free, *rest, length]) ^ masks[0]
    return b"".join(block.to_bytes(16) for block in [free, *rest, tag])


def test_a_ciphertext_built_to_be_authentic_under_two_keys_opens_under_one_key_only() -> None:
    first_key, second_key, salt = b"1" * 32, b"2" * 32, bytes(24)
    first = reference.derive(first_key, salt, CTX.digest(), SHA512())
    second = reference.derive(second_key, salt, CTX.digest(), SHA512())
    chunk = opening_under_both(first, second, blocks=4)
    # The attack itself works: plain AES-GCM takes the chunk under both keys, as two different records.
    as_first = AESGCM(first.key).decrypt(first.nonce, chunk, None)
    as_second = AESGCM(second.key).decrypt(second.nonce, chunk, None)
    assert as_first != as_second
    # A commitment names one key; under the other the part does not open, whichever is named.
    assert reference.open_(first_key, CTX.digest(), salt + first.commitment + chunk, SHA512()) == as_first
    for wrong_key, named in ((second_key, first), (first_key, second)):
        with pytest.raises(DecryptFailed):
            open_part(wrong_key, salt + named.commitment + chunk, CTX, None)
