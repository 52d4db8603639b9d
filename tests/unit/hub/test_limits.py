"""Quotas in shares: never more than the quota by all workers together, at least three quarters by one."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.hub.services import limits
from exchange.hub.services.limits import WINDOW_S, Ask, Lease, Limited, Limiter, Policy

START = datetime(2026, 11, 26, 1, 0, 3, tzinfo=UTC)


class Pool:
    """What the database does, for all workers of a test, and how often it was asked."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str, int], int] = {}
        self.asked = 0
        self.away = False

    def __call__(self, ask: Ask) -> Lease | None:
        self.asked += 1
        if self.away:
            return None
        place = ask.policy, ask.key, ask.window
        before = self.taken.get(place, 0)
        self.taken[place] = before + ask.most
        return Lease(max(0, min(ask.most, ask.pool - before)), max(0, ask.pool - self.taken[place]))


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def limiters(count: int, pool: Pool, clock: Callable[[], datetime]) -> list[Limiter]:
    return [Limiter(count, clock, pool) for _ in range(count)]


def gives(limiter: Limiter, policy: Policy, key: str = "a") -> bool:
    try:
        limiter.take(policy, key)
    except Limited:
        return False
    return True


@given(
    st.integers(1, 300), st.integers(1, 6), st.lists(st.integers(0, 5), min_size=1, max_size=500), st.data()
)
def test_all_workers_together_never_give_more_than_the_quota(
    quota: int, workers: int, order: list[int], data: st.DataObject
) -> None:
    pool, policy = Pool(), Policy("agency", quota)
    running = limiters(workers, pool, Clock())
    given = sum(gives(running[at % workers], policy) for at in order * 3)
    assert given <= quota
    assert given <= len(order) * 3
    # However many ask: each worker finds the pool empty once, and its leases are few.
    assert pool.asked <= max(4 * workers + 1, quota) + workers


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("quota", [1, 7, 20, 100, 600, 10_000])
def test_one_worker_alone_gives_three_quarters_and_asks_seldom(workers: int, quota: int) -> None:
    pool, policy = Pool(), Policy("agency", quota)
    first = limiters(workers, pool, Clock())[0]
    given = sum(gives(first, policy) for _ in range(quota + 50))
    assert quota * 3 / 4 <= given <= quota
    assert pool.asked <= min(5 * workers, quota / 4) + 2


def test_a_caller_who_asks_little_costs_the_database_nothing() -> None:
    pool, policy = Pool(), Policy("agency", 600)
    (first, _) = limiters(2, pool, Clock())
    for agency in range(50):
        for _ in range(600 // 8):
            first.take(policy, f"agency-{agency}")
    assert pool.asked == 0


def test_a_used_up_quota_is_refused_without_asking_until_the_window_ends() -> None:
    pool, clock, policy = Pool(), Clock(), Policy("agency", 10)
    (only,) = limiters(1, pool, clock)
    assert sum(gives(only, policy) for _ in range(20)) == 10
    asked = pool.asked
    with pytest.raises(Limited) as caught:
        only.take(policy, "a")
    assert pool.asked == asked
    assert caught.value.quota.reset_s == 7
    assert caught.value.detail == {"retry_after_s": 7, "violated-policies": ["agency"]}
    assert caught.value.quota.headers() == {
        "RateLimit-Policy": '"agency";q=10;w=10',
        "RateLimit": '"agency";r=0;t=7',
    }
    clock.now = START + timedelta(seconds=6)
    assert not gives(only, policy)
    clock.now = START + timedelta(seconds=7)
    assert only.take(policy, "a").left == 9
    assert WINDOW_S == 10


def test_what_is_left_only_goes_down_and_is_never_promised_twice() -> None:
    policy = Policy("agency", 100)
    (only,) = limiters(1, Pool(), Clock())
    assert [only.take(policy, "a").left for _ in range(100)] == list(range(99, -1, -1))


def test_threads_of_one_caller_at_once_take_one_lease_at_a_time() -> None:
    """Else they would empty the pool by asking, and be refused what their own worker holds."""
    pool, policy = Pool(), Policy("failures", 20)
    (first, _) = limiters(2, pool, Clock())
    start, given = threading.Barrier(18), []

    def slow(ask: Ask) -> Lease | None:
        time.sleep(0.01)
        return pool(ask)

    first._lease = slow

    def ask() -> None:
        start.wait()
        given.append(gives(first, policy))

    threads = [threading.Thread(target=ask) for _ in range(18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [True] * 18
    assert pool.asked == 4


def test_callers_and_policies_are_counted_apart() -> None:
    (only,) = limiters(1, Pool(), Clock())
    small, other = Policy("agency", 3), Policy("address", 3)
    for _ in range(5):
        gives(only, small, "a")
    assert gives(only, small, "b")
    assert gives(only, other, "a")
    assert not gives(only, small, "a")


def test_a_pool_that_does_not_answer_refuses_nobody() -> None:
    pool, policy = Pool(), Policy("agency", 4)
    (only,) = limiters(1, pool, Clock())
    pool.away = True
    assert all(gives(only, policy) for _ in range(20))
    pool.away = False
    assert sum(gives(only, policy) for _ in range(20)) == 3


def test_addresses_beyond_the_most_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 10)
    policy = Policy("address", 8)
    (only,) = limiters(1, Pool(), Clock())
    names = (f"address-{number}" for number in count())
    assert sum(gives(only, policy, next(names)) for _ in range(100)) == 10 + 8
