"""Entries of the audit log by filter, each with its proof, for auditors of all or of some agencies.

What is given here is never complete by itself: a filter or a limit leaves entries out, and only the whole log
shows that nothing else is missing. A cursor is a place in the log: it means the same for ever, and a page
begins there whatever was written since. A page looks at a bounded number of entries, so it may be empty and
not the last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import log_entry
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.services import audit_read
from exchange.hub.services.accreditation import accreditation_of
from exchange.hub.services.audit_pulls import covered_by, unlogged
from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange.hub.services.release import Caller, Released
from exchange.hub.services.slice_read import entry_with_path
from exchange.log.checkpoint import Checkpoint, sign_checkpoint
from exchange.log.slices import parties_of
from exchange.log.tree import frontier_at
from exchange_schemas.codec import JsonValue
from exchange_schemas.entry import Entry, ts_of
from exchange_schemas.errors import Malformed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.accreditation import Accreditation
    from exchange.hub.services.hub import Hub

PAGE_MOST: Final = 100
SCAN: Final = 4096
"""Entries that a page looks at."""
_AT_ONCE: Final = 256
_SLACK_US: Final = 60_000_000
"""The log's times ascend but for half a minute."""
_LISTING: Final = "audit-entries"
_AT: Final = (
    select(log_entry.c.idx, log_entry.c.entry)
    .where(log_entry.c.idx.in_(bindparam("indexes", expanding=True)))
    .order_by(log_entry.c.idx)
)
_PARTY: Final = select(slice_party.c.number, slice_party.c.size).where(slice_party.c.party == bindparam("of"))
_LEAF: Final = select(slice_leaf.c.idx).where(
    slice_leaf.c.number == bindparam("number"), slice_leaf.c.pos == bindparam("pos")
)
_LEAVES: Final = (
    select(slice_leaf.c.idx)
    .where(slice_leaf.c.number == bindparam("number"), slice_leaf.c.pos >= bindparam("pos"))
    .order_by(slice_leaf.c.pos)
    .limit(_AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; None: whatever. `since`, `until`: µs since 1970, the first inside, the last outside."""

    agency: str | None = None
    act: str | None = None
    out: str | None = None
    pur: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, data: bytes) -> bool:
        """Whether an entry is wanted."""
        entry = Entry.from_bytes(data)
        return (
            (self.agency is None or self.agency in entry.own)
            and self.act in (None, entry.act.value)
            and self.out in (None, entry.out)
            and (self.pur is None or self.pur == entry.pur)
            and (self.since is None or self.since <= entry.ts)
            and (self.until is None or entry.ts < self.until)
        )


def entries(hub: Hub, caller: Caller, wanted: Filter, cursor: str | None, limit: int) -> Released:
    """A page of the entries that are wanted and may be read, each proved in the page's signed tree.

    Under an open pull, and up to where it goes. Raises: Forbidden without one; Malformed for a bad cursor.
    """
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise Malformed("until: must be after since", field="until")
    start = read_cursor(cursor, hub.settings.origin, _LISTING, caller.agency)
    with storage_errors(), reading(hub.engine) as conn:
        scope = accreditation_of(conn, caller)
        size = min(covered_by(conn, caller, hub.clock()), audit_read.head(conn).size)
        found, following = _search(conn, scope, wanted, range(start, size), limit)
        read = audit_read.node_source(conn, size)
        root = frontier_at(size, read).root()
        listed: list[JsonValue] = [entry_with_path(row, size, read) for row in found]
    position = Checkpoint(hub.settings.audit_log, size, root)
    body: dict[str, JsonValue] = {
        "checkpoint": sign_checkpoint(position, hub.keys.audit_log),
        "about": scope.told(),
        "complete": False,
        "entries": listed,
        "cursor": write_cursor(hub.settings.origin, _LISTING, caller.agency, following),
        "more": following < size,
    }
    return unlogged(hub, caller, body)


def _search(
    conn: Connection, scope: Accreditation, wanted: Filter, within: range, limit: int
) -> tuple[list[Any], int]:
    """The rows of a page, and where the next one begins."""
    start, size = within.start, within.stop
    if wanted.since is not None:
        start = max(start, _first_after(conn, wanted.since - _SLACK_US, size))
    end = size if wanted.until is None else _first_after(conn, wanted.until + _SLACK_US, size)
    found: list[Any] = []
    looked = 0
    places = _places(conn, scope, wanted, start, min(end, size))
    while some := list(islice(places, _AT_ONCE)):
        for row in conn.execute(_AT, {"indexes": some}):
            entry = bytes(row.entry)
            if scope.covers(parties_of(entry)) and wanted.takes(entry):
                found.append(row)
                if len(found) == limit:
                    return found, row.idx + 1
        looked += len(some)
        if looked >= SCAN:
            return found, some[-1] + 1
    return found, size


def _places(conn: Connection, scope: Accreditation, wanted: Filter, start: int, end: int) -> Iterator[int]:
    """Where the wanted entries may be, ascending: from the slices if there is a limit, else everywhere."""
    about = scope.about
    if about is None and wanted.agency is not None:
        # Only here: where the entries of another agency lie is nothing for an auditor who is limited.
        about = frozenset({wanted.agency})
    if about is None:
        yield from range(start, end)
        return
    covers = min(end, int(conn.execute(select(slice_state.c.covers)).scalar_one()))
    last = -1
    for index in merge(*(_slice(conn, party, start) for party in about)):
        if index >= covers:
            break
        if index != last:
            yield index
        last = index
    # What is in no slice yet is looked at one by one.
    yield from range(max(start, covers), end)


def _slice(conn: Connection, party: str, start: int) -> Iterator[int]:
    """The places of a party's entries from `start` on."""
    row = conn.execute(_PARTY, {"of": party}).one_or_none()
    if row is None:
        return

    def place(pos: int) -> int:
        return int(conn.execute(_LEAF, {"number": row.number, "pos": pos}).scalar_one())

    pos = bisect_left(range(row.size), start, key=place)
    while some := conn.execute(_LEAVES, {"number": row.number, "pos": pos}).scalars().all():
        yield from some
        pos += len(some)


def _first_after(conn: Connection, ts: int, size: int) -> int:
    """The first entry whose time is `ts` or later, as if the log's times ascended."""

    def time(index: int) -> int:
        return ts_of(bytes(conn.execute(_AT, {"indexes": [index]}).one().entry))

    return bisect_left(range(size), ts, key=time)
