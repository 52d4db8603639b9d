"""The pools of rate limits on both databases: one count for all workers, forgotten with its window."""

from dataclasses import replace

from sqlalchemy import func, select, text

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.limits import rate_lease
from exchange.hub.services.hub import Hub
from exchange.hub.services.leases import take_lease
from exchange.hub.services.limits import Ask, Lease
from tests.integration.storage import only

ASK = Ask("agency", "agency-a", window=1000, most=4, pool=10)


def test_all_workers_take_from_one_pool_until_it_is_empty(hub: Hub) -> None:
    other = open_engine(hub.settings.database_url)
    taken = [take_lease(engine, ASK) for engine in (hub.engine, other, hub.engine, other)]
    assert taken == [Lease(4, 6), Lease(4, 2), Lease(2, 0), Lease(0, 0)]
    other.dispose()


def test_a_new_window_has_a_new_pool_and_a_late_worker_opens_no_old_one(hub: Hub) -> None:
    take_lease(hub.engine, ASK)
    assert take_lease(hub.engine, replace(ASK, window=1001)) == Lease(4, 6)
    # Its clock is behind: it counts into the newer window.
    assert take_lease(hub.engine, ASK) == Lease(4, 2)
    assert take_lease(hub.engine, replace(ASK, window=1001)) == Lease(2, 0)


def test_callers_and_policies_have_pools_of_their_own(hub: Hub) -> None:
    for ask in (ASK, replace(ASK, key="agency-b"), replace(ASK, policy="address")):
        assert take_lease(hub.engine, ask) == Lease(4, 6)


def test_no_address_is_kept_and_old_rows_go(hub: Hub) -> None:
    for number in range(300):
        take_lease(hub.engine, replace(ASK, key=f"192.0.2.{number}", window=number % 7))
    with reading(hub.engine) as conn:
        assert not any("192.0.2" in caller for caller in conn.execute(select(rate_lease.c.caller)).scalars())
    for number in range(200):
        take_lease(hub.engine, replace(ASK, key=f"new-{number}", window=10_000))
    with reading(hub.engine) as conn:
        old = select(func.count()).select_from(rate_lease).where(rate_lease.c.win < 7)
        assert conn.execute(old).scalar_one() == 0


@only.SQLITE
def test_a_database_that_cannot_be_written_gives_no_lease_and_no_error(hub: Hub) -> None:
    with writing(hub.engine) as conn:
        conn.execute(text("ALTER TABLE rate_lease RENAME TO away"))
    assert take_lease(hub.engine, ASK) is None
