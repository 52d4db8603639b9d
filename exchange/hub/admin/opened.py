"""The hub, or only its database, opened for one command and closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Engine

from exchange.hub.admin.commands import Target
from exchange.hub.db import open_engine
from exchange.hub.services.hub import Hub, open_hub


@contextmanager
def opened_hub(target: Target) -> Iterator[Hub]:
    """The hub with its keys unlocked. Raises: as `open_hub`."""
    hub = open_hub(target.settings())
    try:
        yield hub
    finally:
        hub.engine.dispose()


@contextmanager
def opened_database(target: Target) -> Iterator[Engine]:
    """The database alone, for commands that only look; they need no passphrase. Raises: ConfigInvalid."""
    engine = open_engine(target.settings().database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def signing_time(hub: Hub, since: datetime) -> datetime:
    """The `iat` of an operators' event: now, and after the last event of its sort, which was at `since`."""
    return max(hub.clock().replace(microsecond=0), since + timedelta(seconds=1))
