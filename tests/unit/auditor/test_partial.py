"""A part of a log: its trees continue one another, offline too, and its witnesses and others are heard."""

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from exchange.auditor.history import Trust
from exchange.auditor.mirror import KeptNote, Mirror
from exchange.auditor.partial import Partial, PartVerdict
from exchange.auditor.verdict import Fault
from exchange.auditor.witnessed import see_for_part
from exchange.log.tiles import parse_tile_path
from exchange.log.tree import complete_root, inclusion_proof, root_of
from exchange.member.witnessed import LOG_PREFIX
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import HubRefused, LogFork, NotFound
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import NOW, TRUST, VKEY, entry, note
from tests.unit.auditor.test_witnessed import NEXT_VKEY, POLICY, WHEN, Witnesses, cosigned

LOG = [entry(number) for number in range(700)]
OTHER = [*LOG[:3], entry(9_000), *LOG[4:]]
PAGE = 100


class PartHub:
    """Shows every entry of a log, a page at a time, and its tiles in any width."""

    def __init__(self, entries: list[bytes], *, shown: str | None = None) -> None:
        self.entries = entries
        self.shown = note(entries) if shown is None else shown
        self.leaves = [sha256(b"\0" + item).digest() for item in entries]

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        assert path == "/v1/audit/entries"
        start, size = int(params.get("cursor", 0)), len(self.entries)
        end = min(size, start + PAGE)
        return {
            "checkpoint": note(self.entries),
            "about": ["ngo-a"],
            "entries": [self._proved(index) for index in range(start, end)],
            "cursor": str(end),
            "more": end < size,
        }

    def _proved(self, index: int) -> dict[str, Any]:
        path = inclusion_proof(index, len(self.leaves), self._node)
        return {"index": index, "entry": b64u(self.entries[index]), "path": [b64u(one) for one in path]}

    def _node(self, level: int, index: int) -> bytes:
        return complete_root(self.leaves[index << level : (index + 1) << level])

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        tile = parse_tile_path(path.removeprefix(LOG_PREFIX))
        assert tile.level is not None
        first, span = tile.start, 256**tile.level
        if (first + tile.width) * span > len(self.leaves):
            raise NotFound("the log has no such tile")
        parts = (self.leaves[at * span : (at + 1) * span] for at in range(first, first + tile.width))
        return b"".join(map(root_of, parts))[:limit]

    def get_text(self, path: str, *, limit: int) -> str:
        assert path == LOG_PREFIX + "checkpoint"
        return self.shown[:limit]


def pulled(folder: Path, *sizes: int) -> Partial:
    part = Partial(folder)
    for size in sizes:
        part.pull(PartHub(LOG[:size]), VKEY)
    return part


def faults(part: Partial, **more: Any) -> dict[Fault, int]:
    return part.verify(TRUST, **more).counts


def altered(folder: Path, *statements: str) -> Partial:
    with sqlite3.connect(folder / "partial.sqlite") as db:
        for statement in statements:
            db.execute(statement)
    return Partial(folder)


def test_an_honest_part_verifies_after_any_pulls(tmp_path: Path) -> None:
    part = pulled(tmp_path, 3, 3, 256, 300, 700)
    found = part.verify(TRUST)
    assert (found.ok, found.integrity, found.history) == (True, True, True)
    assert (found.entries, found.size, found.about, found.witnessed) == (700, 700, ("ngo-a",), None)


def test_a_tree_that_does_not_continue_the_one_before_is_found_offline(tmp_path: Path) -> None:
    pulled(tmp_path, 300, 700)
    with sqlite3.connect(tmp_path / "partial.sqlite") as db:
        # By the log's own key: it signed two histories, and the entries of the first go with it.
        db.execute("UPDATE tree SET note = ? WHERE size = 300", (note(OTHER[:300]),))
        db.execute("DELETE FROM entry WHERE size = 300")
    assert faults(Partial(tmp_path)) == {Fault.FORKED: 1}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM tree", {Fault.MISSING: 700}),
        ("DELETE FROM tree WHERE size = 300", {Fault.MISSING: 300}),
        ("DELETE FROM step", {Fault.MISSING: 1}),
        ("UPDATE step SET proof = NULL", {Fault.MISSING: 1}),
        ("UPDATE step SET proof = x'00'", {Fault.FORKED: 1}),
        ("UPDATE entry SET path = NULL WHERE idx = 5", {Fault.ALTERED: 1}),
        ("UPDATE entry SET path = x'00' WHERE idx = 5", {Fault.ALTERED: 1}),
        ("UPDATE entry SET entry = 'text' WHERE idx = 5", {Fault.ALTERED: 1}),
        ("UPDATE entry SET size = 700 WHERE idx = 5", {Fault.ALTERED: 1}),
        ("UPDATE entry SET size = NULL WHERE idx = 5", {Fault.MISSING: 1}),
    ],
)
def test_a_part_that_was_tampered_with_does_not_verify(
    tmp_path: Path, statement: str, expected: dict[Fault, int]
) -> None:
    pulled(tmp_path, 300, 700)
    found = altered(tmp_path, statement).verify(TRUST)
    assert found.counts == expected
    assert not found.ok


