"""The two halves of X-Wing against Wycheproof: X25519 and ML-KEM-768, as the sealing uses them."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from exchange_keys.sealing import EncKey, trial_seal
from exchange_schemas.errors import ExchangeError


def test_every_wycheproof_x25519_case(shared_data: Path) -> None:
    suite = json.loads((shared_data / "vectors/wycheproof/x25519_test.json").read_text())
    seen = zero = 0
    for case in (case for group in suite["testGroups"] for case in group["tests"]):
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(case["public"]))
        if "ZeroSharedSecret" in case["flags"]:
            with pytest.raises(ValueError, match="shared key"):
                private.exchange(public)
            zero += 1
        else:
            assert private.exchange(public).hex() == case["shared"], case["tcId"]
        seen += 1
    assert seen == suite["numberOfTests"] == 518
    assert zero == 31


def test_no_low_order_or_non_canonical_wycheproof_point_passes_the_trial_seal(shared_data: Path) -> None:
    suite = json.loads((shared_data / "vectors/wycheproof/x25519_test.json").read_text())
    bad = {"ZeroSharedSecret", "LowOrderPublic", "NonCanonicalPublic"}
    points = {
        case["public"] for group in suite["testGroups"] for case in group["tests"] if bad & set(case["flags"])
    }
    assert len(points) > 20
    mlkem = EncKey.from_seed(bytes(32)).public.raw[:1184]
    for point in points:
        with pytest.raises(ExchangeError):
            trial_seal(mlkem + bytes.fromhex(point))


def test_every_wycheproof_ml_kem_768_case(shared_data: Path) -> None:
    suite = json.loads((shared_data / "vectors/wycheproof/mlkem_768_test.json").read_text())
    seen = 0
    for case in (case for group in suite["testGroups"] for case in group["tests"]):
        assert opens_to(case) == (case["result"] == "valid"), case["tcId"]
        seen += 1
    assert seen == suite["numberOfTests"] == 193


def opens_to(case: dict[str, str]) -> bool:
    """Whether the seed gives the named key and the ciphertext the named secret."""
    try:
        private = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(case["seed"]))
        if private.public_key().public_bytes_raw().hex() != case["ek"]:
            return False
        return private.decapsulate(bytes.fromhex(case["c"])).hex() == case["K"]
    except ValueError:
        return False
