"""ML-DSA-65 verification against Wycheproof. The exchange signs with the empty context only."""

import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from exchange_keys.mldsa import verify_ml_dsa_65
from exchange_schemas.errors import Malformed, SigInvalid


def accepts(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_ml_dsa_65(key, message, signature)
    except (SigInvalid, Malformed):
        return False
    return True


def accepts_with_context(key: bytes, message: bytes, signature: bytes, context: bytes) -> bool:
    """The library itself, for cases with a context, which our code never passes."""
    try:
        MLDSA65PublicKey.from_public_bytes(key).verify(signature, message, context)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_every_wycheproof_ml_dsa_65_case(shared_data: Path) -> None:
    suite = json.loads((shared_data / "vectors/wycheproof/mldsa_65_verify_test.json").read_text())
    seen = 0
    for group in suite["testGroups"]:
        key = bytes.fromhex(group["publicKey"])
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            context = bytes.fromhex(case.get("ctx", ""))
            expected = case["result"] == "valid"
            assert accepts_with_context(key, message, signature, context) == expected, case["tcId"]
            # Without its context a signature is worth nothing here.
            assert accepts(key, message, signature) == (expected and context == b""), case["tcId"]
            seen += 1
    assert seen == suite["numberOfTests"] == 210
