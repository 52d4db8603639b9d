"""`exchange-audit verify` on the command line: its exit codes, its JSON, and whose key it believes."""

import re
from pathlib import Path

import pytest

from exchange.auditor.cli.main import cli
from exchange.auditor.mirror import Mirror
from exchange.auditor.verdict import Fault
from exchange.log.checkpoint import vkey
from exchange.log.cosignature import cosigner_vkey
from exchange.log.tiles import Tile
from exchange_keys.signing import SigningKey
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import KEY, LOG, VKEY, entry, mirror, note, tiles

ENTRIES = [entry(number) for number in range(300)]
THIEF = SigningKey.from_seed(bytes([7]) * 32)


@pytest.fixture
def copy(tmp_path: Path) -> Mirror:
    return mirror(tmp_path / "log", ENTRIES)


def policy(folder: Path, quorum: str) -> Path:
    path = folder / "homeward.policy"
    path.write_text(f"log {VKEY}\nwitness w {cosigner_vkey('w', THIEF.public.raw)}\nquorum {quorum}\n")
    return path


def test_an_honest_copy_is_exit_0_with_every_verdict_apart(audit: CommandLine, copy: Mirror) -> None:
    code, found = audit.json("verify", copy.folder, "--vkey", VKEY)
    assert code == 0
    assert found == {
        "log": LOG,
        "key": "given",
        "size": 300,
        "checked": 300,
        "integrity": True,
        "complete": True,
        "history": True,
        "slices": None,
        "covered": None,
        "witnessed": None,
        "ok": True,
        "faults": {},
        "findings": [],
    }
    code, out, _ = audit.run("verify", copy.folder)
    assert code == 0
    assert "PROVES NOTHING" in out


def test_a_wrong_entry_is_exit_2_and_named(audit: CommandLine, copy: Mirror) -> None:
    data = copy.stored(Tile(None, 1, 44)).data
    copy.write_tile(Tile(None, 1, 44), data.replace(b"allow", b"allov", 1))
    code, found = audit.json("verify", copy.folder)
    assert (code, found["faults"]) == (2, {"altered": 1})
    assert found["findings"][0]["index"] == 256
    code, out, _ = audit.run("verify", copy.folder)
    assert code == 2
    assert "altered: entry 256" in out


def test_a_missing_file_is_exit_1(audit: CommandLine, copy: Mirror) -> None:
    (copy.folder / "tile" / "entries" / "000").unlink()
    assert audit.json("verify", copy.folder)[0] == 1


def test_no_log_at_all_is_exit_1(audit: CommandLine, tmp_path: Path) -> None:
    code, _, err = audit.run("verify", tmp_path / "nothing", "--vkey", VKEY)
    assert code == 1
    assert "exchange-audit pull" in err
    assert audit.run("verify", tmp_path / "nothing")[0] == 1


def test_an_unmet_quorum_is_exit_1_and_none_asked_for_is_exit_0(
    audit: CommandLine, copy: Mirror, tmp_path: Path
) -> None:
    code, found = audit.json("verify", copy.folder, "--policy", policy(tmp_path, "w"))
    assert (code, found["key"], found["ok"]) == (1, "policy", False)
    assert found["witnessed"] == {"satisfied": False, "needed": True, "size": None, "until": None}
    assert audit.json("verify", copy.folder, "--policy", policy(tmp_path, "none"))[0] == 0


def test_whoever_rewrites_the_folder_with_a_key_of_their_own_is_caught_by_any_key_from_outside(
    audit: CommandLine, copy: Mirror, tmp_path: Path
) -> None:
    for path in sorted(copy.folder.rglob("*")):
        if path.is_file() and path.name != "log.vkey":
            path.unlink()
    changed = [entry(9_000), *ENTRIES[1:]]
    for tile, content in tiles(changed).items():
        copy.write_tile(tile, content)
    copy.write_checkpoint(note(changed, key=THIEF))
    (copy.folder / "log.vkey").write_text(vkey(LOG, THIEF.public.raw) + "\n")
    assert audit.run("verify", copy.folder)[0] == 0  # the control: the folder's own key proves nothing
    for trusted in (("--vkey", VKEY), ("--policy", policy(tmp_path, "none"))):
        code, found = audit.json("verify", copy.folder, *trusted)
        assert (code, found["faults"]) == (2, {"unsigned": 1})


def test_another_auditor_s_checkpoint_shows_a_fork(audit: CommandLine, copy: Mirror, tmp_path: Path) -> None:
    seen = tmp_path / "seen.note"
    seen.write_text(note([entry(9_000), *ENTRIES[1:]]), "utf-8")
    assert audit.json("verify", copy.folder, "--against", seen)[1]["faults"] == {"forked": 1}
    seen.write_text(note(ENTRIES[:50]), "utf-8")
    assert audit.json("verify", copy.folder, "--against", seen)[0] == 0
    seen.write_bytes(b"\xff\xff")
    assert audit.run("verify", copy.folder, "--against", seen)[0] == 1


@pytest.mark.parametrize("text", ["nonsense\n", "quorum none", ""])
def test_a_policy_that_is_none_names_its_line(
    audit: CommandLine, copy: Mirror, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "bad.policy"
    path.write_text(text)
    code, _, err = audit.run("verify", copy.folder, "--policy", path)
    assert code == 1
    assert "policy" in err
    assert KEY.public.raw.hex() not in err


def test_the_page_for_auditors_names_every_fault_and_every_command() -> None:
    text = (Path(__file__).parents[3] / "docs" / "audit.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M)) >= {fault.value for fault in Fault}
    for command in cli.commands:
        assert f"exchange-audit {command}" in text, command
