"""Attachments: megabytes a CPU second sealed and opened, and memory: of that alone, and of the program."""

import os
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import photo_program
from bench.table import Row
from exchange_keys.attachments import open_file, seal_file
from exchange_keys.parts import PartContext, new_part_key
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.ids import AgencyId, EnvelopeId, PartId, new_id

SIZE = 24 * 1024 * 1024
ROUNDS = 7
_BLOCK = 1024 * 1024


def rows() -> list[Row]:
    """Seal and open a file of random bytes in turn; the medians, and the peak memory beyond the start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        with source.open("wb") as file:
            for _ in range(SIZE // _BLOCK):
                file.write(os.urandom(_BLOCK))
        before = _peak_mib()
        sealed, opened = zip(*(_once(folder, source) for _ in range(ROUNDS)), strict=True)
        grown = _peak_mib() - before
    note = f"{SIZE // _BLOCK} MiB, digest of the whole first"
    return [
        Row("attachment.seal_mb_per_cpu_s", SIZE / 1e6 / median(sealed), "MB/s", aim=500),
        Row("attachment.open_mb_per_cpu_s", SIZE / 1e6 / median(opened), "MB/s", aim=500, note=note),
        Row("attachment.memory_mib", grown, "MiB", aim=60, higher_is_better=False, note="peak beyond start"),
        *photo_program.rows(),
    ]


def _once(folder: Path, source: Path) -> tuple[float, float]:
    """CPU seconds of sealing and of opening the file once."""
    catalogue, part = load_catalogue(), PartId(new_id(os.urandom))
    context = PartContext(
        origin="bench.example",
        eid=EnvelopeId(new_id(os.urandom)),
        part_id=part,
        field="photo",
        schema=catalogue.version,
        sender=AgencyId("agency-a"),
    )
    key = new_part_key()
    start = time.process_time()
    path, stream = seal_file(key, source, folder, context)
    sealed = time.process_time()
    open_file(key, path, folder / "opened", context, length=stream.length, sha256=stream.sha256)
    opened = time.process_time()
    for file in (path, folder / "opened"):
        file.unlink()
    return sealed - start, opened - sealed


def _peak_mib() -> float:
    """The highest resident memory of this process so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