def test_verifying_a_part_writes_nothing(tmp_path: Path) -> None:
    pulled(tmp_path / "a #1?mode=rw", 300, 700)
    file = tmp_path / "a #1?mode=rw" / "partial.sqlite"
    altered(file.parent, "DROP TABLE step")
    before = file.read_bytes()
    assert faults(Partial(file.parent)) == {Fault.MISSING: 1}
    assert file.read_bytes() == before


def test_the_next_pull_proves_a_step_that_is_not_proved(tmp_path: Path) -> None:
    pulled(tmp_path, 300, 600)
    altered(tmp_path, "DELETE FROM step")
    assert faults(pulled(tmp_path, 700)) == {}


@pytest.mark.parametrize(("shown", "rule"), [(OTHER, "forked"), (LOG[:299], "rolled-back")])
def test_the_note_that_proves_a_lie_is_kept_and_told(tmp_path: Path, shown: list[bytes], rule: str) -> None:
    part = pulled(tmp_path, 300)
    with pytest.raises(LogFork) as caught:
        part.pull(PartHub(shown), VKEY)
    assert caught.value.rule == rule
    (kept,) = (tmp_path / "evidence").iterdir()
    assert kept.read_text("utf-8") == note(shown)
    assert faults(part) == {Fault(rule): 1}
    assert part.verify(TRUST).entries == 300


def test_pages_that_never_end_are_refused(tmp_path: Path) -> None:
    class Endless(PartHub):
        def get(self, path: str, params: Any = None) -> dict[str, Any]:
            return super().get(path, {}) | {"more": True}

    with pytest.raises(HubRefused, match="do not go on"):
        Partial(tmp_path).pull(Endless(LOG[:50]), VKEY)


# -- witnesses -----------------------------------------------------------------------------------------


def with_witnesses(folder: Path, hub: PartHub, witnesses: Witnesses) -> PartVerdict:
    part = Partial(folder)
    see_for_part(part, hub, VKEY, policy=POLICY, ask=witnesses.ask, now=NOW)
    return part.verify(Trust(TRUST.keys, "policy", NOW, POLICY))


def test_what_witnesses_cosigned_makes_a_part_witnessed(tmp_path: Path) -> None:
    pulled(tmp_path, 300)
    hub = PartHub(LOG[:400], shown=cosigned(LOG[:280], "w1"))
    asked = Witnesses(w1=cosigned(LOG[:280], "w1"), w2=cosigned(LOG[:280], "w2"))
    found = with_witnesses(tmp_path, hub, asked)
    assert found.ok
    assert found.witnessed is not None
    assert (found.witnessed.size, found.witnessed.when) == (280, WHEN)
    # Larger than what was pulled, and the hub has it: the log has grown since.
    assert with_witnesses(tmp_path, hub, Witnesses(w1=cosigned(LOG[:390], "w1"), w2=None)).size == 390


def test_a_part_that_too_few_cosigned_is_not_witnessed(tmp_path: Path) -> None:
    pulled(tmp_path, 300)
    found = with_witnesses(tmp_path, PartHub(LOG[:300]), Witnesses(w1=cosigned(LOG[:280], "w1"), w2=None))
    assert (found.integrity, found.history, found.ok) == (True, True, False)
    assert (
        see_for_part(Partial(tmp_path), PartHub(LOG), VKEY, policy=None, ask=Witnesses().ask, now=NOW) is None
    )


