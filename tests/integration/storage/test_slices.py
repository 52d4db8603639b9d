"""The slices of the log: made behind it, resumed anywhere, one heads entry for what they are."""

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.revisions import migrate
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Trace, release
from exchange.hub.services.slices import append_heads, index_some, take_lease
from exchange.hub.services.upkeep import Upkeep
from exchange.hub.services.witness_status import lagging
from exchange.log.slices import Heads, Slice, parties_of
from exchange.log.tree import Frontier, leaf_hash
from exchange_schemas.entry import Act, Entry, ts_of
from exchange_schemas.errors import AuditUnavailable, ConfigInvalid
from exchange_schemas.ids import AgencyId
from tests.integration.conftest import Clock
from tests.integration.storage import only
from tests.integration.storage.logs import check_log

TRACE = Trace(Act.INBOX_LIST)
PARTIES = ("agency-a", "agency-b", "agency-c")


def fill(hub: Hub, new_caller: Callable[..., Caller], count: int) -> None:
    """Entries of several parties, and some of none."""
    for number in range(count):
        own = tuple(AgencyId(name) for name in PARTIES[: number % 3])
        trace = replace(TRACE, own=own)
        caller = new_caller(PARTIES[number % 2])
        release(hub, caller, trace, lambda _unit, trace=trace: Answer({}, trace))  # type: ignore[misc]


def check_slices(hub: Hub) -> dict[str, list[int]]:
    """Recompute every slice from the entries below what is covered; the indexes of each."""
    entries = check_log(hub).entries
    with reading(hub.engine) as conn:
        covers = conn.execute(select(slice_state.c.covers)).scalar_one()
        stored = {row.party: row for row in conn.execute(select(slice_party))}
        leaves = conn.execute(select(slice_leaf).order_by(slice_leaf.c.number, slice_leaf.c.pos)).all()
    expected: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries[:covers]):
        for party in Entry.from_bytes(entry).own:
            expected[party].append(index)
    assert set(stored) == set(expected)
    assert sorted(row.number for row in stored.values()) == list(range(len(stored)))
    for party, indexes in expected.items():
        row = stored[party]
        tree = Frontier.empty().extend(leaf_hash(entries[index]) for index in indexes)
        assert (row.size, row.frontier) == (tree.size, tree.to_bytes())
        mine = [(leaf.pos, leaf.idx) for leaf in leaves if leaf.number == row.number]
        assert mine == list(enumerate(indexes))
    return dict(expected)


def heads_by_hand(hub: Hub, covers: int) -> Heads:
    """The heads of the first `covers` entries, from the entries and the salts alone."""
    trees: dict[str, Frontier] = defaultdict(Frontier.empty)
    for entry in check_log(hub).entries[:covers]:
        for party in parties_of(entry):
            trees[party] = trees[party].append(leaf_hash(entry))
    with reading(hub.engine) as conn:
        salts = {row.party: bytes(row.salt) for row in conn.execute(select(slice_party))}
    return Heads.over(
        covers, [Slice(name, tree.size, tree.root(), salts[name]) for name, tree in trees.items()]
    )


def test_every_entry_comes_into_the_slices_of_its_parties(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    assert index_some(hub) == 0
    assert append_heads(hub) is None
    fill(hub, new_caller, 23)
    assert index_some(hub, 10) == 10
    assert check_slices(hub)
    while index_some(hub, 7):
        check_slices(hub)
    found = check_slices(hub)
    assert set(found) == set(PARTIES[:2])
    assert all(found.values())


def test_the_heads_commit_to_all_slices_and_are_written_once(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    fill(hub, new_caller, 9)
    while index_some(hub):
        pass
    released = append_heads(hub)
    assert released is not None
    assert released.receipt is not None
    entries = check_log(hub).entries
    assert len(entries) == 10
    said = Entry.from_bytes(entries[9])
    assert (said.act, said.own, said.opr) == (Act.SLICE_HEADS, (), "hub")
    assert Heads.of_entry(entries[9]) == heads_by_hand(hub, 9)
    with reading(hub.engine) as conn:
        state = conn.execute(select(slice_state)).one()
    assert (state.head_covers, state.head_entry) == (9, released.receipt.entry_id)
    assert append_heads(hub) is None
    # Its own entry names nobody: it makes no other heads needed.
    assert index_some(hub) == 1
    assert append_heads(hub) is None
    fill(hub, new_caller, 1)
    index_some(hub)
    assert append_heads(hub) is not None
    assert Heads.of_entry(check_log(hub).entries[11]) == heads_by_hand(hub, 11)


def test_two_that_work_at_once_do_it_once(
    hub: Hub, make_hub: Callable[..., Hub], new_caller: Callable[..., Caller]
) -> None:
    fill(hub, new_caller, 12)
    from concurrent.futures import ThreadPoolExecutor

    others = [make_hub(settings=hub.settings) for _ in range(3)]

    def work(one: Hub) -> None:
        while index_some(one, 2):
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, others))
    check_slices(hub)
    with ThreadPoolExecutor(3) as pool:
        written = [one for one in pool.map(append_heads, others) if one is not None]
    assert 1 <= len(written) <= 3
    for index, entry in enumerate(check_log(hub).entries[12:], 12):
        assert Heads.of_entry(entry) == heads_by_hand(hub, 12), index


