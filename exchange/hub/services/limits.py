"""Rate limits: how many requests an agency or an address may make in a window, the same in every worker.

A limit is a quota for each window of `WINDOW_S` seconds, windows counted from 1970. It is split once:
  free    each worker may give `quota / (4 * workers)` on its own, and asks nobody
  pool    the rest lies in the database; a worker that has given its free part takes leases from it, each of
          `pool / (4 * workers)`, 4 at least; an empty pool is remembered until the window ends
So all workers together never give more than the quota, and one alone gives at least three quarters of it; a
window costs the database some `4 * workers` leases for each caller who uses all of it, a quarter of its
requests at most, and none for callers who ask little.
Nothing here may refuse somebody for an address alone who has proved who they are: agencies share addresses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from exchange_schemas.errors import RateLimited

WINDOW_S: Final = 10
MOST_KEYS: Final = 65_536
"""How many callers a worker tells apart in one window; those beyond share one count for each policy."""
_OTHERS: Final = ""
_LEAST_LEASE: Final = 4


@dataclass(frozen=True, slots=True)
class Policy:
    """A named quota of requests in each window."""

    name: str
    quota: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a caller stands: what is left at least, and the seconds until the window ends."""

    policy: Policy
    left: int
    reset_s: int

    def headers(self) -> Mapping[str, str]:
        """The header fields of draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4."""
        name = self.policy.name
        return {
            "RateLimit-Policy": f'"{name}";q={self.policy.quota};w={WINDOW_S}',
            "RateLimit": f'"{name}";r={self.left};t={self.reset_s}',
        }


class Limited(RateLimited):
    """The quota of this window is used up; `quota` says which and until when."""

    def __init__(self, quota: Quota) -> None:
        super().__init__(
            "too many requests in this window of time",
            hint="wait for Retry-After seconds, then go on more slowly",
            detail={"retry_after_s": quota.reset_s, "violated-policies": [quota.policy.name]},
        )
        self.quota = quota


@dataclass(frozen=True, slots=True)
class Ask:
    """One lease that is asked for: whose count, in which window, at most how many of a pool of how many."""

    policy: str
    key: str
    window: int
    most: int
    pool: int


@dataclass(frozen=True, slots=True)
class Lease:
    """What was given, and what the pool then had left."""

    given: int
    pool_left: int


@dataclass(slots=True)
class _Share:
    """What this worker may still give to one caller in this window; `key` is the caller, or all others."""

    key: str
    left: int
    pool_left: int
    pool_empty: bool = False
    leasing: threading.Lock = field(default_factory=threading.Lock)


class Limiter:
    """Counts in one process, for any number of policies; threads may share it."""

    def __init__(
        self, workers: int, clock: Callable[[], datetime], lease: Callable[[Ask], Lease | None]
    ) -> None:
        """`lease` asks the pool that all workers share; None when it does not answer."""
        self._workers = workers
        self._clock = clock
        self._lease = lease
        self._lock = threading.Lock()
        self._window = 0
        self._shares: dict[tuple[str, str], _Share] = {}

    def take(self, policy: Policy, key: str) -> Quota:
        """Count one request of `key` under `policy`; where it then stands. Raises: Limited."""
        now = int(self._clock().timestamp())
        window = now // WINDOW_S
        reset_s = (window + 1) * WINDOW_S - now
        with self._lock:
            share = self._share(policy, key, window)
            quota = self._give(share, policy, reset_s)
        if quota is not None:
            return quota
        # One thread asks for a lease, the others of this caller wait for what it gets. Not under the lock of
        # all: one caller's lease must not keep the others waiting.
        with share.leasing:
            with self._lock:
                quota = self._give(share, policy, reset_s)
            if quota is not None:
                return quota
            lease = self._lease(self._ask(policy, share.key, window))
            with self._lock:
                return self._leased(share, lease, policy, reset_s)

    def _give(self, share: _Share, policy: Policy, reset_s: int) -> Quota | None:
        """One of what this worker has; None when it has none and may ask for more. Raises: Limited."""
        if share.left > 0:
            share.left -= 1
            return Quota(policy, share.left + share.pool_left, reset_s)
        if share.pool_empty:
            raise Limited(Quota(policy, 0, reset_s))
        return None

    def _share(self, policy: Policy, key: str, window: int) -> _Share:
        if window != self._window:
            self._window = window
            self._shares.clear()
        place = policy.name, key
        found = self._shares.get(place)
        if found is None:
            if len(self._shares) >= MOST_KEYS:
                place = policy.name, _OTHERS
                found = self._shares.get(place)
            if found is None:
                free = self._free(policy)
                found = self._shares[place] = _Share(place[1], free, policy.quota - free * self._workers)
        return found

    def _free(self, policy: Policy) -> int:
        return policy.quota // (4 * self._workers)

    def _ask(self, policy: Policy, key: str, window: int) -> Ask:
        pool = policy.quota - self._free(policy) * self._workers
        return Ask(policy.name, key, window, max(_LEAST_LEASE, pool // (4 * self._workers)), pool)

    def _leased(self, share: _Share, lease: Lease | None, policy: Policy, reset_s: int) -> Quota:
        if lease is None:
            # The request needs the database as well and says so itself; a limit must not say it first.
            return Quota(policy, share.left, reset_s)
        share.pool_left = lease.pool_left
        share.pool_empty = lease.pool_left == 0
        share.left += lease.given
        if share.left == 0:
            raise Limited(Quota(policy, 0, reset_s))
        share.left -= 1
        return Quota(policy, share.left + share.pool_left, reset_s)
