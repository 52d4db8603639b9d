"""One group of the bench in a process of its own: `python -m bench.group MODULE` prints a JSON line a row.

Apart, so that no group is measured in the memory that another one left, and none ends the whole bench.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from typing import Final

from bench.table import Row

GROUPS: Final = {
    "sealing": "bench.sealing",
    "peers": "bench.peers.run",
    "imports": "bench.imports",
    "verify": "bench.verification",
    "audit": "bench.auditing",
    "requests": "bench.requests",
    "peers-oauth": "bench.peers_oauth",
    "decisions": "bench.decisions",
    "directory": "bench.directory",
    "attachments": "bench.attachments",
}


def run(module: str) -> None:
    """Print each row as soon as it is there."""
    rows: Iterable[Row] = import_module(module).rows()
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)


if __name__ == "__main__":
    run(sys.argv[1])
