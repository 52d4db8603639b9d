"""Heads entries held against the entries: right ones pass; wrong, late and missing ones are told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.auditor.headed import HeadsCheck
from exchange.auditor.mirror import Mirror
from exchange.auditor.verdict import Fault, Findings
from exchange.auditor.verify import verify_mirror
from exchange.log.canonical import Bundle
from exchange.log.slices import Heads, Slice, parties_of
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import LogIncomplete
from exchange_schemas.ids import AgencyId
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import LOG, TRUST, VKEY, mirror

SALTS = {name: bytes([number]) * 32 for number, name in enumerate(("embassy-a", "ngo-a", "ngo-b"), 1)}
START = 1_790_000_000_000_000
MINUTE = 60_000_000


class Log:
    """Entries as a hub would write them; `minutes` is the log's clock."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.minutes = 0.0

    def add(
        self, *own: str, act: Act = Act.GRANT_FETCH, pol: str | None = None, opr: str | None = None
    ) -> None:
        self.minutes += 0.01
        self.entries.append(
            Entry(
                log=LOG,
                id=b64u(len(self.entries).to_bytes(16, "big")),
                ts=START + int(self.minutes * MINUTE),
                act=act,
                out="allow",
                own=tuple(AgencyId(name) for name in sorted(own)),
                org=AgencyId(own[0]) if own and opr is None else None,
                pol=pol,
                opr=opr if own else "hub",
            ).to_bytes()
        )

    def heads(
        self, covers: int | None = None, *, forget: int | None = None, root: bytes | None = None
    ) -> None:
        """The heads of the first `covers` entries; `forget` is an entry that is left out of every slice."""
        covers = len(self.entries) if covers is None else covers
        trees: dict[str, Frontier] = {}
        for index, entry in enumerate(self.entries[:covers]):
            if index != forget:
                for party in parties_of(entry):
                    trees[party] = trees.get(party, Frontier.empty()).append(leaf_hash(entry))
        made = Heads.over(covers, [Slice(n, t.size, t.root(), SALTS[n]) for n, t in trees.items()])
        self.add(act=Act.SLICE_HEADS, pol=(made if root is None else Heads(covers, root)).to_tag())


def busy(log: Log, count: int) -> None:
    for number in range(count):
        log.add(*(("embassy-a", "ngo-a"), ("ngo-b",), ("ngo-a", "ngo-b"))[number % 3])


def judged(log: Log, folder: Path, salts: dict[str, bytes] | None = SALTS) -> tuple[bool | None, set[Fault]]:
    made = mirror(folder, log.entries)
    if salts is not None:
        made.write_salts(salts)
    verdict = verify_mirror(made, TRUST)
    assert (verdict.integrity, verdict.complete, verdict.history) == (True, True, True)
    assert verdict.ok is (verdict.slices is not False)
    return verdict.slices, set(verdict.counts)


def honest() -> Log:
    log = Log()
    for count in (5, 300, 1, 260):
        busy(log, count)
        log.heads()
    busy(log, 3)
    return log


def test_the_heads_of_an_honest_log_hold(tmp_path: Path) -> None:
    assert judged(honest(), tmp_path) == (True, set())


def test_heads_that_lag_by_some_entries_hold(tmp_path: Path) -> None:
    log = honest()
    log.heads(len(log.entries) - 2)
    busy(log, 2)
    log.heads(len(log.entries) - 1)
    assert judged(log, tmp_path) == (True, set())


@pytest.mark.parametrize(
    "lie",
    [
        lambda log: log.heads(forget=0),
        lambda log: log.heads(forget=len(log.entries) - 1),
        lambda log: log.heads(root=bytes(32)),
        lambda log: log.heads(2),
        lambda log: log.add(act=Act.SLICE_HEADS, pol=Heads(len(log.entries) + 1, bytes(32)).to_tag()),
        lambda log: log.add(act=Act.SLICE_HEADS, pol="nothing"),
    ],
    ids=["first-left-out", "newest-left-out", "another-root", "goes-back", "too-much", "unreadable"],
)
def test_a_wrong_heads_entry_is_found(lie: Callable[[Log], None], tmp_path: Path) -> None:
    log = honest()
    lie(log)
    assert judged(log, tmp_path) == (False, {Fault.HEADS_WRONG})


def test_an_agency_that_the_heads_leave_out_is_found(tmp_path: Path) -> None:
    log = honest()
    salts = {name: salt for name, salt in SALTS.items() if name != "ngo-b"}
    assert judged(log, tmp_path, salts) == (False, {Fault.HEADS_WRONG})


def test_another_salt_is_found(tmp_path: Path) -> None:
    assert judged(honest(), tmp_path, SALTS | {"ngo-b": bytes(32)}) == (False, {Fault.HEADS_WRONG})


def test_heads_that_come_late_are_called_late_and_not_wrong(tmp_path: Path) -> None:
    log = honest()
    log.minutes += 11
    log.heads()
    assert judged(log, tmp_path) == (False, {Fault.HEADS_LATE})


def test_after_a_pause_of_the_hub_they_are_not_late(tmp_path: Path) -> None:
    log = honest()
    log.minutes += 600
    log.add(act=Act.HUB_START)
    log.heads()
    assert judged(log, tmp_path) == (True, set())
    log.minutes += 600
    log.add("ngo-a")
    log.minutes += 9
    log.heads()
    assert judged(log, tmp_path / "quiet") == (True, set())


