"""What the log's commitments stand for, as far as the hub disclosed it to this auditor: kept beside the copy.

Each disclosure is believed only if it gives the commitment in the entry that it is about. Whatever the log
says was erased is deleted here at the next pull: erasure reaches every honest copy. The file is
`disclosures.sqlite`; it must never hold what an erasing entry names, and the copy verifies without it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from exchange.log.commitment import SALT_BYTES, commitment
from exchange_schemas.codec import Encodable, JsonValue, unb64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import HubRefused, LogIncomplete, ProofInvalid, StorageFull

_FILE: Final = "disclosures.sqlite"
_ERASE: Final = b'{"act":"%s",' % Act.DISCLOSURE_ERASE.value.encode()
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS disclosed (commitment TEXT PRIMARY KEY, name TEXT, salt BLOB, value TEXT)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), read INTEGER, erased INTEGER);
INSERT OR IGNORE INTO place VALUES (1, 0, 0);
"""


class Source(Protocol):
    """The calls of `exchange.member.transport.Transport` that this needs."""

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, JsonValue]:
        """GET and give the JSON answer."""

    def post(
        self, path: str, body: dict[str, Encodable], *, repeatable: bool = True
    ) -> tuple[int, dict[str, JsonValue]]:
        """POST and give (status, JSON answer)."""


@dataclass(frozen=True, slots=True)
class PulledDisclosures:
    """How many commitments got a meaning, and how many lost it because the log says that it was erased."""

    new: int
    erased: int


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The disclosures in a folder that holds a copy of the log."""

    folder: Path

    def exists(self) -> bool:
        """Whether any were ever pulled."""
        return (self.folder / _FILE).is_file()

    def namer(self) -> Callable[[str], str | None]:
        """Gives the value behind a commitment, None where it is not known.

        What it gives raises: LogIncomplete when the file is damaged.
        """
        # As an address: a folder's name may hold what is no letter of one.
        kept = sqlite3.connect(f"{(self.folder / _FILE).resolve().as_uri()}?mode=ro", uri=True)
        query = "SELECT value FROM disclosed WHERE commitment = ?"

        # One value at a time: a log has more envelopes than fit in memory.
        @lru_cache(maxsize=65_536)
        def name(said: str) -> str | None:
            try:
                row = kept.execute(query, (said,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise _damaged() from error
            return None if row is None else str(row[0])

        return name

    def pull(
        self, source: Source, size: int, entries_from: Callable[[int], Iterator[tuple[int, bytes]]]
    ) -> PulledDisclosures:
        """Fetch what is new for the copy's first `size` entries, then forget what the log says was erased.

        `entries_from(start)` gives (index, entry) of the copy, ascending. Raises: ProofInvalid when a
        disclosure is not what its entry committed to; HubRefused; the hub's refusals.
        """
        with self._opened() as db:
            new = self._fetch(db, source, size, entries_from)
            erased = self._erase(db, size, entries_from)
        return PulledDisclosures(new, erased)

    def _fetch(
        self,
        db: sqlite3.Connection,
        source: Source,
        size: int,
        entries_from: Callable[[int], Iterator[tuple[int, bytes]]],
    ) -> int:
        start: int | None = db.execute("SELECT read FROM place").fetchone()[0]
        if start is None or start >= size:
            return 0
        _, opened = source.post("/v1/audit/disclosures", {"what": "ids"}, repeatable=False)
        before = _count(db)
        while start is not None and start < size:
            page = source.get(f"/v1/audit/disclosures/{opened.get('reading')}", {"from": start})
            listed, following = page.get("disclosures"), page.get("next")
            if not isinstance(listed, list) or not (following is None or isinstance(following, int)):
                raise HubRefused("the hub's answer holds no disclosures", field="disclosures")
            found = dict(_indexed(item) for item in listed if _index(item) < size)
            _keep(db, found, entries_from(start))
            start = following if following is None or following > start else None
            db.execute("UPDATE place SET read = ?", (size if start is None else min(start, size),))
            db.commit()
        return _count(db) - before

    def _erase(
        self,
        db: sqlite3.Connection,
        size: int,
        entries_from: Callable[[int], Iterator[tuple[int, bytes]]],
    ) -> int:
        start = db.execute("SELECT erased FROM place").fetchone()[0]
        before = _count(db)
        for _, data in entries_from(start):
            if data.startswith(_ERASE):
                entry = Entry.from_bytes(data)
                if entry.out == "allow":
                    gone = [(said,) for said in (entry.cns, entry.rec) if said is not None]
                    db.executemany("DELETE FROM disclosed WHERE commitment = ?", gone)
        db.execute("UPDATE place SET erased = ?", (size,))
        db.commit()
        return before - _count(db)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self.folder / _FILE)
            try:
                # What is deleted is overwritten, and no side file keeps it.
                db.executescript("PRAGMA secure_delete=ON; PRAGMA journal_mode=DELETE;")
                db.executescript(_SCHEMA)
                yield db
            finally:
                db.close()
        except sqlite3.OperationalError as error:
            raise StorageFull("the disclosures cannot be written", field="DIR") from error
        except sqlite3.DatabaseError as error:
            raise _damaged() from error


def _damaged() -> LogIncomplete:
    return LogIncomplete(f"{_FILE} is damaged", field="DIR", hint="delete it and pull again")


Found = dict[tuple[int, str], tuple[bytes, str]]


def _keep(db: sqlite3.Connection, found: Found, entries: Iterator[tuple[int, bytes]]) -> None:
    """Keep disclosures by (index, name), each checked by its own entry."""
    last = max((index for index, _ in found), default=-1)
    wanted = {index for index, _ in found}
    rows = []
    for index, data in entries:
        if index > last:
            break
        if index not in wanted:
            continue
        entry = Entry.from_bytes(data)
        for name, said in (("cns", entry.cns), ("rec", entry.rec)):
            shown = found.pop((index, name), None)
            if shown is None:
                continue
            salt, value = shown
            if said is None or commitment(name, salt, value) != said:
                raise ProofInvalid(
                    f"the hub discloses something else than entry {index} committed to", field=name
                )
            rows.append((said, name, salt, value))
    if found:
        raise ProofInvalid(
            "the hub discloses something about entries that are not in the copy", field="index"
        )
    db.executemany("INSERT OR IGNORE INTO disclosed VALUES (?, ?, ?, ?)", rows)


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM disclosed").fetchone()[0])


def _index(item: JsonValue) -> int:
    index = item.get("index") if isinstance(item, dict) else None
    if isinstance(index, bool) or not isinstance(index, int):
        raise HubRefused("a disclosure has no index", field="index")
    return index


def _indexed(item: JsonValue) -> tuple[tuple[int, str], tuple[bytes, str]]:
    index = _index(item)
    name, value = (item.get("name"), item.get("value")) if isinstance(item, dict) else (None, None)
    if not isinstance(item, dict) or not isinstance(name, str) or not isinstance(value, str):
        raise HubRefused("a disclosure has no name or value", field="disclosures")
    salt = unb64u(item.get("salt"), field="salt", length=SALT_BYTES)
    return (index, name), (salt, value)
