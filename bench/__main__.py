"""`python -m bench [GROUP …]`: runs the groups, prints one table, writes BENCH_JSON when it is set.

Exit code: 0 when every group ran, whether or not its aims are met; 1 when a group failed; 2 for a name that
is no group.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.group import GROUPS
from bench.table import Row, print_rows, write_json


def main(names: Sequence[str], groups: Mapping[str, str] = GROUPS) -> int:
    """Run the named groups, or all of them; the exit code. `groups`: the module of each."""
    unknown = [name for name in names if name not in groups]
    if unknown:
        _say(f"error: no such group: {', '.join(unknown)}")
        _say(f"hint: the groups are {', '.join(groups)}")
        return 2
    rows: list[Row] = []
    failed: list[str] = []
    for name in names or list(groups):
        found, ended_well = _run(name, groups[name])
        rows += found
        if not ended_well:
            failed.append(name)
    print_rows(rows)
    path = os.environ.get("BENCH_JSON", "")
    if path:
        write_json(rows, Path(path))
    for name in failed:
        _say(f"error: the group {name} failed; its last figures are missing")
    return 1 if failed else 0


def _run(name: str, module: str) -> tuple[list[Row], bool]:
    """The rows of one group, and whether it came to its end; what it says on stderr is shown as it comes."""
    _say(f"bench: {name} …")
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "bench.group", module], stdout=subprocess.PIPE, check=False)
    _say(f"bench: {name} took {time.monotonic() - start:.0f} s")
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    return rows, done.returncode == 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
