"""One side of a race, as a process of its own: jobs on stdin, a line each; what came of them on stdout.

It opens its own connections, as a worker does. A job names the database, the folders and the calls to make.
"""

import json
import os
import sys
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys
from exchange.hub.services import consents, deposit, grants, withdrawals
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Caller, Proof
from exchange.hub.settings import Settings
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ExchangeError
from exchange_schemas.ids import AgencyId, ConsentId, GrantId


def main() -> None:
    print("here", flush=True)
    while line := sys.stdin.readline():
        job = json.loads(line)
        hub = _hub(job)
        with hub.engine.connect():
            print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps([_attempt(hub, call) for call in job["calls"]]), flush=True)
        hub.engine.dispose()


def _attempt(hub: Hub, call: dict[str, Any]) -> str:
    try:
        _call(hub, call)
    except ExchangeError as error:
        return error.code
    return "done"


def _call(hub: Hub, call: dict[str, Any]) -> None:
    proof = Proof(os.urandom(32), utc_now() + timedelta(minutes=2), f"h.{os.urandom(60).hex()}.s")
    caller = Caller(AgencyId(call["agency"]), "ngo", frozenset(), proof, None, os.urandom(16).hex())
    match call["do"]:
        case "fetch":
            grants.fetch(hub, caller, GrantId(call["gid"]))
        case "withdraw":
            withdrawals.withdraw(hub, caller, ConsentId(call["cid"]), call["body"])
        case "register":
            consents.register(hub, caller, call["body"])
        case "deposit":
            deposit.deposit(hub, caller, call["body"])


def _hub(job: dict[str, Any]) -> Hub:
    settings = Settings(
        origin="exchange.example",
        base_url="https://exchange.example",
        database_url=job["database_url"],
        data_dir=Path(job["data_dir"]),
        guard_dir=Path(job["guard_dir"]),
        environment="development",
    )
    keys = HubKeys((), *(SigningKey.from_seed(b64decode(seed)) for seed in job["seeds"]))
    engine = open_engine(settings.database_url)
    return Hub(settings, engine, utc_now, os.urandom, keys, FolderBlobs(settings.blobs_dir))


if __name__ == "__main__":
    main()
