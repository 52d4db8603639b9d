"""What lags behind the logs, for whoever watches the hub: witnesses, the publisher, the slices; since when.

None of them stops anything. What is said here to everybody is a name, a log and a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.witnesses import log_publisher
from exchange.hub.services import witnessed
from exchange.hub.services.logs import AUDIT, hub_logs
from exchange.hub.services.slices import uncovered_since
from exchange.hub.services.witnessed import WitnessState
from exchange.log.slices import LATE_US
from exchange_schemas.codec import JsonValue, format_time

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub

SILENT_S: Final = 180
"""Three heartbeats without a round: nobody publishes."""
PUBLISHER: Final = "publisher"
SLICES: Final = "slices"
"""Nobody brings the slices and their heads up to date: agencies and auditors see an alarm in that."""


@dataclass(frozen=True, slots=True)
class Lag:
    """A witness, the publisher or the slices that lag with a log. `since` None: never did what it should."""

    witness: str
    log: str
    since: datetime | None
    fault: str

    def to_json(self) -> dict[str, JsonValue]:
        """What everybody may see."""
        since = None if self.since is None else format_time(self.since)
        return {"witness": self.witness, "log": self.log, "since": since}


def lagging(hub: Hub) -> list[Lag]:
    """Every witness that does not cosign a log, the publisher when it makes no rounds, and late slices."""
    found = _late_slices(hub)
    if hub.witnesses is None:
        return found
    states = {(state.log, state.witness): state for state in witnessed.witness_states(hub.engine)}
    found += _publisher(hub)
    for log in hub_logs(hub):
        for one in hub.witnesses.witnesses:
            state = states.get((log.name, one.vkey))
            lag = _lag(one.name, log.name, state)
            if lag is not None:
                found.append(lag)
    return found


def report(hub: Hub) -> list[dict[str, JsonValue]]:
    """One row for each log and witness: what it cosigned last and when, and what is wrong with it."""
    if hub.witnesses is None:
        return []
    states = {(state.log, state.witness): state for state in witnessed.witness_states(hub.engine)}
    rows: list[dict[str, JsonValue]] = []
    for log in hub_logs(hub):
        for one in hub.witnesses.witnesses:
            state = states.get((log.name, one.vkey), WitnessState(log.name, one.vkey))
            rows.append(
                {
                    "log": log.name,
                    "witness": one.name,
                    "size": state.size,
                    "cosigned": _time(state.cosigned),
                    "lagging_since": _time(state.failing),
                    "fault": state.fault,
                }
            )
    return rows


def _lag(witness: str, log: str, state: WitnessState | None) -> Lag | None:
    if state is None:
        return Lag(witness, log, None, "it was never asked")
    if state.failing is None:
        return None
    return Lag(witness, log, datetime.fromtimestamp(state.failing, UTC), f"{state.fault}")


def _late_slices(hub: Hub) -> list[Lag]:
    since = uncovered_since(hub)
    if since is None or hub.clock() - since <= timedelta(microseconds=LATE_US):
        return []
    return [Lag(SLICES, AUDIT, since, "no heads entry covers what was logged since")]


def _publisher(hub: Hub) -> list[Lag]:
    with storage_errors(), reading(hub.engine) as conn:
        done = conn.execute(select(log_publisher.c.done)).scalar()
    if done is not None and hub.clock().timestamp() - done <= SILENT_S:
        return []
    since = None if done is None else datetime.fromtimestamp(done, UTC)
    return [Lag(PUBLISHER, log.name, since, "nobody publishes") for log in hub_logs(hub)]


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else format_time(datetime.fromtimestamp(seconds, UTC))