def test_whoever_dies_in_the_middle_has_changed_nothing(
    hub: Hub, new_caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hub, new_caller, 8)
    index_some(hub, 3)
    for broken in ("_write", "insert"):
        with monkeypatch.context() as patch:
            patch.setattr(f"exchange.hub.services.slices.{broken}", _die)
            with pytest.raises(KeyboardInterrupt):
                index_some(hub, 4)
        assert sum(map(len, check_slices(hub).values())) > 0
    while index_some(hub, 4):
        check_slices(hub)
    with monkeypatch.context() as patch:
        patch.setattr("exchange.hub.services.slices._KEEP", "no statement")
        with pytest.raises(Exception, match="executable"):
            append_heads(hub)
    assert len(check_log(hub).entries) == 8
    with reading(hub.engine) as conn:
        assert conn.execute(select(slice_state.c.head_entry)).scalar_one() == ""
    assert append_heads(hub) is not None


def _die(*_args: object, **_named: object) -> None:
    raise KeyboardInterrupt


def test_one_has_the_turn_until_it_stops_taking_it(make_hub: Callable[..., Hub]) -> None:
    clock = Clock()
    hub = make_hub(clock=clock)
    assert take_lease(hub, "one")
    assert not take_lease(hub, "two")
    clock.shift = timedelta(seconds=20)
    assert take_lease(hub, "one")
    clock.shift = timedelta(seconds=40)
    assert not take_lease(hub, "two")
    clock.shift = timedelta(seconds=80)
    assert take_lease(hub, "two")
    assert not take_lease(hub, "one")


def test_the_upkeep_writes_heads_once_a_minute_and_waits_out_a_failure(
    hub: Hub, new_caller: Callable[..., Caller], caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [0.0]
    work = Upkeep(hub, "me", lambda: seconds[0])
    fill(hub, new_caller, 5)
    assert work.once() == 5
    assert len(check_log(hub).entries) == 6
    fill(hub, new_caller, 1)
    assert work.once() == 2
    assert len(check_log(hub).entries) == 7
    seconds[0] = 60.0
    work.once()
    assert len(check_log(hub).entries) == 8
    assert Upkeep(hub, "another").once() == 0
    # Nobody used the hub: nothing is written, not even whose turn it is.
    work.once()
    with reading(hub.engine) as conn:
        before = conn.execute(select(slice_state)).one()
    seconds[0] = 500.0
    assert work.once() == 0
    with reading(hub.engine) as conn:
        assert conn.execute(select(slice_state)).one() == before
    answers = iter([False, False, True])
    down = replace(hub, engine=_broken(hub))
    Upkeep(down, "me").run(lambda seconds: seconds > 0 and next(answers))
    assert [record.message for record in caplog.records if "wait" in record.message]


def test_who_watches_the_hub_sees_that_entries_wait_for_heads(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    begun = hub.clock()

    def late(after: timedelta) -> list[object]:
        """What lags when so much has passed since the test began."""
        found = lagging(replace(hub, clock=Clock(at=begun, shift=after)))
        return [(one.witness, one.log, one.since) for one in found]

    hour = timedelta(hours=1)
    assert late(hour) == []
    fill(hub, new_caller, 3)
    first = datetime.fromtimestamp(ts_of(check_log(hub).entries[0]) // 1_000_000, UTC)
    assert late(timedelta(minutes=9)) == []
    assert late(hour) == [("slices", "audit", first)]
    # In the slices, and under no heads entry.
    index_some(hub)
    assert late(hour) == [("slices", "audit", first)]
    append_heads(hub)
    # The heads entry itself names no party.
    assert late(hour) == []


def _broken(hub: Hub) -> object:
    class Down:
        """An engine whose database is gone."""

        dialect = hub.engine.dialect

        def get_execution_options(self) -> dict[str, object]:
            return {}

        def connect(self) -> object:
            raise AuditUnavailable("the database is gone")

        begin = connect

    return Down()


def test_the_worker_may_not_change_a_salt_nor_forget_a_leaf(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    if hub.settings.is_sqlite:
        pytest.skip("SQLite has no roles")
    fill(hub, new_caller, 3)
    index_some(hub)
    for statement in (
        "UPDATE slice_party SET salt = sha256('x')",
        "UPDATE slice_party SET number = 7",
        "UPDATE slice_leaf SET idx = 0",
        "DELETE FROM slice_party",
        "DELETE FROM slice_leaf",
        "INSERT INTO slice_state SELECT * FROM slice_state",
    ):
        with pytest.raises(Exception, match="permission denied"), writing(hub.engine) as conn:
            conn.execute(text(statement))


def test_salts_that_heads_entries_hang_on_are_never_dropped(
    hub: Hub, new_caller: Callable[..., Caller]
) -> None:
    fill(hub, new_caller, 2)
    index_some(hub)
    migrate(hub.settings, "0004", down=True)
    migrate(hub.settings)
    index_some(hub)
    append_heads(hub)
    with pytest.raises(ConfigInvalid, match="salts"):
        migrate(hub.settings, "0004", down=True)
    check_slices(hub)


@only.POSTGRES
def test_an_index_that_is_not_committed_is_in_no_slice(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    fill(hub, new_caller, 2)
    engine = open_engine(hub.settings.database_url)
    entry = check_log(hub).entries[0].replace(b'"id":"', b'"id":"x', 1)
    with engine.connect() as conn, conn.begin() as under_way:
        conn.execute(
            text("INSERT INTO log_entry (entry_id, entry) VALUES (:id, :entry)"),
            {"id": os.urandom(11).hex(), "entry": entry},
        )
        assert index_some(hub) == 2
        assert index_some(hub) == 0
        under_way.rollback()
    engine.dispose()
    fill(hub, new_caller, 1)
    assert index_some(hub) == 1
    check_slices(hub)
