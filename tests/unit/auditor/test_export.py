"""Exports: the evidence byte for byte, the views with index and leaf hash, and nothing from a bad copy."""

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from exchange.auditor.export import FORMATS, write_export
from exchange.auditor.mirror import PART_FILE, Mirror
from exchange.auditor.reading import proved_leaves, signed_tree
from exchange.auditor.rows import COLUMNS
from exchange.log.tiles import Tile, encode_bundle
from exchange.log.tree import leaf_hash
from exchange_schemas.errors import Conflict, ExchangeError
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import TRUST, VKEY, entry, mirror, tiles

ENTRIES = [entry(number) for number in range(600)]


@pytest.fixture
def copy(tmp_path: Path) -> Mirror:
    return mirror(tmp_path / "log", ENTRIES)


def export(copy: Mirror, form: str, *, replace: bool = False) -> Path:
    target = copy.folder.parent / f"out.{form}"
    leaves = proved_leaves(copy, signed_tree(copy, TRUST))
    assert write_export(target, leaves, FORMATS[form], replace=replace) == len(ENTRIES)
    return target


def test_a_line_of_ndjson_is_the_leaf(copy: Mirror) -> None:
    lines = export(copy, "ndjson").read_bytes().split(b"\n")
    assert lines == [*ENTRIES, b""]


def test_csv_has_index_and_leaf_hash_and_every_member(copy: Mirror) -> None:
    with export(copy, "csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert set(json.loads(ENTRIES[0])) | {"index", "leaf"} <= {*COLUMNS, "v", "log"}
    for index, row in enumerate(rows):
        assert (row["index"], row["leaf"]) == (str(index), leaf_hash(ENTRIES[index]).hex())
    assert rows[3]["own"] == "embassy-a ngo-a"
    assert rows[3]["ts"] == "2026-09-21T14:13:20.000003+00:00"
    assert rows[3]["rsn"] == ""


def test_parquet_has_typed_columns(copy: Mirror) -> None:
    table = pq.read_table(export(copy, "parquet"))
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert [row["index"] for row in rows] == list(range(600))
    assert [row["leaf"] for row in rows] == [leaf_hash(one) for one in ENTRIES]
    assert rows[3]["own"] == ["embassy-a", "ngo-a"]
    assert rows[3]["ts"].isoformat() == "2026-09-21T14:13:20.000003+00:00"
    assert rows[3]["rsn"] is None


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("whole", [True, False])
def test_a_copy_that_does_not_verify_is_not_exported(copy: Mirror, form: str, whole: bool) -> None:
    changed = [*ENTRIES[:599], entry(9_000)]
    for tile, content in tiles(changed).items():
        if whole or tile.level is None:
            copy.write_tile(tile, content)
    with pytest.raises(ExchangeError):
        export(copy, form)
    assert [path.name for path in copy.folder.parent.iterdir()] == ["log"]


def test_an_entry_that_breaks_a_rule_is_not_exported(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [entry(0), b"nonsense"])
    with pytest.raises(ExchangeError):
        list(proved_leaves(copy, signed_tree(copy, TRUST)))


def test_a_missing_bundle_stops_the_export(copy: Mirror) -> None:
    (copy.folder / "tile" / "entries" / "001").unlink()
    with pytest.raises(ExchangeError):
        export(copy, "csv")


def test_a_file_that_is_there_is_kept_unless_told_otherwise(copy: Mirror) -> None:
    target = export(copy, "ndjson")
    target.write_bytes(b"mine")
    with pytest.raises(Conflict):
        export(copy, "ndjson")
    assert target.read_bytes() == b"mine"
    assert export(copy, "ndjson", replace=True).read_bytes() != b"mine"


def test_the_program_exports(audit: CommandLine, copy: Mirror, tmp_path: Path) -> None:
    out = tmp_path / "e.csv"
    code, found = audit.json("export", copy.folder, "--format", "csv", "--out", out, "--vkey", VKEY)
    assert (code, found["entries"]) == (0, 600)
    copy.write_tile(Tile(None, 2, 88), encode_bundle([entry(9_000 + number) for number in range(88)]))
    code, _, err = audit.run("export", copy.folder, "--out", tmp_path / "bad", "--vkey", VKEY)
    assert code == 4
    assert "exchange-audit verify" in err
    assert not (tmp_path / "bad").exists()


def test_parquet_without_its_extra_says_so(
    audit: CommandLine, copy: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = audit.run("export", copy.folder, "--format", "parquet", "--out", tmp_path / "e.parquet")
    assert code == 1
    assert 'pip install "homeward-exchange[parquet]"' in err
    assert not (tmp_path / "e.parquet").exists()


def test_a_copy_of_some_entries_is_not_taken_for_a_pull_that_broke_off(
    audit: CommandLine, tmp_path: Path
) -> None:
    part = Mirror(tmp_path / "part")
    part.pin(VKEY)
    (part.folder / PART_FILE).touch()
    for words in (("export", "--out", tmp_path / "out"), ("prove", "--out", tmp_path / "out")):
        ident = ("0",) if words[0] == "prove" else ()
        code, _, err = audit.run(words[0], part.folder, *ident, *words[1:])
        assert code != 0
        assert "some agencies only" in err
        assert "never finished" not in err
