"""Serves the bare Flask floor as `exchange-hub serve` serves the hub: the same server, workers and threads.

What the hub does beyond that to be faster (a processor for each worker, its interpreter) is its own.

Run as `python -m bench.floor_server PORT WORKERS THREADS` with FLOOR_DATABASE_URL set.
"""

import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from bench.load import HOST

BACKLOG = 1024


def serve(port: int, workers: int, threads: int) -> None:
    """Serve until SIGTERM."""
    Granian(
        "bench.floor_app:app",
        address=HOST,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=threads,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    ).serve()


if __name__ == "__main__":
    serve(*(int(argument) for argument in sys.argv[1:4]))
