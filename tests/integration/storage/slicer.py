"""A process that keeps the slices of a log until it is killed, again for each line that it is given.

Run as `python -m tests.integration.storage.slicer URL DATA_DIR SEED`; it prints the worker's process id.
"""

import os
import sys
from pathlib import Path

from exchange.hub.services.hub import Hub
from exchange.hub.services.slices import append_heads, index_some
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ServiceError
from tests.integration.storage.writer import hub_over

AT_ONCE = 3


def main(url: str, folder: str, seed: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            work(hub_over(Path(folder), url, SigningKey.from_seed(bytes.fromhex(seed))))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)


def work(hub: Hub) -> None:
    """Small pieces, so that a kill comes in the middle of one."""
    while True:
        try:
            if index_some(hub, AT_ONCE) == 0:
                append_heads(hub)
        except ServiceError:
            # Another one of its kind, or a writer, was first.
            continue


if __name__ == "__main__":
    main(*sys.argv[1:4])
