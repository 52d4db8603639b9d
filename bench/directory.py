"""A client's own copy of the key directory at full size: the first sync, every check, and a later start."""

import os
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.directory_log import ORIGIN, ServedLog, served_log
from bench.table import Row
from exchange.member.deployment import Deployment, Operator
from exchange.member.directory import DirectoryCopy
from exchange.member.home import create_home
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange_keys.box import StoreKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import AgencyId

AGENCIES = int(os.environ.get("BENCH_DIRECTORY_AGENCIES", "1000"))
EVENTS_EACH = 40


class Hub:
    """What `DirectoryCopy` asks of a hub, answered from memory: only the client is measured."""

    def __init__(self, log: ServedLog) -> None:
        self._log = log
        self.tokens = self

    def now(self) -> datetime:
        """The clock."""
        return datetime.now(UTC)

    def get(self, _path: str, params: Mapping[str, int]) -> dict[str, JsonValue]:
        """A page."""
        return self._log.page(params["after"], params["limit"])


def rows() -> list[Row]:
    """1,000 agencies with 40 events each: CPU seconds of the first sync, and of the next command's start."""
    log = served_log(AGENCIES, EVENTS_EACH)
    with tempfile.TemporaryDirectory() as folder:
        profile = _profile(log)
        home = create_home(Path(folder) / "home", profile)
        key = StoreKey.generate()
        hub = Hub(log)
        served = _served_seconds(log)
        with Store(home.store_file, key) as store:
            start = time.process_time()
            found = DirectoryCopy(home, profile, hub, store, key).sync()  # type: ignore[arg-type]
            first = time.process_time() - start - served
            if found.size != len(log.events):
                raise SystemExit("bench: the directory was not synchronised whole")
            start = time.process_time()
            state = DirectoryCopy(home, profile, hub, store, key).state()  # type: ignore[arg-type]
            resumed = time.process_time() - start
            if state.size != found.size:
                raise SystemExit("bench: the copy did not come back whole")
    events = f"{AGENCIES} agencies x {EVENTS_EACH} events"
    return [
        Row("directory.sync_s", first, "s", aim=15, higher_is_better=False, note=f"{events}, all verified"),
        Row("directory.resume_s", resumed, "s", aim=1, higher_is_better=False, note="from the sealed state"),
    ]


def _served_seconds(log: ServedLog) -> float:
    """What making the answers costs, which is not the client's."""
    start = time.process_time()
    for after in range(0, len(log.events), 500):
        log.page(after, 500)
    return time.process_time() - start


def _profile(log: ServedLog) -> Profile:
    operator = SigningKey.generate().public
    pins = Deployment(
        ORIGIN,
        "https://hub.bench.example",
        1,
        (Operator("asha", operator.kid, operator.raw),),
        log.pin,
        log.vkey,
        log.vkey,
    )
    return Profile(AgencyId("agency-0"), "Agency", "ngo", "XK", "desk@agency.example", False, pins)
