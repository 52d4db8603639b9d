"""Verification: an honest log passes; every way of changing one is found and called by its name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.auditor.mirror import Mirror
from exchange.auditor.verdict import LISTED, Fault, Verdict
from exchange.auditor.verify import verify_mirror
from exchange.log.tiles import Tile, encode_bundle
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid, LogIncomplete
from tests.unit.auditor.logs import TRUST, entry, mirror, note, tiles

ENTRIES = [entry(number) for number in range(600)]
LAST = Tile(None, 2, 88)


@pytest.fixture
def pulled(tmp_path: Path) -> Mirror:
    return mirror(tmp_path / "log", ENTRIES)


def faults(copy: Mirror) -> set[tuple[Fault, int | None]]:
    return {(finding.fault, finding.index) for finding in verify_mirror(copy, TRUST).findings}


def bundle(copy: Mirror, n: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Put another bundle in the place of number `n`; nothing else changes."""
    entries = ENTRIES[256 * n : 256 * (n + 1)]
    changed = b"".join(len(item).to_bytes(2, "big") + item for item in change([*entries]))
    copy.write_tile(Tile(None, n, len(entries)), changed)


def rewrite(copy: Mirror, entries: list[bytes]) -> None:
    """Put this log in the place of the old one, its tiles as they must be."""
    for tile, content in tiles(entries).items():
        copy.write_tile(tile, content)


# -- what holds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513])
def test_an_honest_log_verifies_at_every_size(tmp_path: Path, size: int) -> None:
    verdict = verify_mirror(mirror(tmp_path, [entry(number) for number in range(size)]), TRUST)
    assert verdict.ok
    assert (verdict.size, verdict.checked, verdict.findings) == (size, size, ())


def test_an_honest_log_over_two_tile_levels_verifies(tmp_path: Path) -> None:
    size = 256 * 256 + 300
    pulled = mirror(tmp_path, [entry(number) for number in range(size)])
    assert verify_mirror(pulled, TRUST).ok
    for tile in (Tile(2, 0, 1), Tile(1, 0), Tile(1, 1, 1)):
        content = pulled.stored(tile).data
        pulled.write_tile(tile, bytes(len(content)))
        assert faults(pulled) == {(Fault.TILE, None)}
        pulled.write_tile(tile, content)


def test_progress_ends_at_the_size(pulled: Mirror) -> None:
    seen: list[tuple[int, int]] = []
    verify_mirror(pulled, TRUST, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 600), (512, 600), (600, 600)]


