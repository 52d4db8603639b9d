"""Public keys, kids, and what a key must prove before it is registered."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange_keys.auth_key import AuthKey
from exchange_keys.mldsa import MlDsaKey
from exchange_keys.public import ED25519, ES256, ML_DSA_65, PS256, X_WING, PublicKey
from exchange_keys.registration import ALGS_OF_USE, check_key_for_use
from exchange_keys.sealing import EncKey, trial_seal
from exchange_keys.signing import SigningKey, check_ed25519_point
from exchange_schemas.errors import KeyWrongUse, Malformed
from tests.unit.keys.keys_factory import seed

# Ed25519: the identity, the points of order 2, 4 and 8, and y = p (not canonical).
BAD_POINTS = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
# X25519: zero, one, and a point of order 8.
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
]


def test_a_kid_is_the_hash_of_the_framed_algorithm_and_raw_key() -> None:
    raw = bytes(range(32))
    framed = (7).to_bytes(8, "big") + b"Ed25519" + (32).to_bytes(8, "big") + raw
    expected = base64.urlsafe_b64encode(hashlib.sha256(framed).digest()).rstrip(b"=").decode()
    assert PublicKey(ED25519, raw).kid == expected


def test_the_same_bytes_under_another_algorithm_have_another_kid() -> None:
    point = AuthKey.generate(ES256).public.raw
    assert len({PublicKey(ES256, point).kid, PublicKey(ED25519, point[:32]).kid}) == 2


@pytest.mark.parametrize(("alg", "length"), [(ED25519, 32), (ML_DSA_65, 1952), (X_WING, 1216), (ES256, 65)])
def test_a_key_of_another_length_is_malformed(alg: str, length: int) -> None:
    PublicKey(alg, bytes(length))
    for wrong in (0, length - 1, length + 1):
        with pytest.raises(Malformed):
            PublicKey(alg, bytes(wrong))


@pytest.mark.parametrize("length", [0, 289, 561])
def test_an_rsa_key_far_from_its_sizes_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        PublicKey(PS256, bytes(length))


@pytest.mark.parametrize("alg", ["", "ed25519", "EdDSA", "RS256", "HS256", "none"])
def test_an_unknown_algorithm_is_malformed(alg: str) -> None:
    with pytest.raises(Malformed):
        PublicKey(alg, bytes(32))


def good_keys() -> dict[str, list[PublicKey]]:
    ed = SigningKey.from_seed(seed("ed")).public
    return {
        "root": [ed, MlDsaKey(seed("mldsa")).public],
        "envelope": [ed],
        "approver": [ed],
        "operator": [ed],
        "enc": [EncKey.from_seed(seed("enc")).public],
        "auth": [AuthKey.generate(ES256).public, AuthKey.generate(PS256).public],
    }


def test_every_use_takes_its_own_algorithms_and_no_other() -> None:
    keys = good_keys()
    assert set(keys) == set(ALGS_OF_USE)
    every = {key.alg: key for listed in keys.values() for key in listed}
    assert len(every) == 5
    for use in keys:
        for alg, key in every.items():
            if alg in ALGS_OF_USE[use]:
                check_key_for_use(use, key)
            else:
                with pytest.raises(KeyWrongUse):
                    check_key_for_use(use, key)


def test_an_unknown_use_takes_no_key() -> None:
    with pytest.raises(KeyWrongUse):
        check_key_for_use("spare", SigningKey.from_seed(seed("ed")).public)


@pytest.mark.parametrize("point", BAD_POINTS)
def test_an_identity_small_order_or_lax_ed25519_key_is_refused_at_registration(point: str) -> None:
    with pytest.raises(Malformed):
        check_key_for_use("envelope", PublicKey(ED25519, bytes.fromhex(point)))


def test_a_point_check_of_another_length_is_malformed() -> None:
    with pytest.raises(Malformed):
        check_ed25519_point(bytes(31))


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_low_order_x25519_half_fails_its_trial_seal(point: bytes) -> None:
    raw = EncKey.from_seed(seed("enc")).public.raw[:1184] + point
    with pytest.raises(KeyWrongUse):
        check_key_for_use("enc", PublicKey(X_WING, raw))


@pytest.mark.parametrize("excess", [0, 1, 18])
def test_a_second_spelling_of_an_x25519_key_is_malformed(excess: int) -> None:
    raw = EncKey.from_seed(seed("enc")).public.raw[:1184] + (2**255 - 19 + excess).to_bytes(32, "little")
    with pytest.raises(Malformed, match="canonical"):
        trial_seal(raw)
    high_bit = bytearray(EncKey.from_seed(seed("enc")).public.raw)
    high_bit[-1] |= 0x80
    with pytest.raises(Malformed, match="canonical"):
        trial_seal(bytes(high_bit))


def test_an_ml_kem_half_outside_the_modulus_is_malformed() -> None:
    raw = b"\xff" * 1184 + EncKey.from_seed(seed("enc")).public.raw[1184:]
    with pytest.raises(Malformed, match="ML-KEM"):
        trial_seal(raw)


@pytest.mark.parametrize("length", [0, 1184, 1215, 1217])
def test_a_trial_seal_to_another_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        trial_seal(bytes(length))


def test_a_point_off_p256_or_in_another_form_is_no_auth_key() -> None:
    good = AuthKey.generate(ES256).public.raw
    for raw in (good[:-1] + bytes([good[-1] ^ 1]), b"\x06" + good[1:], b"\x04" + bytes(64)):
        with pytest.raises(Malformed):
            check_key_for_use("auth", PublicKey(ES256, raw))


def spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_weak_rsa_key_is_no_auth_key() -> None:
    for key in (rsa.generate_private_key(3, 2048), rsa.generate_private_key(65537, 2040)):
        with pytest.raises(Malformed):
            check_key_for_use("auth", PublicKey(PS256, spki(key)))


def test_bytes_that_are_no_rsa_key_are_no_auth_key() -> None:
    good = AuthKey.generate(PS256).public.raw
    not_rsa = spki(ec.generate_private_key(ec.SECP256R1()))
    for raw in (bytes(300), good[:-1], good + b"\0", not_rsa + bytes(300 - len(not_rsa))):
        with pytest.raises(Malformed):
            check_key_for_use("auth", PublicKey(PS256, raw))


def test_the_same_rsa_key_under_another_algorithm_identifier_is_no_auth_key() -> None:
    good = AuthKey.generate(PS256).public.raw
    # id-RSASSA-PSS loads as the same key; a second spelling would be a second kid.
    identifier, bits = bytes.fromhex("300b06092a864886f70d01010a"), good[19:]
    body = identifier + bits
    with pytest.raises(Malformed):
        check_key_for_use("auth", PublicKey(PS256, b"\x30\x82" + len(body).to_bytes(2) + body))
