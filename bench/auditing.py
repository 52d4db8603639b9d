"""The auditor's passes over 1,000,000 entries: verify, export, report; how long, and whether memory is flat.

Each measurement is the program itself in a process of its own, so that its peak memory is its own. The log is
an invented story of some years, every entry of it told ten times with other ids and times: the same plots.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from bench.auditlog import Story, build
from bench.table import Row
from exchange_schemas.codec import b64u

MANY: Final = 1_000_000
FEW: Final = 100_000
REPORT_S: Final = 30.0
FLAT_MB: Final = 20.0
_DAYS: Final = 3_000
_KIB_PER_MB: Final = 1024
_PLACE: Final = re.compile(rb'"id":"([^"]{22})"|"ts":([0-9]+)')


class Measured(NamedTuple):
    """One run: wall and CPU seconds of the process, its peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def rows() -> Iterator[Row]:
    """Seconds for a million entries, and how much memory grows from a tenth of them."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        folder = Path(name)
        few, many = folder / "few", folder / "many"
        story = list(Story(days=_DAYS, per_day=16).entries(FEW))
        build(few, iter(story))
        build(many, _told_again(story, MANY))
        for what, words in _COMMANDS.items():
            small, large = (_run(words, path, folder / f"out-{what}") for path in (few, many))
            yield from _figures(what, small, large)


_COMMANDS: Final = {
    "verify": ("verify",),
    "export": ("export", "--replace", "--out"),
    "export_parquet": ("export", "--format", "parquet", "--replace", "--out"),
    "report": ("report", "--replace", "--out"),
}


def _figures(what: str, small: Measured, large: Measured) -> Iterator[Row]:
    yield Row(
        f"audit.{what}_s",
        large.wall,
        "s",
        aim=REPORT_S if what == "report" else None,
        higher_is_better=False,
        note=f"{MANY:,} entries; {large.cpu:.1f} s of CPU",
    )
    yield Row(
        f"audit.{what}_peak_growth_mb",
        max(0.0, large.peak_mb - small.peak_mb),
        "MB",
        aim=FLAT_MB,
        higher_is_better=False,
        note=f"{large.peak_mb:.0f} MB against {small.peak_mb:.0f} MB at {FEW:,}: memory is flat",
    )


def _told_again(story: list[bytes], most: int) -> Iterator[bytes]:
    """Every entry of the story many times over, a minute later and under another id each time."""
    times = most // len(story)
    for number in range(most):
        shift = number % times * 60_000_000

        def change(match: re.Match[bytes], number: int = number, shift: int = shift) -> bytes:
            if match[1] is not None:
                return b'"id":"%s"' % b64u(number.to_bytes(16, "big")).encode()
            return b'"ts":%d' % (int(match[2]) + shift)

        yield _PLACE.sub(change, story[number // times])


def _run(words: tuple[str, ...], log: Path, out: Path) -> Measured:
    """The program's own command in a process of its own, and what that process used."""
    tail = [str(out)] if words[-1] == "--out" else []
    command = [sys.executable, "-m", "bench.auditing", words[0], str(log), *words[1:], *tail]
    start = perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    wall = perf_counter() - start
    used = json.loads(done.stdout.splitlines()[-1])
    return Measured(wall, used["cpu"], used["peak_kib"] / _KIB_PER_MB)


def _measured_process() -> None:
    """What `_run` starts: the command line, then what it cost, as the last line."""
    import resource

    from exchange.auditor.cli import main

    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak_kib": used.ru_maxrss}))


if __name__ == "__main__":
    os.environ.pop("HOMEWARD_HOME", None)
    _measured_process()
