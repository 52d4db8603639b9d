"""Verification: an honest log passes; every way of changing one is found and named."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.auditor.mirror import Mirror
from exchange.auditor.verify import Verdict, verify_mirror
from exchange.log.tiles import Tile, encode_bundle
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, LogIncomplete
from tests.unit.auditor.logs import entry, mirror, note, tiles

ENTRIES = [entry(number) for number in range(300)]


@pytest.fixture
def pulled(tmp_path: Path) -> Mirror:
    return mirror(tmp_path / "log", ENTRIES)


def codes(verdict: Verdict) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.index) for finding in verdict.findings}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513])
def test_an_honest_log_verifies_at_every_size(tmp_path: Path, size: int) -> None:
    verdict = verify_mirror(mirror(tmp_path, [entry(number) for number in range(size)]))
    assert verdict.ok
    assert (verdict.size, verdict.checked, verdict.findings) == (size, size, ())


def test_an_honest_log_over_two_tile_levels_verifies(tmp_path: Path) -> None:
    size = 256 * 256 + 300
    entries = [entry(number) for number in range(size)]
    pulled = mirror(tmp_path, entries)
    assert verify_mirror(pulled).ok
    level_2 = Tile(2, 0, 1)
    pulled.write_tile(level_2, bytes(32))
    assert ("PROOF_INVALID", None) in codes(verify_mirror(pulled))


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_one_altered_byte_names_the_entry(pulled: Mirror, index: int) -> None:
    tile = Tile(None, index // 256, 256 if index < 256 else 44)
    changed = [*ENTRIES]
    changed[index] = changed[index].replace(b"embassy-a", b"embassy-b")
    pulled.write_tile(tile, encode_bundle(changed[tile.start : tile.start + tile.width]))
    verdict = verify_mirror(pulled)
    assert not verdict.integrity
    assert verdict.complete
    assert ("ENTRY_INVALID", index) in codes(verdict)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_flipped_bit_of_any_file_is_found(pulled: Mirror, data: st.DataObject) -> None:
    tile, content = data.draw(st.sampled_from(sorted(tiles(ENTRIES).items(), key=str)))
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    pulled.write_tile(tile, bytes(flipped))
    try:
        assert not verify_mirror(pulled).ok
    finally:
        pulled.write_tile(tile, content)
    assert verify_mirror(pulled).ok


def test_an_altered_length_names_the_entry_it_belongs_to(pulled: Mirror) -> None:
    content = bytearray(tiles(ENTRIES)[Tile(None, 0)])
    content[2 * (2 + len(ENTRIES[0])) + 1] ^= 1
    pulled.write_tile(Tile(None, 0), bytes(content))
    assert ("ENTRY_INVALID", 2) in codes(verify_mirror(pulled))


def test_swapped_entries_are_both_named(pulled: Mirror) -> None:
    changed = [*ENTRIES[:256]]
    changed[3], changed[4] = changed[4], changed[3]
    pulled.write_tile(Tile(None, 0), encode_bundle(changed))
    assert {("ENTRY_INVALID", 3), ("ENTRY_INVALID", 4)} <= codes(verify_mirror(pulled))


def test_a_bundle_and_its_tile_rewritten_together_still_miss_the_root(pulled: Mirror) -> None:
    changed = [*ENTRIES]
    changed[7] = entry(9_000)
    for tile, content in tiles(changed).items():
        pulled.write_tile(tile, content)
    verdict = verify_mirror(pulled)
    assert not verdict.integrity
    assert ("PROOF_INVALID", None) in codes(verdict)


def test_rewritten_and_signed_by_another_key_is_refused(pulled: Mirror) -> None:
    pulled.write_checkpoint(note(ENTRIES, key=SigningKey.from_seed(bytes([1]) * 32)))
    with pytest.raises(CheckpointInvalid):
        verify_mirror(pulled)


def test_an_entry_of_another_log_is_named(tmp_path: Path) -> None:
    verdict = verify_mirror(mirror(tmp_path, [entry(0), entry(1, log="other.example/audit")]))
    assert ("ENTRY_INVALID", 1) in codes(verdict)


def test_an_entry_in_another_spelling_is_named(tmp_path: Path) -> None:
    verdict = verify_mirror(mirror(tmp_path, [entry(0).replace(b'"act"', b' "act"')]))
    assert ("ENTRY_INVALID", 0) in codes(verdict)


@pytest.mark.parametrize("tile", [Tile(None, 0), Tile(0, 0), Tile(1, 0, 1), Tile(None, 1, 44)])
def test_a_missing_file_is_incomplete_and_not_false(pulled: Mirror, tile: Tile, tmp_path: Path) -> None:
    name = {None: "entries"}.get(tile.level, str(tile.level))
    width = "" if tile.width == 256 else f".p/{tile.width}"
    (tmp_path / "log" / "tile" / name / f"{tile.n:03}{width}").unlink()
    verdict = verify_mirror(pulled)
    assert verdict.integrity
    assert not verdict.complete
    assert codes(verdict) == {("LOG_INCOMPLETE", None)}


def test_a_truncated_bundle_is_found(pulled: Mirror) -> None:
    pulled.write_tile(Tile(None, 1, 44), encode_bundle(ENTRIES[256:])[:-5])
    assert not verify_mirror(pulled).ok


@pytest.mark.parametrize("tile", [Tile(None, 1, 44), Tile(0, 1, 44), Tile(1, 0, 1)])
def test_more_in_a_file_than_its_name_says_is_found(pulled: Mirror, tile: Tile) -> None:
    more = encode_bundle([entry(9_000)]) if tile.level is None else bytes(32)
    pulled.write_tile(tile, tiles(ENTRIES)[tile] + more)
    assert not verify_mirror(pulled).integrity


def test_an_empty_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogIncomplete):
        verify_mirror(Mirror(tmp_path))


def test_a_folder_belongs_to_one_log(pulled: Mirror) -> None:
    with pytest.raises(ConfigInvalid):
        pulled.pin("other.example/audit+00000000+AAAA")


def test_progress_ends_at_the_size(pulled: Mirror) -> None:
    seen: list[tuple[int, int]] = []
    verify_mirror(pulled, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 300), (300, 300)]


def test_the_negative_control_a_hash_of_the_wrong_prefix_would_not_match() -> None:
    assert sha256(b"\0" + ENTRIES[0]).digest() != sha256(b"\1" + ENTRIES[0]).digest()
