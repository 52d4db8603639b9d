"""The published Merkle vectors: every one gives the verdict that it names."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from exchange.log.tree import (
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from exchange_schemas.errors import ProofInvalid


def verdict(kind: str, case: dict[str, Any]) -> bool:
    proof = [b64decode(item) for item in case["proof"] or []]
    hashes = {name: b64decode(case[name]) for name in ("root", "leafHash", "root1", "root2") if name in case}
    try:
        match kind:
            case "inclusion":
                verify_inclusion(case["leafIdx"], case["treeSize"], hashes["leafHash"], proof, hashes["root"])
            case "consistency":
                verify_consistency(case["size1"], case["size2"], proof, hashes["root1"], hashes["root2"])
            case "subtreeinclusion":
                verify_subtree_inclusion(
                    case["leafIdx"],
                    case["start"],
                    case["end"],
                    hashes["leafHash"],
                    proof,
                    root=hashes["root"],
                )
            case _:
                verify_subtree_consistency(
                    case["start"],
                    case["end"],
                    case["size"],
                    proof,
                    root1=hashes["root1"],
                    root2=hashes["root2"],
                )
    except ProofInvalid:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "count", "good"),
    [
        ("inclusion", 98, 6),
        ("consistency", 98, 6),
        ("subtreeinclusion", 204, 12),
        ("subtreeconsistency", 118, 12),
    ],
)
def test_every_published_case_gives_its_verdict(shared_data: Path, kind: str, count: int, good: int) -> None:
    files = sorted((shared_data / "vectors/tlog-merkle/testdata" / kind).rglob("*.json"))
    cases = [(path, json.loads(path.read_bytes())) for path in files]
    assert len(cases) == count
    wrong = [str(path) for path, case in cases if verdict(kind, case) is case["wantErr"]]
    assert wrong == []
    assert sum(not case["wantErr"] for _, case in cases) == good
