"""Serves a witness inside the test, on a port of the system's choice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness


@contextmanager
def running(witness: Witness, *, port: int = 0, **limits: float) -> Iterator[WitnessServer]:
    """The witness behind its own server; `limits` are those of `WitnessServer`."""
    with WitnessServer(("127.0.0.1", port), witness, **limits) as server:  # type: ignore[arg-type]  # named limits
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
