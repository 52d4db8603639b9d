"""Entries by filter: who may read which, each proved, cursors that stay good, bounded work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exchange.hub.services import audit_entries, audit_pulls
from exchange.hub.services.audit_entries import Filter
from exchange.hub.services.release import Caller
from exchange.hub.services.slices import index_some
from exchange.log.checkpoint import open_checkpoint, vkey
from exchange.log.tree import leaf_hash, verify_inclusion
from exchange_schemas.codec import unb64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import Forbidden, Malformed
from tests.integration.messages.builders import World
from tests.integration.messages.test_audit_disclosures import admit_auditor, both_deal, limited

Who = Callable[[], Caller]


@pytest.fixture
def auditor(world: World) -> Who:
    return admit_auditor(world)


def read(world: World, auditor: Who, wanted: Filter = Filter(), limit: int = 100) -> list[tuple[int, Entry]]:  # noqa: B008 - frozen
    """Every entry under the open pull, page by page, each verified."""
    found: list[tuple[int, Entry]] = []
    cursor: str | None = None
    name, key = world.hub.settings.audit_log, world.hub.keys.audit_log
    while True:
        page: Any = audit_entries.entries(world.hub, auditor(), wanted, cursor, limit).body
        assert page["complete"] is False
        tree = open_checkpoint(page["checkpoint"], [vkey(name, key.public.raw)], origin=name)
        assert len(page["entries"]) <= limit
        for one in page["entries"]:
            data = unb64u(one["entry"], field="entry")
            path = [unb64u(item, field="path") for item in one["path"]]
            verify_inclusion(one["index"], tree.size, leaf_hash(data), path, tree.root)
            found.append((one["index"], Entry.from_bytes(data)))
        cursor = page["cursor"]
        if not page["more"]:
            return found


def grown(world: World) -> list[tuple[int, Entry]]:
    both_deal(world)
    while index_some(world.hub, 5):
        pass
    both_deal(world)
    index_some(world.hub, 4)
    return list(enumerate(world.entries()))


FILTERS: dict[str, tuple[Filter, Callable[[Entry], bool]]] = {
    "everything": (Filter(), lambda entry: True),
    "an agency": (Filter(agency="embassy"), lambda entry: "embassy" in entry.own),
    "an agency nobody knows": (Filter(agency="nobody"), lambda entry: False),
    "an act": (Filter(act="envelope:deposit"), lambda entry: entry.act == "envelope:deposit"),
    "an outcome": (Filter(out="deny"), lambda entry: entry.out == "deny"),
    "a purpose": (Filter(pur="trace"), lambda entry: entry.pur == "trace"),
    "both": (
        Filter(agency="commission", act="consent:register"),
        lambda entry: "commission" in entry.own and entry.act == "consent:register",
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_gives_what_it_says_and_all_of_it(world: World, auditor: Who, name: str) -> None:
    before = grown(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    wanted, holds = FILTERS[name]
    assert read(world, auditor, wanted) == [(index, entry) for index, entry in before if holds(entry)]
    assert read(world, auditor, wanted, limit=3) == read(world, auditor, wanted)


def test_a_span_of_time_has_its_first_moment_and_not_its_last(world: World, auditor: Who) -> None:
    before = grown(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    times = [entry.ts for _, entry in before]
    for since, until in ((times[3], times[-3]), (None, times[5]), (times[5], None), (times[-1] + 1, None)):
        expected = [
            (index, entry)
            for index, entry in before
            if (since is None or entry.ts >= since) and (until is None or entry.ts < until)
        ]
        assert read(world, auditor, Filter(since=since, until=until)) == expected
    with pytest.raises(Malformed):
        read(world, auditor, Filter(since=5, until=5))


def test_a_page_looks_at_so_many_entries_and_goes_on(
    world: World, auditor: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = grown(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    monkeypatch.setattr(audit_entries, "SCAN", 4)
    monkeypatch.setattr(audit_entries, "_AT_ONCE", 2)
    page = audit_entries.entries(world.hub, auditor(), Filter(act="audit:pull"), None, 10).body
    assert (page["entries"], page["more"]) == ([], True)
    for wanted, holds in FILTERS.values():
        assert read(world, auditor, wanted) == [(index, entry) for index, entry in before if holds(entry)]


def test_an_auditor_of_some_agencies_gets_theirs_and_no_other(world: World, auditor: Who) -> None:
    before = grown(world)
    limited(world, auditor, world.agencies["embassy"])
    opened = audit_pulls.open_pull(world.hub, auditor(), 0).body
    assert opened["about"] == ["embassy"]
    mine = [(index, entry) for index, entry in before if "embassy" in entry.own]
    found = read(world, auditor)
    # The act that limits it is about the embassy too.
    assert found[:-1] == mine
    assert found[-1][1].act == Act.AUDITOR_ACCREDIT
    assert read(world, auditor, Filter(agency="commission")) == []
    assert read(world, auditor, Filter(agency="ngo"))[: len(mine)] == [
        (index, entry) for index, entry in mine if "ngo" in entry.own
    ]
    page: Any = audit_entries.entries(world.hub, auditor(), Filter(), None, 1).body
    assert page["about"] == ["embassy"]
    limited(world, auditor, world.agencies["embassy"], world.agencies["commission"])
    both = [one for one in before if {"embassy", "commission"} & set(one[1].own)]
    assert read(world, auditor)[: len(both)] == both


def test_a_cursor_means_the_same_for_ever(world: World, auditor: Who) -> None:
    grown(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    first: Any = audit_entries.entries(world.hub, auditor(), Filter(), None, 3).body
    rest: Any = audit_entries.entries(world.hub, auditor(), Filter(), first["cursor"], 3).body
    both_deal(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    again: Any = audit_entries.entries(world.hub, auditor(), Filter(), first["cursor"], 3).body
    assert (
        [one["index"] for one in again["entries"]] == [one["index"] for one in rest["entries"]] == [3, 4, 5]
    )
    end = world.log_size() - 1
    last: Any = audit_entries.entries(world.hub, auditor(), Filter(act="part:fetch"), None, 3).body
    assert last["more"] is False
    both_deal(world)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    new: Any = audit_entries.entries(world.hub, auditor(), Filter(), last["cursor"], 1).body
    assert new["entries"][0]["index"] == end


def test_who_may_not_read_is_refused(world: World, auditor: Who) -> None:
    grown(world)
    with pytest.raises(Forbidden):
        read(world, auditor)
    with pytest.raises(Forbidden):
        audit_entries.entries(world.hub, world.caller(world.agencies["ngo"]), Filter(), None, 1)
    audit_pulls.open_pull(world.hub, auditor(), 0)
    page: Any = audit_entries.entries(world.hub, auditor(), Filter(), None, 1).body
    other = admit_auditor(world)
    audit_pulls.open_pull(world.hub, other(), 0)
    for cursor in (page["cursor"], "x" * 32):
        with pytest.raises(Malformed):
            audit_entries.entries(world.hub, other(), Filter(), cursor, 1)


def test_reading_is_logged_once(world: World, auditor: Who) -> None:
    grown(world)
    size = world.log_size()
    audit_pulls.open_pull(world.hub, auditor(), 0)
    read(world, auditor, limit=2)
    assert world.log_size() == size + 1