def test_heads_that_never_come_are_missing(tmp_path: Path) -> None:
    log = honest()
    log.minutes += 11
    log.add(act=Act.HUB_RECOVER)
    assert judged(log, tmp_path) == (False, {Fault.HEADS_MISSING})
    none = Log()
    busy(none, 300)
    none.minutes += 11
    busy(none, 1)
    assert judged(none, tmp_path / "none") == (False, {Fault.HEADS_MISSING})
    short = Log()
    busy(short, 30)
    assert judged(short, tmp_path / "short") == (True, set())


def test_starts_again_and_again_are_no_excuse(tmp_path: Path) -> None:
    log = Log()
    for _ in range(3):
        busy(log, 3)
        log.minutes += 9
        log.add("ngo-a")
        log.add(act=Act.HUB_START)
    assert judged(log, tmp_path) == (False, {Fault.HEADS_MISSING})
    log.heads()
    assert judged(log, tmp_path / "late") == (False, {Fault.HEADS_LATE})


def test_what_operators_do_while_the_hub_is_down_waits_without_fault(tmp_path: Path) -> None:
    log = Log()
    log.add("ngo-a", act=Act.AGENCY_ADMIT, opr="ilse")
    log.minutes += 60
    log.add("ngo-b", act=Act.AGENCY_ADMIT, opr="ilse")
    log.minutes += 60
    log.add(act=Act.HUB_START)
    log.heads()
    busy(log, 3)
    log.minutes += 60
    log.add("ngo-b", act=Act.AGENCY_SUSPEND, opr="ilse")
    log.minutes += 60
    log.add(act=Act.HUB_START)
    log.minutes += 9
    log.heads()
    assert judged(log, tmp_path) == (True, set())


@pytest.mark.parametrize(("seconds", "faults"), [(500, set()), (700, {Fault.HEADS_MISSING})])
def test_a_busy_log_without_heads_is_found_out(seconds: int, faults: set[Fault]) -> None:
    findings = Findings()
    check = HeadsCheck(SALTS, findings)
    for start in range(0, 200 * seconds, 250):
        times = [START + at * 5_000 for at in range(start, start + 250)]
        check.add(start, Bundle([b"{}"] * 250, times, [("ngo-a",)] * 250), [bytes(32)] * 250)
    check.finish()
    assert set(findings.counts) == faults


def test_without_salts_nothing_is_judged(tmp_path: Path) -> None:
    log = honest()
    log.heads(forget=0)
    assert judged(log, tmp_path, None) == (None, set())


def test_of_entries_that_do_not_hold_no_slices_are_judged(tmp_path: Path) -> None:
    log = honest()
    made = mirror(tmp_path, log.entries)
    made.write_salts(SALTS)
    file = next(tmp_path.glob("tile/entries/000"))
    file.write_bytes(file.read_bytes().replace(b"ngo-b", b"ngo-c", 1))
    verdict = verify_mirror(made, TRUST)
    assert (verdict.integrity, verdict.slices) == (False, None)


def test_heads_that_lag_too_far_behind_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.auditor.headed.LAG", 300)
    log = Log()
    busy(log, 700)
    log.minutes = 1.0
    log.heads(300)
    findings = Findings()
    check = HeadsCheck(SALTS, findings)
    for start in range(0, len(log.entries), 256):
        some = log.entries[start : start + 256]
        bundle = Bundle(some, [START] * len(some), [parties_of(one) for one in some])
        check.add(start, bundle, [leaf_hash(one) for one in some])
    check.finish()
    assert set(findings.counts) == {Fault.HEADS_WRONG}


def test_salts_that_cannot_be_read_are_no_salts(tmp_path: Path) -> None:
    made = Mirror(tmp_path)
    made.pin(VKEY)
    assert made.salts() is None
    (tmp_path / "salts.json").write_bytes(b'{"ngo-a":"short"}')
    with pytest.raises(LogIncomplete):
        made.salts()


@pytest.mark.parametrize(("late", "forget", "code"), [(0.0, None, 0), (11.0, None, 1), (0.0, 0, 2)])
def test_the_exit_code_tells_wrong_heads_from_late_ones(
    audit: CommandLine, tmp_path: Path, late: float, forget: int | None, code: int
) -> None:
    log = honest()
    log.minutes += late
    log.heads(forget=forget)
    mirror(tmp_path, log.entries).write_salts(SALTS)
    ended, said = audit.json("verify", tmp_path, "--vkey", VKEY)
    assert (ended, said["slices"], said["covered"]) == (code, code == 0, len(log.entries) - 1)
    ended, out, _ = audit.run("verify", tmp_path, "--vkey", VKEY)
    assert ended == code
    words = {0: f"all that concerns it, to entry {len(log.entries) - 1}", 1: "LATE", 2: "WRONG"}
    assert words[code] in out


def test_a_log_that_has_no_heads_yet_commits_to_nothing(audit: CommandLine, tmp_path: Path) -> None:
    log = Log()
    busy(log, 3)
    mirror(tmp_path, log.entries).write_salts(SALTS)
    assert "nothing is committed to yet" in audit.run("verify", tmp_path, "--vkey", VKEY)[1]
    assert audit.json("verify", tmp_path, "--vkey", VKEY)[1]["covered"] == 0
