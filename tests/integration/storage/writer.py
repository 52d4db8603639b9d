"""A process that releases answers over a database until it is done or killed, and tells what it answered.

Run as `python -m tests.integration.storage.writer URL DATA_DIR SEED COUNT PROCESSES`; each process prints an
entry's id once its answer would have left.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys, TokenKey
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Answer, Caller, Proof, Trace, release
from exchange.hub.settings import Settings
from exchange_keys.auth_key import AuthKey
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Act
from exchange_schemas.errors import ServiceError
from exchange_schemas.ids import AgencyId


def main(url: str, folder: str, seed: str, count: int, processes: int) -> None:
    children = [child for _ in range(processes) if (child := _start(url, folder, seed, count)) != 0]
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


def _start(url: str, folder: str, seed: str, count: int) -> int:
    """Fork before anything is open, so that each process has connections of its own."""
    child = os.fork()
    if child == 0:
        write(Path(folder), url, SigningKey.from_seed(bytes.fromhex(seed)), count)
        os._exit(0)
    return child


def hub_over(folder: Path, url: str, log: SigningKey) -> Hub:
    """A hub with connections of its own."""
    settings = Settings(
        origin="exchange.example",
        base_url="https://exchange.example",
        database_url=url,
        data_dir=folder / "data",
        guard_dir=folder / "guard",
    )
    token = TokenKey(AuthKey.generate("ES256"), datetime(2026, 1, 1, tzinfo=UTC))
    keys = HubKeys((token,), log, log)
    return Hub(settings, open_engine(url), utc_now, os.urandom, keys, FolderBlobs(settings.blobs_dir))


def write(folder: Path, url: str, log: SigningKey, count: int) -> None:
    hub = hub_over(folder, url, log)
    trace = Trace(Act.INBOX_LIST)
    for _ in range(count):
        proof = Proof(os.urandom(32), utc_now() + timedelta(minutes=2), "a.b.c")
        caller = Caller(AgencyId("agency-a"), "ngo", frozenset(), proof, None, "")
        try:
            receipt = release(hub, caller, trace, lambda _unit: Answer({}, trace)).receipt
        except ServiceError:
            # The database was killed: nothing was answered, and the next request may find it again.
            time.sleep(0.05)
            continue
        # One write, so that the lines of two processes do not mix.
        os.write(1, f"{None if receipt is None else receipt.entry_id}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
