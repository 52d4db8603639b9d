"""The three quotas of the hub and what happens when one is used up; one for each process.

  agency    requests of an agency that has proved who it is, token requests among them
  address   requests without proof from one address: metadata, keys, checkpoints, a missing token
  failures  proofs from one address that were not accepted
A refusal for a quota is no denial: nothing was decided, the proof is not used up, and the log gets a count of
them once a minute, not an entry each.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exchange.hub.services.counters import LIMITED, Counter
from exchange.hub.services.leases import take_lease
from exchange.hub.services.limits import Limited, Limiter, Policy, Quota

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange_schemas.ids import AgencyId


class Quotas:
    """What may still be asked of this hub, and by whom."""

    def __init__(self, hub: Hub) -> None:
        settings = hub.settings
        self._agency = Policy("agency", settings.rate_agency)
        self._address = Policy("address", settings.rate_address)
        self._failures = Policy("failures", settings.rate_failures)
        self._limiter = Limiter(settings.workers, hub.clock, partial(take_lease, hub.engine))
        self._refused = Counter(hub, LIMITED)

    def of_agency(self, agency: AgencyId) -> Quota:
        """Count one request of this agency. Raises: Limited."""
        try:
            return self._limiter.take(self._agency, agency)
        except Limited:
            self._refused.add(agency)
            raise

    def of_address(self, address: str) -> Quota:
        """Count one request from this address that proves nothing. Raises: Limited."""
        return self._limiter.take(self._address, address)

    def of_failure(self, address: str) -> None:
        """Count one proof from this address that was not accepted. Raises: Limited."""
        self._limiter.take(self._failures, address)
