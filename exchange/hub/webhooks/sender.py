"""The process that sends webhooks, beside the workers: looks who must be told, tells, remembers.

It holds a lease, so that of several only one sends; when it dies another takes over within 30 seconds. A
message may arrive twice (a crash between the answer and the remembering), under the same id. It says that
something waits, for whom it is, and nothing else.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine

from exchange.hub.services import webhook_queue as queue
from exchange.hub.services.webhook_queue import Due
from exchange.hub.webhooks.post import NotTold, Poster
from exchange_keys.webhooks import headers
from exchange_schemas.codec import encode, format_time
from exchange_schemas.errors import ServiceError

EVERY_S = 2.0
_AT_ONCE = 8
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Sender:
    """One sender over a database. `now` gives seconds since 1970, `jitter` 0 to 1."""

    engine: Engine
    poster: Poster = field(default_factory=Poster)
    now: Callable[[], int] = lambda: int(time.time())
    jitter: Callable[[], float] = lambda: secrets.randbelow(1000) / 1000
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def once(self) -> int:
        """Tell everybody who is due, if this process holds the lease; how many were told."""
        # A hub in which nothing waits writes nothing.
        if not queue.due(self.engine, self.now()) or not queue.hold_lease(
            self.engine, self.holder, self.now()
        ):
            return 0
        # A slow endpoint holds up nobody else, and all are done before the lease is.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return sum(pool.map(self._tell, queue.due(self.engine, self.now())))

    def run(self, wait: Callable[[float], bool]) -> None:
        """Again and again until `wait(seconds)` says that it is time to end.

        A database that is busy or away is asked again later.
        """
        while not wait(EVERY_S):
            try:
                self.once()
            except ServiceError as error:
                _LOG.warning("webhooks wait: %s", error.code)

    def _tell(self, item: Due) -> bool:
        now = self.now()
        body = message(item, now)
        signed = headers(item.secrets, item.id, now, body)
        try:
            self.poster.post(item.url, {**signed, "content-type": "application/json"}, body)
        except NotTold as error:
            if queue.failed(self.engine, item, str(error), now, self.jitter):
                _LOG.warning("a webhook of %s is given up after %s attempts", item.agency, queue.ATTEMPTS)
            return False
        queue.told(self.engine, item, now)
        return True


def message(item: Due, now: int) -> bytes:
    """The body: a type, a time, and whose inbox it is. Standard Webhooks, "Payload structure"."""
    at = format_time(datetime.fromtimestamp(now, UTC))
    return encode({"type": "inbox.waiting", "timestamp": at, "data": {"agency": item.agency}})
