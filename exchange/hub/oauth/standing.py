"""Whether an agency takes part at present, as far as a few seconds ago.

A token stays verifiable after its agency was suspended or expelled; this is what makes it useless within
`TRUSTED_S`. What gives out tokens or data in the agency's name asks the database in its own transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services.directory import agency_of
from exchange.hub.services.hub import Hub
from exchange_schemas.errors import NotFound
from exchange_schemas.ids import AgencyId

TRUSTED_S: Final = 2.0
"""How old an answer from memory may be; a suspended agency must be out within 5 s."""
_MOST: Final = 4096


class Standings:
    """The kinds of the agencies in good standing; one for each process."""

    def __init__(self, hub: Hub, seconds: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._seconds = seconds
        self._known: dict[AgencyId, tuple[str | None, float]] = {}

    def kind_of(self, agency: AgencyId) -> str | None:
        """The agency's kind; None when it is not an active member. Raises: AuditUnavailable, Unavailable."""
        now = self._seconds()
        kind, until = self._known.get(agency, (None, 0.0))
        if now < until:
            return kind
        # The time is taken before the reading: what is kept is never younger than it seems.
        kind = self._read(agency)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[agency] = kind, now + TRUSTED_S
        return kind

    def _read(self, agency: AgencyId) -> str | None:
        with storage_errors(), reading(self._hub.engine) as conn:
            try:
                state = agency_of(conn, agency)
            except NotFound:
                return None
        return state.kind if state.status == "active" else None
