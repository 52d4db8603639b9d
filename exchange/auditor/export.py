"""Write the entries of a copy to one file: as they are (ndjson), or as tables to look at (csv, parquet).

A line of ndjson is the leaf's bytes and nothing else: it is the evidence, and its SHA-256 after a zero byte
is the leaf hash. The tables are derived, with the index and the leaf hash in front. The file comes into its
place only when every entry was proved by the signed checkpoint. Memory is constant.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from exchange.auditor.reading import Leaf
from exchange.auditor.rows import COLUMNS, LISTS, Row
from exchange_keys.durable import durable_file
from exchange_schemas.errors import MissingExtra

_BATCH: Final = 16_384
"""Rows of a parquet row group; enough to compress well, few enough to stay small."""

Write = Callable[[BinaryIO, Iterable[Leaf]], int]


def write_export(target: Path, leaves: Iterable[Leaf], write: Write, *, replace: bool) -> int:
    """Write the leaves to `target`, whole or not at all; gives how many there were.

    Raises: Conflict (it exists), StorageFull; what reading the leaves raises.
    """
    with durable_file(target, replace=replace) as file:
        return write(file, leaves)


def write_ndjson(file: BinaryIO, leaves: Iterable[Leaf]) -> int:
    """One leaf a line, byte for byte."""
    count = 0
    for leaf in leaves:
        file.write(leaf.entry + b"\n")
        count += 1
    return count


def write_csv(file: BinaryIO, leaves: Iterable[Leaf]) -> int:
    """A header and one row an entry (RFC 4180), UTF-8; lists are parted by spaces."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for leaf in leaves:
        writer.writerow(Row.of(leaf).texts())
        count += 1
    text.detach()
    return count


def write_parquet(file: BinaryIO, leaves: Iterable[Leaf]) -> int:
    """A parquet file with typed columns: times as UTC timestamps, lists as lists, leaf hashes as bytes.

    Raises: MissingExtra without pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(
            "parquet needs the parquet extra", hint='pip install "homeward-exchange[parquet]"'
        ) from error

    special = {
        "index": pa.int64(),
        "leaf": pa.binary(32),
        "ts": pa.timestamp("us", tz="UTC"),
        **{name: pa.list_(pa.string()) for name in LISTS},
    }
    schema = pa.schema([(name, special.get(name, pa.string())) for name in COLUMNS])
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batches(leaves):
            columns: dict[str, list[Any]] = {
                name: [row.members.get(name) for row in batch] for name in COLUMNS
            }
            columns["index"] = [row.leaf.index for row in batch]
            columns["leaf"] = [row.leaf.hash for row in batch]
            columns["ts"] = [row.leaf.ts for row in batch]
            writer.write_table(pa.table(columns, schema=schema))
            count += len(batch)
    return count


def _batches(leaves: Iterable[Leaf]) -> Iterator[list[Row]]:
    rows = iter(leaves)
    while batch := [Row.of(leaf) for leaf in islice(rows, _BATCH)]:
        yield batch


FORMATS: Final[dict[str, Write]] = {"ndjson": write_ndjson, "csv": write_csv, "parquet": write_parquet}
