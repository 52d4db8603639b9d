"""A log against its own past and its witnesses: each lie has its own verdict, and the honest log has none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.auditor.history import Trust
from exchange.auditor.mirror import KeptNote, Mirror
from exchange.auditor.verdict import Fault, Verdict
from exchange.auditor.verify import verify_mirror
from exchange.log.cosignature import cosign, cosigner_vkey
from exchange.log.policy import Policy
from exchange.log.tiles import Tile, encode_bundle
from exchange_keys.signing import SigningKey
from tests.unit.auditor.logs import NOW, TRUST, VKEY, entry, mirror, note, tiles

SECOND = 1_000_000
START = 1_790_000_000
"""Entry number n was made n minutes after this, in seconds."""
W1, W2 = (SigningKey.from_seed(bytes([at]) * 32) for at in (1, 2))
WITNESSES = "".join(
    f"witness {name} {cosigner_vkey(f'{name}.example', key.public.raw)}\n"
    for name, key in (("w1", W1), ("w2", W2))
)
POLICY = Policy.from_bytes(f"log {VKEY}\n{WITNESSES}group both all w1 w2\nquorum both\n".encode())
TRUSTED = Trust(tuple(log.key for log in POLICY.logs), "policy", NOW, POLICY)


def minute(number: int) -> int:
    """The time of entry number `number`, µs."""
    return (START + 60 * number) * SECOND


LOG = [entry(number, ts=minute(number)) for number in range(300)]


def cosigned(entries: list[bytes], after: float, *keys: SigningKey) -> str:
    """The checkpoint over these entries, cosigned `after` seconds after its last entry was made."""
    text = note(entries)
    when = datetime.fromtimestamp(START + 60 * (len(entries) - 1) + after, UTC)
    names = {W1: "w1.example", W2: "w2.example"}
    return text + "".join(cosign(text, key, names[key], when) for key in keys)


def honest(folder: Path) -> Mirror:
    """A copy that was pulled at 100, 200 and 300 entries, each cosigned by both witnesses a second later."""
    made = mirror(folder, LOG)
    for size in (100, 200, 300):
        made.keep_checkpoint(size, cosigned(LOG[:size], 1, W1, W2))
    return made


@pytest.fixture
def copy(tmp_path: Path) -> Mirror:
    return honest(tmp_path / "log")


def sign_again(copy: Mirror, entries: list[bytes]) -> None:
    """What a hub can do: another log, its tiles, its own valid signature over it."""
    for tile, content in tiles(entries).items():
        copy.write_tile(tile, content)
    copy.write_checkpoint(note(entries))


def altered(copy: Mirror) -> None:
    bundle = [*LOG[256:]]
    bundle[4] = bundle[4].replace(b"allow", b"allov")
    copy.write_tile(Tile(None, 1, 44), encode_bundle(bundle))


def dropped(copy: Mirror) -> None:
    bundle = [*LOG[256:260], *LOG[261:]]
    copy.write_tile(Tile(None, 1, 44), b"".join(len(one).to_bytes(2, "big") + one for one in bundle))


def swapped(copy: Mirror) -> None:
    copy.write_tile(Tile(None, 1, 44), encode_bundle([LOG[257], LOG[256], *LOG[258:]]))


def truncated(copy: Mirror) -> None:
    copy.write_tile(Tile(None, 1, 44), encode_bundle(LOG[256:])[:-9])


def forked(copy: Mirror) -> None:
    other = [*LOG[:299], entry(9_000, ts=minute(299))]
    copy.keep_evidence(note(other), "forked")


def resigned(copy: Mirror) -> None:
    sign_again(copy, [*LOG[:150], entry(9_000, ts=minute(150)), *LOG[151:], entry(300, ts=minute(300))])


def back_dated(copy: Mirror) -> None:
    late = [*LOG, entry(300, ts=minute(250))]
    sign_again(copy, late)


def restored(copy: Mirror) -> None:
    sign_again(copy, LOG[:250])


FAULTS: dict[Fault, Callable[[Mirror], None]] = {
    Fault.ALTERED: altered,
    Fault.DROPPED: dropped,
    Fault.SWAPPED: swapped,
    Fault.TRUNCATED: truncated,
    Fault.FORKED: forked,
    Fault.RESIGNED: resigned,
    Fault.BACK_DATED: back_dated,
    Fault.ROLLED_BACK: restored,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_a_verdict_of_its_own_and_the_copy_without_it_has_none(
    copy: Mirror, fault: Fault
) -> None:
    control = verify_mirror(copy, TRUSTED)
    assert (control.ok, control.counts) == (True, {})
    FAULTS[fault](copy)
    verdict = verify_mirror(copy, TRUSTED)
    assert not verdict.ok
    assert set(verdict.counts) == {fault}


def test_what_only_the_past_shows_goes_unseen_without_the_past(tmp_path: Path) -> None:
    """The control for the kept checkpoints: take them away, and a log that was signed again looks whole."""
    for change in (resigned, back_dated, restored):
        copy = mirror(tmp_path / change.__name__, LOG)
        (copy.folder / "checkpoints" / "300").unlink()
        change(copy)
        assert verify_mirror(copy, TRUST).ok


def verdict_of(copy: Mirror, *others: str, trust: Trust = TRUST) -> Verdict:
    return verify_mirror(copy, trust, others=[KeptNote("other", text) for text in others])


def test_a_checkpoint_that_somebody_else_saw_is_held_against_the_copy(tmp_path: Path) -> None:
    copy = mirror(tmp_path, LOG)
    assert verdict_of(copy, note(LOG[:77]), note(LOG), note([])).ok
    other = [*LOG[:76], entry(9_000)]
    assert verdict_of(copy, note(other)).counts == {Fault.RESIGNED: 1}
    assert verdict_of(copy, note([*LOG[:299], entry(9_000)])).counts == {Fault.FORKED: 1}
    assert verdict_of(copy, note([*LOG, entry(300)])).counts == {Fault.ROLLED_BACK: 1}
    stranger = note(LOG[:77], key=SigningKey.from_seed(bytes([7]) * 32))
    assert verdict_of(copy, stranger).counts == {Fault.UNSIGNED: 1}


@pytest.mark.parametrize(
    ("shown", "rule", "fault"),
    [
        ([*LOG[:76], entry(9_000)], "forked", Fault.FORKED),
        ([*LOG[:76], entry(9_000)], "rolled-back", Fault.ROLLED_BACK),
        (LOG[:77], "rolled-back", Fault.ROLLED_BACK),
        ([*LOG[:76], entry(9_000), *LOG], "forked", Fault.FORKED),
        ([*LOG[:299], entry(9_000)], "forked", Fault.FORKED),
        (LOG, "forked", None),
    ],
)
def test_evidence_that_a_pull_kept_is_named(
    copy: Mirror, shown: list[bytes], rule: str, fault: Fault | None
) -> None:
    copy.keep_evidence(note(shown), rule)
    assert verdict_of(copy).counts == ({} if fault is None else {fault: 1})


def test_a_copy_that_is_not_the_signed_tree_says_nothing_about_the_past(copy: Mirror) -> None:
    for tile, content in tiles([*LOG[:50], entry(9_000), *LOG[51:]]).items():
        copy.write_tile(tile, content)
    assert set(verdict_of(copy).counts) == {Fault.REWRITTEN}


def test_a_kept_checkpoint_that_was_tampered_with_is_unsigned(copy: Mirror) -> None:
    path = copy.folder / "checkpoints" / "200"
    path.write_text(path.read_text("utf-8").replace("\n200\n", "\n201\n"), "utf-8")
    assert verdict_of(copy).counts == {Fault.UNSIGNED: 1}


# -- times ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "fine"), [(29, True), (30, True), (31, False), (3600, False)])
def test_an_entry_may_be_thirty_seconds_older_than_a_cosignature_without_it(
    tmp_path: Path, late: int, fine: bool
) -> None:
    entries = [*LOG[:200], entry(200, ts=minute(199))]
    copy = mirror(tmp_path, entries)
    copy.keep_checkpoint(200, cosigned(LOG[:200], late, W1))
    verdict = verify_mirror(copy, TRUSTED)
    assert verdict.counts == ({} if fine else {Fault.BACK_DATED: 1})
    assert [finding.index for finding in verdict.findings] == ([] if fine else [200])


def test_entries_that_the_cosigned_tree_has_may_be_older(copy: Mirror) -> None:
    copy.keep_checkpoint(300, cosigned(LOG, 86_400, W1, W2))
    assert verify_mirror(copy, TRUSTED).ok


def test_every_back_dated_entry_within_a_bundle_is_named_and_no_other(tmp_path: Path) -> None:
    entries = [entry(number, ts=minute(number)) for number in range(10)]
    entries += [entry(10, ts=minute(3)), entry(11, ts=minute(11)), entry(12, ts=minute(9))]
    copy = mirror(tmp_path, entries)
    copy.keep_checkpoint(5, cosigned(entries[:5], 1, W1))
    copy.keep_checkpoint(10, cosigned(entries[:10], 31, W1))
    assert [finding.index for finding in verify_mirror(copy, TRUSTED).findings] == [10, 12]


def test_strangers_and_other_people_s_policies_prove_no_time(copy: Mirror) -> None:
    back_dated(copy)
    assert Fault.BACK_DATED not in verify_mirror(copy, TRUST).counts
    only_w2 = Policy.from_bytes(f"log {VKEY}\n{WITNESSES.splitlines()[1]}\nquorum none\n".encode())
    for size in (100, 200, 300):
        path = copy.folder / "checkpoints" / str(size)
        path.write_text(cosigned(LOG[:size], 1, W1), "utf-8")
    assert Fault.BACK_DATED not in verify_mirror(copy, replace(TRUSTED, policy=only_w2)).counts
    assert Fault.BACK_DATED in verify_mirror(copy, TRUSTED).counts


# -- witnesses -----------------------------------------------------------------------------------------


def test_witnessed_until_the_newest_time_that_the_quorum_reaches(copy: Mirror) -> None:
    found = verify_mirror(copy, TRUSTED).witnessed
    assert found is not None
    assert (found.satisfied, found.size) == (True, 300)
    assert found.when == datetime.fromtimestamp(START + 60 * 299 + 1, UTC)


def test_a_copy_that_too_few_cosigned_is_whole_and_not_witnessed(tmp_path: Path) -> None:
    copy = mirror(tmp_path, LOG)
    copy.keep_checkpoint(200, cosigned(LOG[:200], 1, W1))
    verdict = verify_mirror(copy, TRUSTED)
    assert (verdict.integrity, verdict.complete, verdict.history, verdict.ok) == (True, True, True, False)
    assert verdict.witnessed is not None
    assert (verdict.witnessed.satisfied, verdict.witnessed.when) == (False, None)


def test_an_older_tree_may_be_the_witnessed_one(tmp_path: Path) -> None:
    copy = mirror(tmp_path, LOG)
    copy.keep_checkpoint(200, cosigned(LOG[:200], 1, W1, W2))
    found = verify_mirror(copy, TRUSTED).witnessed
    assert found is not None
    assert (found.satisfied, found.size) == (True, 200)


def test_no_policy_no_word_about_witnesses_and_no_quorum_no_time(copy: Mirror) -> None:
    assert verify_mirror(copy, TRUST).witnessed is None
    nobody = Policy.from_bytes(f"log {VKEY}\nquorum none\n".encode())
    found = verify_mirror(copy, replace(TRUSTED, policy=nobody)).witnessed
    assert found is not None
    assert (found.satisfied, found.needed, found.when) == (True, False, None)


def test_a_cosignature_of_another_checkpoint_spoils_the_note_it_stands_under(copy: Mirror) -> None:
    text = note(LOG[:77])
    bad = text + cosign(note(LOG[:78]), W1, "w1.example", NOW - timedelta(days=1))
    assert verdict_of(copy, bad, trust=TRUSTED).counts == {Fault.UNSIGNED: 1}


def test_cosignatures_of_one_checkpoint_come_together_and_the_newest_stays(tmp_path: Path) -> None:
    copy = mirror(tmp_path, LOG)
    for text in (cosigned(LOG, 50, W1), cosigned(LOG, 10, W2), cosigned(LOG, 5, W1)):
        copy.keep_checkpoint(300, text)
    found = verify_mirror(copy, TRUSTED).witnessed
    assert found is not None
    assert found.when == datetime.fromtimestamp(START + 60 * 299 + 10, UTC)
