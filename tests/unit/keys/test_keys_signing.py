"""Ed25519, ML-DSA-65 and root keys."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.box import StoreKey
from exchange_keys.mldsa import MlDsaKey, verify_ml_dsa_65
from exchange_keys.root import RootKey, root_digest
from exchange_keys.sealing import EncKey
from exchange_keys.secret import Secret, same
from exchange_keys.signing import SigningKey, verify_ed25519
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.errors import Malformed, SigInvalid
from tests.unit.keys.keys_factory import flip, seed

KEY = SigningKey.from_seed(seed("ed"))
PQ = MlDsaKey(seed("mldsa"))


def test_a_key_of_one_seed_is_always_the_same_key() -> None:
    assert SigningKey.from_seed(KEY.seed).public == KEY.public
    assert MlDsaKey(PQ.seed).public == PQ.public


def test_new_keys_come_from_the_given_randomness() -> None:
    assert SigningKey.generate(lambda n: seed("ed")[:n]).public == KEY.public
    assert SigningKey.generate().public != SigningKey.generate().public
    assert EncKey.generate(lambda n: seed("enc")[:n]).public == EncKey.from_seed(seed("enc")).public
    assert EncKey.generate().seed != EncKey.generate().seed


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_malformed(length: int) -> None:
    for make in (SigningKey.from_seed, MlDsaKey, EncKey.from_seed, StoreKey):
        with pytest.raises(Malformed):
            make(bytes(length))


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=300))
def test_a_signature_verifies_for_its_message_only(message: bytes) -> None:
    signature = KEY.sign(message)
    verify_ed25519(KEY.public.raw, message, signature)
    with pytest.raises(SigInvalid):
        verify_ed25519(KEY.public.raw, message + b"\0", signature)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 64 * 8 - 1))
def test_no_bit_of_a_signature_can_be_turned(bit: int) -> None:
    with pytest.raises(SigInvalid):
        verify_ed25519(KEY.public.raw, b"message", flip(KEY.sign(b"message"), bit))


def test_a_signature_or_key_of_another_length_is_malformed() -> None:
    signature = KEY.sign(b"message")
    for public, sig in ((KEY.public.raw[:-1], signature), (KEY.public.raw, signature + b"\0")):
        with pytest.raises(Malformed):
            verify_ed25519(public, b"message", sig)


def test_an_identity_key_verifies_nothing() -> None:
    identity = (1).to_bytes(32, "little")
    # R = identity, s = 0 is "valid" for any message in a lax verifier.
    with pytest.raises(SigInvalid):
        verify_ed25519(identity, b"anything", identity + bytes(32))


def test_an_ml_dsa_signature_verifies_for_its_message_and_key_only() -> None:
    signature = PQ.sign(b"message")
    verify_ml_dsa_65(PQ.public.raw, b"message", signature)
    other = MlDsaKey(seed("other")).public.raw
    for public, message, sig in (
        (other, b"message", signature),
        (PQ.public.raw, b"other", signature),
        (PQ.public.raw, b"message", flip(signature, 0)),
    ):
        with pytest.raises(SigInvalid):
            verify_ml_dsa_65(public, message, sig)


def test_an_ml_dsa_length_that_is_wrong_is_malformed() -> None:
    with pytest.raises(Malformed):
        verify_ml_dsa_65(PQ.public.raw[:-1], b"", bytes(3309))
    with pytest.raises(Malformed):
        verify_ml_dsa_65(PQ.public.raw, b"", bytes(3308))


def test_a_root_is_two_keys_and_its_digest_covers_both() -> None:
    root = RootKey.from_seeds(ed25519=seed("ed"), mldsa65=seed("mldsa"))
    assert root.publics == (KEY.public, PQ.public)
    assert [signer.public for signer in root.signers] == list(root.publics)
    assert root.seeds == (seed("ed"), seed("mldsa"))
    assert (root.public.ed25519, root.public.mldsa65) == root.publics
    expected = b64u(sha256(lp(b"hx1/root", KEY.public.raw, PQ.public.raw)))
    assert root.public.digest == root_digest(KEY.public.raw, PQ.public.raw) == expected


def test_a_root_digest_of_swapped_keys_is_malformed() -> None:
    with pytest.raises(Malformed):
        root_digest(PQ.public.raw, KEY.public.raw)
    with pytest.raises(Malformed):
        root_digest(KEY.public.raw, KEY.public.raw)


def test_new_roots_differ() -> None:
    assert RootKey.generate().public.digest != RootKey.generate().public.digest


@pytest.mark.parametrize(
    "secret", [KEY, PQ, EncKey.from_seed(seed("enc")), RootKey.generate(), StoreKey(seed("store"))]
)
def test_a_secret_shows_nothing_and_cannot_be_pickled_or_copied(secret: Secret) -> None:
    shown = f"{secret!r} {secret!s} {[secret]}"
    assert "secret" in shown
    for label in ("ed", "mldsa", "enc", "store"):
        assert seed(label).hex() not in shown
        assert repr(seed(label)) not in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


def test_equal_bytes_are_the_same() -> None:
    assert same(b"one", b"one")
    assert not same(b"one", b"two")
