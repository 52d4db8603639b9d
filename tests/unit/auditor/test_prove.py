"""Proofs of single entries: one file that anybody can check, and everything that is no proof."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.proving import check_proof, find_index, prove
from exchange.log.cosignature import cosign, cosigner_vkey
from exchange.log.policy import Policy
from exchange.log.proof import format_proof, parse_proof
from exchange.log.tiles import Tile, encode_bundle
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    CheckpointInvalid,
    EntryInvalid,
    ExchangeError,
    LogIncomplete,
    NotFound,
    ProofInvalid,
)
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import NOW, TRUST, VKEY, entry, mirror, note

ENTRIES = [entry(number) for number in range(600)]
WITNESS = SigningKey.from_seed(bytes([1]) * 32)
POLICY = Policy.from_bytes(
    f"log {VKEY}\nwitness w {cosigner_vkey('w', WITNESS.public.raw)}\nquorum w\n".encode()
)
TRUSTED = Trust(TRUST.keys, "policy", NOW, POLICY)
WHEN = datetime.fromtimestamp(1_790_000_010, UTC)


@pytest.fixture
def copy(tmp_path: Path) -> Mirror:
    return mirror(tmp_path / "log", ENTRIES)


def cosigned(size: int, when: datetime = WHEN) -> str:
    return note(ENTRIES[:size]) + cosign(note(ENTRIES[:size]), WITNESS, "w", when)


@pytest.mark.parametrize("index", [0, 255, 256, 511, 512, 599])
def test_a_proof_holds_its_entry_and_checks_without_the_log(copy: Mirror, index: int) -> None:
    found = check_proof(prove(copy, TRUST, index), TRUST)
    assert (found.index, found.entry, found.checkpoint.size) == (index, ENTRIES[index], 600)
    assert found.quorum is None


def test_an_entry_is_found_by_its_index_and_by_its_id(copy: Mirror) -> None:
    assert find_index(copy, TRUST, "599") == 599
    assert find_index(copy, TRUST, b64u((300).to_bytes(16, "big"))) == 300


@pytest.mark.parametrize("wanted", ["600", "9" * 40, "", "nonsense", '","', "é", "٣"])
def test_what_is_not_in_the_copy_is_not_found(copy: Mirror, wanted: str) -> None:
    with pytest.raises(NotFound):
        find_index(copy, TRUST, wanted)


def test_the_newest_checkpoint_that_a_quorum_cosigned_is_used_if_it_has_the_entry(copy: Mirror) -> None:
    copy.keep_checkpoint(100, cosigned(100))
    copy.keep_checkpoint(200, cosigned(200))
    found = check_proof(prove(copy, TRUSTED, 150), TRUSTED)
    assert found.checkpoint.size == 200
    assert found.quorum is not None
    assert (found.quorum.witnessed, found.quorum.when) == (True, WHEN)
    late = check_proof(prove(copy, TRUSTED, 250), TRUSTED)
    assert late.checkpoint.size == 600
    assert late.quorum is not None
    assert not late.quorum.witnessed


@pytest.mark.parametrize("index", [3, 599])
def test_no_proof_is_made_of_an_entry_that_was_changed(copy: Mirror, index: int) -> None:
    n = index // 256
    changed = [*ENTRIES[256 * n : 256 * (n + 1)]]
    changed[index % 256] = entry(9_000)
    copy.write_tile(Tile(None, n, len(changed)), encode_bundle(changed))
    with pytest.raises(ProofInvalid):
        prove(copy, TRUST, index)


def test_no_proof_is_made_without_the_tiles_it_needs(copy: Mirror) -> None:
    (copy.folder / "tile" / "0" / "000").unlink()
    with pytest.raises(LogIncomplete):
        prove(copy, TRUST, 3)


def test_a_proof_of_another_entry_log_or_key_is_refused(copy: Mirror) -> None:
    text = prove(copy, TRUST, 3)
    proof = parse_proof(text)
    with pytest.raises(ProofInvalid):
        check_proof(format_proof(3, proof.hashes, proof.note, extra=ENTRIES[4]), TRUST)
    with pytest.raises(ProofInvalid):
        check_proof(format_proof(4, proof.hashes, proof.note, extra=ENTRIES[3]), TRUST)
    with pytest.raises(ProofInvalid):
        check_proof(format_proof(3, proof.hashes, proof.note), TRUST)
    with pytest.raises(CheckpointInvalid):
        check_proof(text.replace("\n600\n", "\n601\n"), TRUST)
    odd = mirror(copy.folder.parent / "odd", [b"not an entry"])
    with pytest.raises(EntryInvalid):
        check_proof(prove(odd, TRUST, 0), TRUST)


def test_every_flipped_byte_of_a_proof_is_refused(copy: Mirror) -> None:
    data = prove(copy, TRUST, 3).encode()
    for at in range(0, len(data), 7):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ExchangeError):
            check_proof(flipped.decode("utf-8", "replace"), TRUST)


def test_the_program_writes_and_checks_a_proof(audit: CommandLine, copy: Mirror, tmp_path: Path) -> None:
    copy.keep_checkpoint(200, cosigned(200))
    policy = tmp_path / "homeward.policy"
    policy.write_text(f"log {VKEY}\nwitness w {cosigner_vkey('w', WITNESS.public.raw)}\nquorum w\n")
    out = tmp_path / "3.tlog-proof"
    assert audit.json("prove", copy.folder, 3, "--out", out, "--policy", policy)[0] == 0
    assert audit.run("prove", copy.folder, 3, "--out", out)[0] != 0
    code, found = audit.json("check", out, "--policy", policy)
    assert (code, found["index"], found["size"], found["witnessed"]) == (0, 3, 200, True)
    assert found["entry"]["org"] == "embassy-a"
    code, text, _ = audit.run("check", out, "--policy", policy)
    assert "entry 3 of test.example/audit is proved" in text
    assert audit.run("check", out)[0] == 1
    assert audit.run("check", out, "--vkey", VKEY)[0] == 0
    out.write_bytes(out.read_bytes().replace(b"index 3", b"index 4"))
    assert audit.run("check", out, "--policy", policy)[0] == 4
    late = tmp_path / "250.tlog-proof"
    assert audit.run("prove", copy.folder, 250, "--out", late)[0] == 0
    assert audit.run("check", late, "--policy", policy)[0] == 1
    late.write_bytes(b"\xff")
    assert audit.run("check", late, "--policy", policy)[0] == 1
