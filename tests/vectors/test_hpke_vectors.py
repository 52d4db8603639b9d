"""HPKE with X-Wing: the IETF's PQ vectors (our KEM and KDF, another AEAD) and JOSE HPKE-9-KE (our suite)."""

import base64
import json
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from exchange_keys.sealing import EncKey
from exchange_schemas.errors import DecryptFailed

X_WING = 0x647A
KDFS = {0x0001: KDF.HKDF_SHA256, 0x0011: KDF.SHAKE256}
AEADS = {0x0002: AEAD.AES_256_GCM, 0x0003: AEAD.CHACHA20_POLY1305}


def x_wing_cases(path: Path) -> list[dict[str, Any]]:
    return [case for case in json.loads(path.read_text()) if case["kem_id"] == X_WING]


def assert_opens(case: dict[str, Any]) -> None:
    """The seed gives the public key, and `enc` with the first ciphertext opens under that seed."""
    key = EncKey.from_seed(bytes.fromhex(case["skRm"]))
    assert key.public.raw.hex() == case["pkRm"]
    first = case["encryptions"][0]
    suite = Suite(KEM.MLKEM768_X25519, KDFS[case["kdf_id"]], AEADS[case["aead_id"]])
    # The published cases have an aad, which only the library's own test entry takes.
    opened = rust_openssl.hpke._decrypt_with_aad(
        suite,
        bytes.fromhex(case["enc"] + first["ct"]),
        key._key,
        bytes.fromhex(case["info"]),
        bytes.fromhex(first["aad"]),
    )
    assert opened.hex() == first["pt"]


def test_the_pq_hpke_cases_with_our_kem_open(shared_data: Path) -> None:
    cases = x_wing_cases(shared_data / "vectors/hpke-pq/test-vectors.json")
    assert {(case["kdf_id"], case["aead_id"]) for case in cases} == {(1, 3), (0x11, 3)}
    for case in cases:
        assert_opens(case)


def test_the_same_cases_of_the_library_open() -> None:
    folder = Path(cryptography_vectors.__file__).parent
    cases = x_wing_cases(folder / "HPKE/hpke-pq-test-vectors.json")
    assert cases
    for case in cases:
        assert_opens(case)


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def jose(shared_data: Path) -> tuple[EncKey, dict[str, str], dict[str, str]]:
    folder = shared_data / "vectors/jose-hpke"
    jwk = json.loads((folder / "HPKE-9-KE.jwk.json").read_text())
    message = json.loads((folder / "HPKE-9-KE-flattened.json").read_text())
    key = EncKey.from_seed(unpadded(jwk["priv"]))
    assert key.public.raw == unpadded(jwk["pub"])
    return key, message, json.loads(unpadded(message["protected"]))


# draft-ietf-jose-hpke-encrypt, Recipient_structure of key encryption with empty extra info.
RECIPIENT_INFO = b"JOSE-HPKE rcpt\xffA256GCM\xff"


def test_the_jose_hpke_9_ke_example_opens_with_our_suite(
    jose: tuple[EncKey, dict[str, str], dict[str, str]],
) -> None:
    key, message, header = jose
    assert (header["alg"], header["enc"]) == ("HPKE-9-KE", "A256GCM")
    sealed = unpadded(header["ek"]) + unpadded(message["encrypted_key"])
    content_key = key.open(sealed, info=RECIPIENT_INFO)
    text = AESGCM(content_key).decrypt(
        unpadded(message["iv"]),
        unpadded(message["ciphertext"]) + unpadded(message["tag"]),
        f"{message['protected']}.{message['aad']}".encode(),
    )
    assert text.decode().startswith("You can trust us to stick with you through thick and thin")


def test_the_jose_hpke_9_ke_example_opens_under_no_other_info(
    jose: tuple[EncKey, dict[str, str], dict[str, str]],
) -> None:
    key, message, header = jose
    sealed = unpadded(header["ek"]) + unpadded(message["encrypted_key"])
    for info in (b"", RECIPIENT_INFO[:-1], RECIPIENT_INFO + b"\0"):
        with pytest.raises(DecryptFailed):
            key.open(sealed, info=info)