def test_a_witness_that_knows_the_key_before_alone_is_heard_by_a_part(tmp_path: Path) -> None:
    pulled(tmp_path, 300)
    Mirror(tmp_path).add_key(NEXT_VKEY)
    seen = Partial(tmp_path).see(PartHub(LOG[:300]), cosigned(LOG[:280], "w1"), NEXT_VKEY)
    assert seen.size == 280


@pytest.mark.parametrize("size", [280, 300, 350])
def test_a_witness_that_saw_another_past_proves_a_fork(tmp_path: Path, size: int) -> None:
    pulled(tmp_path, 300)
    with pytest.raises(LogFork) as caught:
        with_witnesses(tmp_path, PartHub(LOG[:400]), Witnesses(w1=cosigned(OTHER[:size], "w1"), w2=None))
    assert caught.value.rule == "forked"
    assert faults(Partial(tmp_path)) == {Fault.FORKED: 1}


def test_a_witness_that_saw_more_than_the_hub_shows_proves_a_roll_back(tmp_path: Path) -> None:
    pulled(tmp_path, 300)
    with pytest.raises(LogFork) as caught:
        with_witnesses(tmp_path, PartHub(LOG[:300]), Witnesses(w1=cosigned(LOG, "w1"), w2=None))
    assert caught.value.rule == "rolled-back"
    assert faults(Partial(tmp_path)) == {Fault.ROLLED_BACK: 1}


def test_an_entry_that_is_older_than_a_tree_without_it_is_back_dated(tmp_path: Path) -> None:
    late = [*LOG[:300], entry(300, ts=int((WHEN.timestamp() - 31) * 1_000_000))]
    pulled(tmp_path, 300)
    Partial(tmp_path).see(PartHub(LOG[:300]), cosigned(LOG[:300], "w1"), VKEY)
    Partial(tmp_path).pull(PartHub(late), VKEY)
    found = Partial(tmp_path).verify(Trust(TRUST.keys, "policy", NOW, POLICY))
    assert found.counts == {Fault.BACK_DATED: 1}
    assert found.findings[0].index == 300
    # The control: without a policy there is no time to hold it against.
    assert faults(Partial(tmp_path)) == {}


# -- what somebody else saw ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (note(LOG[:300]), {}),
        (note(OTHER[:300]), {Fault.FORKED: 1}),
        (note(LOG[:200]), {Fault.MISSING: 1}),
        (note(LOG[:300], key=SigningKey.from_seed(bytes(31) + b"\1")), {Fault.UNSIGNED: 1}),
    ],
)
def test_what_somebody_else_saw_is_held_against_a_part(
    tmp_path: Path, shown: str, expected: dict[Fault, int]
) -> None:
    part = pulled(tmp_path, 300)
    assert faults(part, others=[KeptNote("theirs.note", shown)]) == expected


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (lambda _folder: None, 0),
        (lambda folder: altered(folder, "DELETE FROM tree"), 1),
        (lambda folder: altered(folder, "UPDATE entry SET path = x''"), 2),
    ],
)
def test_the_program_tells_a_part_that_lacks_something_from_one_that_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    alter: Callable[[Path], Any],
    code: int,
) -> None:
    audit = CommandLine(capsys, monkeypatch)
    pulled(tmp_path / "part", 5)
    alter(tmp_path / "part")
    done, found = audit.json("verify", tmp_path / "part", "--vkey", VKEY)
    assert (done, found["ok"], found["complete"], found["slices"]) == (code, code == 0, False, None)
    (tmp_path / "theirs.note").write_text(note(OTHER[:5]), "utf-8")
    done, out, _ = audit.run(
        "verify", tmp_path / "part", "--vkey", VKEY, "--against", tmp_path / "theirs.note"
    )
    assert (done, "history:      CONTRADICTED" in out) == ((2, True) if code != 1 else (1, False))


@pytest.mark.parametrize("spoil", ["log.vkey", "partial.sqlite"])
def test_a_part_that_cannot_be_read_is_not_called_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    pulled(tmp_path, 5)
    file = tmp_path / spoil
    if spoil == "log.vkey":
        file.unlink()
    else:
        file.write_bytes(bytes(4096))
    code, _, err = CommandLine(capsys, monkeypatch).run("verify", tmp_path, "--vkey", VKEY)
    assert (code, "LOG_INCOMPLETE" in err) == (1, True)
