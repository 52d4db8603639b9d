"""A hub's audit log on SQLite, filled in bulk: the very rows that as many appends would have left.

The entries are real ones with ids in a row; leaves, frontiers and stored nodes are computed as the append
computes them, and the last is checked by the hub's own start-up check afterwards.
"""

import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys
from exchange.hub.revisions import migrate
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.settings import Settings
from exchange.log.tree import Frontier
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId, Digest

ORIGIN = "bench.example"
LOG = f"{ORIGIN}/audit"
_ROWS = 20_000
_PLACE = b'"id":"'


def settings_in(folder: Path) -> Settings:
    """Settings of a hub in a folder of its own."""
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    return Settings(
        origin=ORIGIN,
        base_url=f"https://{ORIGIN}",
        database_url=f"sqlite:///{folder}/data/hub.sqlite",
        data_dir=folder / "data",
        guard_dir=folder / "guard",
        key_passphrase_file=passphrase,
        environment="development",
    )


def new_hub(folder: Path, keys: HubKeys) -> Hub:
    """A migrated hub without a log."""
    settings = settings_in(folder)
    migrate(settings)
    return Hub(settings, open_engine(settings.database_url), utc_now, os.urandom, keys, FolderBlobs(folder))


class Filler:
    """Grows the log of one database that nobody else has open; `size` is how many entries it has."""

    def __init__(self, file: Path, now: datetime) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._before, self._after = _template(now)
        self._ts = int(now.timestamp()) * 1_000_000
        last = self._db.execute(
            "SELECT idx, leaf, frontier FROM log_entry ORDER BY idx DESC LIMIT 1"
        ).fetchone()
        edge = Frontier.empty()
        if last is not None:
            edge = Frontier.from_bytes(last[2], size=last[0]).append(last[1])
        self.size, self._stack = edge.size, list(edge.hashes)

    def grow(self, to: int) -> None:
        """Add entries until there are so many."""
        self._db.execute("BEGIN")
        while self.size < to:
            rows = list(self._rows(min(_ROWS, to - self.size)))
            self._db.executemany("INSERT INTO log_entry VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Make it a file that the hub opens: journal and all."""
        self._db.execute("PRAGMA journal_mode=WAL").fetchall()
        self._db.close()

    def _rows(self, count: int) -> Iterator[tuple[int, str, bytes, int, bytes, bytes]]:
        """(index, id, leaf, latest time, frontier before, entry) of what comes next; nodes are written."""
        stack, nodes = self._stack, []
        for index in range(self.size, self.size + count):
            ident = b64u(index.to_bytes(16, "big"))
            entry = self._before + ident.encode() + self._after
            leaf = node = sha256(b"\x00" + entry).digest()
            yield index, ident, leaf, self._ts, b"".join(stack), entry
            carry, level = index, 0
            while carry & 1:
                node = sha256(b"\x01" + stack.pop() + node).digest()
                carry >>= 1
                level += 1
                if level % 8 == 0:
                    nodes.append((level, carry, node))
            stack.append(node)
        self.size += count
        self._db.executemany("INSERT INTO log_node VALUES (?, ?, ?)", nodes)


_PAIR = (AgencyId("embassy-northshore"), AgencyId("ngo-open-door"))


def sample(now: datetime, ident: str, own: tuple[AgencyId, ...] = _PAIR) -> Entry:
    """An entry of the usual kind and length."""
    digest = Digest(b64u(sha256(ident.encode()).digest()))
    return Entry(
        log=LOG,
        id=ident,
        ts=int(now.timestamp()) * 1_000_000,
        act=Act.GRANT_FETCH,
        out="allow",
        org=own[0],
        own=own,
        knd="found_notice",
        pur="trace",
        fld=("age_range", "current_area", "name_given", "sex"),
        cns=digest,
        rec=digest,
        req=digest,
    )


def _template(now: datetime) -> tuple[bytes, bytes]:
    """The bytes of an entry before and after its id."""
    ident = b64u(bytes(16))
    before, _, after = sample(now, ident).to_bytes().partition(_PLACE + ident.encode())
    return before + _PLACE, after
