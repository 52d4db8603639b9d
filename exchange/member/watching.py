"""Looking after the key directory for this agency: synchronise, and say what a person must hear.

It reports and decides nothing; an alarm stands until an approver acknowledges it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.member.own_events import OwnAlarm
from exchange.member.session import Session
from exchange_schemas.errors import ExchangeError, LogError, ProtocolError


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What one look found.

    `size` is how many events the verified copy has. `witnessed` is when a quorum of the witnesses last saw
    the log, None where none are named. `failure` is the code of what does not verify, `detail` its sentence.
    """

    size: int | None
    new_events: int
    witnessed: datetime | None
    alarms: tuple[OwnAlarm, ...]
    failure: str | None = None
    detail: str | None = None

    @property
    def alarming(self) -> bool:
        """Whether a person must look."""
        return bool(self.alarms) or self.failure is not None


def watch(session: Session) -> WatchReport:
    """Synchronise the directory and list what nobody has looked at; what does not verify is in the report.

    Raises: HubUnreachable, Unauthorized and whatever else says nothing about the directory.
    """
    directory = session.directory
    failure: ExchangeError | None = None
    new, size = 0, None
    try:
        found = directory.sync()
        new, size = found.new_events, found.size
    except (ProtocolError, LogError) as error:
        failure = error
    return WatchReport(
        size=size,
        new_events=new,
        witnessed=directory.witnessed_at(),
        alarms=tuple(directory.own.unread()),
        failure=None if failure is None else failure.code,
        detail=None if failure is None else failure.message,
    )


def acknowledge(session: Session, index: int) -> None:
    """An approver has looked at the event `index`. Raises: NotPermitted (a caseworker), RecordUnknown."""
    session.require_approver()
    session.directory.own.acknowledge(index, by=session.user)
