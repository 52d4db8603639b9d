"""The hub as one value: settings, database, clock, randomness, keys and blobs, built once and passed on.

It must never be a global: `open_hub` builds it, the app holds it, services get it as their first argument.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine

from exchange.hub.blobs import BlobStore, FolderBlobs
from exchange.hub.combine import Combiner
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys, load_hub_keys
from exchange.hub.settings import Settings
from exchange.hub.witnesspolicy import WitnessPolicy, load_policy


@dataclass(frozen=True, slots=True)
class Hub:
    """Everything a service needs. `clock` gives aware UTC, `random` that many secure random bytes.

    `witnesses`: who cosigns the two logs; None: nobody is named. `combiner`: answers that wait for one
    transaction; each copy of a hub has its own.
    """

    settings: Settings
    engine: Engine
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    keys: HubKeys
    blobs: BlobStore
    witnesses: WitnessPolicy | None = None
    combiner: Combiner = field(default_factory=Combiner, init=False, repr=False, compare=False)


def open_hub(settings: Settings) -> Hub:
    """The hub of these settings, with its keys unlocked; nothing is served or checked yet.

    Raises: ConfigInvalid; WrongPassphrase or KeyFileCorrupt for the key files.
    """
    keys = load_hub_keys(settings)
    return Hub(
        settings=settings,
        engine=open_engine(settings.database_url),
        clock=utc_now,
        random=os.urandom,
        keys=keys,
        blobs=FolderBlobs(settings.blobs_dir),
        witnesses=load_policy(settings, keys),
    )


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