# -- a copy, or a hub's storage, that was changed ------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 255, 256, 599])
def test_one_altered_byte_names_the_entry(pulled: Mirror, index: int) -> None:
    def change(entries: list[bytes]) -> list[bytes]:
        entries[index % 256] = entries[index % 256].replace(b"embassy-a", b"embassy-b")
        return entries

    bundle(pulled, index // 256, change)
    verdict = verify_mirror(pulled, TRUST)
    assert (verdict.integrity, verdict.complete, verdict.history) == (False, True, True)
    assert faults(pulled) == {(Fault.ALTERED, index)}


def test_a_dropped_entry_is_named(pulled: Mirror) -> None:
    bundle(pulled, 0, lambda entries: entries[:7] + entries[8:])
    assert faults(pulled) == {(Fault.DROPPED, 7)}


def test_an_inserted_entry_is_named(pulled: Mirror) -> None:
    bundle(pulled, 2, lambda entries: [*entries[:7], entry(9_000), *entries[7:]])
    assert faults(pulled) == {(Fault.INSERTED, 519)}


@pytest.mark.parametrize("pair", [(3, 4), (0, 255), (3, 300), (10, 599)])
def test_swapped_entries_are_both_named_also_across_bundles(pulled: Mirror, pair: tuple[int, int]) -> None:
    changed = [*ENTRIES]
    one, other = pair
    changed[one], changed[other] = changed[other], changed[one]
    for n in {one // 256, other // 256}:
        bundle(pulled, n, lambda entries, n=n: changed[256 * n : 256 * n + len(entries)])  # type: ignore[misc]
    assert faults(pulled) == {(Fault.SWAPPED, one), (Fault.SWAPPED, other)}


@pytest.mark.parametrize("n", [0, 2])
def test_a_bundle_cut_between_two_entries_is_truncated(pulled: Mirror, n: int) -> None:
    bundle(pulled, n, lambda entries: entries[:-2])
    end = min(256 * (n + 1), 600)
    assert faults(pulled) == {(Fault.TRUNCATED, end - 2), (Fault.TRUNCATED, end - 1)}
    assert not verify_mirror(pulled, TRUST).integrity


def test_a_bundle_cut_within_an_entry_is_truncated(pulled: Mirror) -> None:
    pulled.write_tile(LAST, pulled.stored(LAST).data[:-5])
    assert faults(pulled) == {(Fault.TRUNCATED, 599)}


def test_an_empty_bundle_is_truncated(pulled: Mirror) -> None:
    pulled.write_tile(LAST, b"")
    verdict = verify_mirror(pulled, TRUST)
    assert verdict.counts == {Fault.TRUNCATED: 88}
    assert (verdict.integrity, verdict.complete) == (False, False)


def test_an_altered_length_names_the_entry_it_belongs_to(pulled: Mirror) -> None:
    content = bytearray(pulled.stored(Tile(None, 0)).data)
    content[2 * (2 + len(ENTRIES[0])) + 1] ^= 1
    pulled.write_tile(Tile(None, 0), bytes(content))
    assert faults(pulled) == {(Fault.ALTERED, 2)}


def test_two_entries_overwritten_with_the_same_one_are_both_named(pulled: Mirror) -> None:
    bundle(pulled, 0, lambda entries: [entry(9_000), entry(9_000), *entries[2:]])
    assert faults(pulled) == {(Fault.ALTERED, 0), (Fault.ALTERED, 1)}


def test_a_bundle_and_its_tile_rewritten_together_still_miss_the_root(pulled: Mirror) -> None:
    rewrite(pulled, [*ENTRIES[:7], entry(9_000), *ENTRIES[8:]])
    verdict = verify_mirror(pulled, TRUST)
    assert (verdict.integrity, verdict.history) == (False, True)
    assert faults(pulled) == {(Fault.REWRITTEN, None)}


@pytest.mark.parametrize("tile", [Tile(0, 0), Tile(0, 2, 88)])
def test_a_damaged_tile_is_not_blamed_on_the_entries(pulled: Mirror, tile: Tile) -> None:
    content = bytearray(pulled.stored(tile).data)
    content[40] ^= 1
    pulled.write_tile(tile, bytes(content))
    assert {fault for fault, _ in faults(pulled)} == {Fault.TILE}


@pytest.mark.parametrize("tile", [LAST, Tile(0, 2, 88), Tile(1, 0, 2)])
def test_more_in_a_file_than_its_name_says_is_found(pulled: Mirror, tile: Tile) -> None:
    more = encode_bundle([entry(9_000)]) if tile.level is None else bytes(32)
    pulled.write_tile(tile, tiles(ENTRIES)[tile] + more)
    assert not verify_mirror(pulled, TRUST).integrity


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_flipped_bit_of_any_file_is_found(pulled: Mirror, data: st.DataObject) -> None:
    tile, content = data.draw(st.sampled_from(sorted(tiles(ENTRIES).items(), key=str)))
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    pulled.write_tile(tile, bytes(flipped))
    try:
        assert not verify_mirror(pulled, TRUST).integrity
    finally:
        pulled.write_tile(tile, content)
    assert verify_mirror(pulled, TRUST).ok


# -- entries that the log committed to and should not have ---------------------------------------------


def test_an_entry_of_another_log_is_named(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [entry(0), entry(1, log="other.example/audit")])
    assert faults(copy) == {(Fault.MALFORMED, 1)}


def test_an_entry_in_another_spelling_is_named(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [entry(0).replace(b'"act"', b' "act"')])
    assert faults(copy) == {(Fault.MALFORMED, 0)}


# -- whose log it is -----------------------------------------------------------------------------------


def test_rewritten_and_signed_by_another_key_is_unsigned(pulled: Mirror) -> None:
    rewrite(pulled, ENTRIES)
    pulled.write_checkpoint(note(ENTRIES, key=SigningKey.from_seed(bytes([1]) * 32)))
    verdict = verify_mirror(pulled, TRUST)
    assert not verdict.integrity
    assert verdict.counts == {Fault.UNSIGNED: 1}


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: "", lambda text: "x" + text])
def test_a_damaged_checkpoint_is_unsigned(pulled: Mirror, damage: Callable[[str], str]) -> None:
    pulled.write_checkpoint(damage(note(ENTRIES)))
    assert faults(pulled) == {(Fault.UNSIGNED, None)}


def test_an_empty_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogIncomplete):
        verify_mirror(Mirror(tmp_path), TRUST)


def test_a_folder_belongs_to_one_log(pulled: Mirror) -> None:
    with pytest.raises(ConfigInvalid):
        pulled.pin("other.example/audit+00000000+AAAA")


# -- completeness --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [Tile(None, 0), Tile(0, 0), Tile(1, 0, 2), LAST, Tile(0, 2, 88)])
def test_a_missing_file_is_incomplete_and_not_false(pulled: Mirror, tile: Tile, tmp_path: Path) -> None:
    name = {None: "entries"}.get(tile.level, str(tile.level))
    width = "" if tile.width == 256 else f".p/{tile.width}"
    (tmp_path / "log" / "tile" / name / f"{tile.n:03}{width}").unlink()
    verdict = verify_mirror(pulled, TRUST)
    assert (verdict.integrity, verdict.complete, verdict.history) == (True, False, True)
    assert faults(pulled) == {(Fault.MISSING, None)}


def test_a_missing_bundle_does_not_hide_another_fault(pulled: Mirror, tmp_path: Path) -> None:
    (tmp_path / "log" / "tile" / "entries" / "000").unlink()
    bundle(pulled, 1, lambda entries: [*entries[:9], entry(9_000), *entries[10:]])
    assert faults(pulled) == {(Fault.MISSING, None), (Fault.ALTERED, 265)}


def test_many_faults_are_all_counted_and_the_first_ones_told(pulled: Mirror) -> None:
    bundle(pulled, 1, lambda entries: [entry(9_000 + number) for number in range(len(entries))])
    verdict: Verdict = verify_mirror(pulled, TRUST)
    assert verdict.counts == {Fault.ALTERED: 256}
    assert len(verdict.findings) == LISTED
    assert (verdict.checked, verdict.complete) == (600, True)
