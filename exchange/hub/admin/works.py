"""What runs beside the workers of `serve`: publishing, upkeep, webhooks."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from exchange.hub.admin.beside import END_THE_SERVER, Wait, Work
from exchange.hub.db import open_engine
from exchange.hub.services.publish_loop import publish_until
from exchange.hub.services.publishing import EVERY_S
from exchange.hub.services.upkeep import Upkeep
from exchange.hub.tilestore import open_tiles
from exchange.hub.webhooks.sender import Sender
from exchange_schemas.codec import b64u

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub


def works_of(hub: Hub) -> list[Work]:
    """What this hub needs.

    Raises: ConfigInvalid, MissingExtra for the store of the log's files.
    """
    # The sender talks to addresses that agencies chose: it has none of the hub's keys.
    works = [
        Work("upkeep", partial(_upkeep, hub)),
        Work("webhooks", partial(_webhooks, hub.settings.database_url), fresh=True),
    ]
    if hub.witnesses is not None or open_tiles(hub.settings) is not None:
        works.append(Work("publisher", partial(_publish, hub)))
    return works


def holder_name() -> str:
    """This process among all that may do a work whose turn one has."""
    return f"{os.uname().nodename}/{os.getpid()}"


def _upkeep(hub: Hub, wait: Wait) -> int:
    Upkeep(_own(hub), holder_name()).run(wait)
    return 0


def _publish(hub: Hub, wait: Wait) -> int:
    good = publish_until(_own(hub), b64u(hub.random(9)), lambda: wait(EVERY_S))
    return 0 if good else END_THE_SERVER


def _own(hub: Hub) -> Hub:
    """The hub over connections of this process's own."""
    return replace(hub, engine=open_engine(hub.settings.database_url))


def _webhooks(database_url: str, wait: Wait) -> int:
    Sender(open_engine(database_url)).run(wait)
    return 0
