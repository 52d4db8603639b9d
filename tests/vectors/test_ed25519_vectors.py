"""Ed25519 verification against published vectors: C2SP CCTV and Wycheproof."""

import json
from pathlib import Path

import pytest

from exchange_keys.signing import check_ed25519_point, verify_ed25519
from exchange_schemas.errors import Malformed, SigInvalid

BAD_POINT = {"low_order_R", "low_order_A", "non_canonical_R", "non_canonical_A"}


def accepts(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_ed25519(key, message, signature)
    except (SigInvalid, Malformed):
        return False
    return True


def test_exactly_43_of_914_cctv_cases_are_accepted_and_none_has_a_bad_point(shared_data: Path) -> None:
    cases = json.loads((shared_data / "vectors/ed25519-cctv/ed25519vectors.json").read_text())
    accepted = [
        case
        for case in cases
        if accepts(bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"]))
    ]
    assert len(cases) == 914
    assert len(accepted) == 43
    assert not any(BAD_POINT & set(case["flags"] or ()) for case in accepted)


def test_a_cctv_key_that_may_be_registered_is_a_clean_point(shared_data: Path) -> None:
    cases = json.loads((shared_data / "vectors/ed25519-cctv/ed25519vectors.json").read_text())
    bad = {"low_order_A", "non_canonical_A", "low_order_component_A"}
    flagged = {case["key"] for case in cases if bad & set(case["flags"] or ())}
    assert flagged
    for key in flagged:
        with pytest.raises(Malformed):
            check_ed25519_point(bytes.fromhex(key))


def test_every_wycheproof_ed25519_case(shared_data: Path) -> None:
    suite = json.loads((shared_data / "vectors/wycheproof/ed25519_test.json").read_text())
    seen = 0
    for group in suite["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            accepted = accepts(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert accepted == (case["result"] == "valid"), case["tcId"]
            seen += 1
    assert seen == suite["numberOfTests"] == 151
