"""Publishing for as long as the hub runs: one of many processes holds a lease and makes the rounds.

The lease saves witnesses from being asked twice; it guards nothing. Two that publish at the same time do no
harm: notes are kept by compare and set, files are immutable. The loop ends only when it is told to, or when
it has proof that a log here is not the one that was witnessed: then nothing may be served any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import storage_errors, writing
from exchange.hub.models.witnesses import log_publisher
from exchange.hub.services.publishing import HEARTBEAT_S, Publisher
from exchange.hub.services.tile_files import write_tiles
from exchange.hub.services.turns import Turn
from exchange.hub.tilestore import TileStore, open_tiles
from exchange_schemas.errors import LogFork, ServiceError, StoreCorrupt

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from exchange.hub.services.hub import Hub

LEASE_S: Final = 60
_FIRST: Final = {"one": 1, "holder": "", "until": 0, "done": None}
_ADD: Final = insert(log_publisher).values(_FIRST).on_conflict_do_nothing()
_TURN: Final = Turn(log_publisher, first=_FIRST)
_MINE: Final = update(log_publisher).where(log_publisher.c.holder == bindparam("me"))


def take_lease(engine: Engine, me: str, now: datetime, seconds: int = LEASE_S) -> bool:
    """Take or renew the lease; whether `me` holds it now."""
    return _TURN.take(engine, me, int(now.timestamp()), seconds)


def give_lease(engine: Engine, me: str) -> None:
    """Let somebody else publish at once."""
    # Without the database it simply runs out.
    with suppress(ServiceError), storage_errors(), writing(engine) as conn:
        conn.execute(_MINE.values(until=0), {"me": me})


def note_round(engine: Engine, now: datetime) -> None:
    """Remember that a round was made, by whomever."""
    with storage_errors(), writing(engine) as conn:
        conn.execute(_ADD)
        conn.execute(update(log_publisher).values(done=int(now.timestamp())))


def publish_until(hub: Hub, me: str, wait: Callable[[], bool]) -> bool:
    """Make the rounds, and write the log's files, until `wait` (which sleeps between two) gives True.

    False: there is proof that a log is not the one that was witnessed, and the hub must stop. A database, a
    disk or a bucket that does not answer is waited for.
    Raises: ConfigInvalid, MissingExtra for the store of the files.
    """
    work = _Work(hub, None if hub.witnesses is None else Publisher.of(hub), open_tiles(hub.settings))
    log = logging.getLogger(__name__)
    while True:
        try:
            if take_lease(hub.engine, me, hub.clock()) and not work.turn():
                return False
        except LogFork as error:
            log.error("publishing stops: %s", error.message)
            return False
        except ServiceError as error:
            log.warning("publishing waits: %s (%s)", error.message, error.code)
        if wait():
            give_lease(hub.engine, me)
            return True


@dataclass(slots=True)
class _Work:
    """What one process does at each turn, and what it knows of the turn before."""

    hub: Hub
    publisher: Publisher | None
    tiles: TileStore | None
    sizes: tuple[int, ...] = ()
    last: datetime | None = None

    def turn(self) -> bool:
        """False when there is proof against a log."""
        good = self.publisher is None or self._publish(self.publisher)
        if self.tiles is not None:
            self._write_files(self.tiles)
        return good

    def _publish(self, publisher: Publisher) -> bool:
        now, seen = self.hub.clock(), publisher.heads()
        quiet = self.last is not None and abs((now - self.last).total_seconds()) < HEARTBEAT_S
        if seen == self.sizes and quiet:
            return True
        done = publisher.round()
        note_round(self.hub.engine, self.hub.clock())
        # Without a quorum nothing was shown: try again at the next turn.
        self.sizes, self.last = seen, now if all(one.witnessed for one in done.outcomes) else None
        return not done.conflicts

    def _write_files(self, tiles: TileStore) -> None:
        try:
            write_tiles(self.hub, tiles)
        except (LogFork, StoreCorrupt, OSError) as error:
            # The database is the truth: this stops nothing, and an operator must look.
            logging.getLogger(__name__).error("the log's files are not written: %s", error)
