"""The local store: one SQLite file in which every value is encrypted and every name is blinded.

A row is (collection, blinded id, sealed value); the blind is a keyed digest, so that the file names no
child, no partner and no message. The seal is bound to collection and row: rows cannot be swapped.
It must never write a value in the clear. Whole rows that vanish are not noticed: keep backups.
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from exchange.member.files import PRIVATE_FILE, disk_errors, disk_full
from exchange_keys.box import StoreKey
from exchange_schemas.codec import Encodable, JsonValue, decode, encode, lp, sha256
from exchange_schemas.errors import ConfigInvalid, ExchangeError, StoreCorrupt, StoreLocked

VERSION: Final = 1
VALUE_BYTES: Final = 1024 * 1024
_DEPTH: Final = 16
_PAGE: Final = 500
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    # 512 KiB of pages: a photo fills whatever SQLite may take, and the system keeps the pages anyway.
    "cache_size=-512",
)
_WAIT_SECONDS: Final = 30.0
# What SQLite wants of its side files before it works at all, in bytes.
_ROOM: Final = 64 * 1024
_NO_ROOM: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_SCHEMA = """
CREATE TABLE item (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, blind BLOB NOT NULL, box BLOB NOT NULL,
  UNIQUE (collection, blind));
CREATE INDEX item_order ON item (collection, ord);
CREATE TABLE lookup (
  collection TEXT NOT NULL, key BLOB NOT NULL, ord INTEGER NOT NULL REFERENCES item (ord) ON DELETE CASCADE,
  PRIMARY KEY (collection, key, ord)) WITHOUT ROWID;
CREATE INDEX lookup_item ON lookup (ord);
CREATE TABLE salt (one INTEGER PRIMARY KEY CHECK (one = 1), box BLOB NOT NULL);
"""
_SALT_CONTEXT = lp(b"hx1/store", b"salt")


class Store:
    """Open with `with Store(path, key) as store`; every change is durable when `writing()` ends."""

    def __init__(self, path: Path, key: StoreKey) -> None:
        """Open or begin the store. Raises: StoreCorrupt (also for another key), StoreLocked, StorageFull."""
        self._key = key
        with disk_errors("local store"):
            path.touch(mode=PRIVATE_FILE, exist_ok=True)
        self._path = path
        with _sqlite_errors(path):
            self._db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}")
            self._salt = self._begin()

    def _begin(self) -> bytes:
        with self.writing():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                salt = secrets.token_bytes(32)
                self._db.execute("INSERT INTO salt VALUES (1, ?)", (self._key.seal(salt, _SALT_CONTEXT),))
                self._db.execute(f"PRAGMA user_version={VERSION}")
                return salt
            if version != VERSION:
                raise StoreCorrupt("the local store was written by another version of this program")
            row = self._db.execute("SELECT box FROM salt").fetchone()
        if row is None:
            raise StoreCorrupt("the local store has lost its first row")
        return self._open(row[0], _SALT_CONTEXT)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One durable change: all of the block or nothing. Blocks inside blocks join the outer one.

        Raises: StoreLocked when another process writes for too long, StorageFull, StoreCorrupt.
        """
        if self._db.in_transaction:
            yield
            return
        with _sqlite_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._db.execute("COMMIT")

    def _roll_back(self) -> None:
        # A full disk makes SQLite roll back by itself.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def pseudonym(self, purpose: str, text: str) -> bytes:
        """A keyed digest of `text`, 32 bytes; the key never leaves this store."""
        return sha256(lp(b"hx1/blind", self._salt, purpose.encode(), text.encode()))

    def put(
        self,
        collection: str,
        ident: str,
        value: Mapping[str, Encodable],
        *,
        lookups: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Write one value, in place of an older one; `lookups` are (name, value) to find it by."""
        plain = encode({"id": ident, "value": value}, limit=VALUE_BYTES, depth=_DEPTH)
        self.put_bytes(collection, ident, plain, lookups=lookups)

    def put_bytes(
        self, collection: str, ident: str, plain: bytes, *, lookups: Iterable[tuple[str, str]] = ()
    ) -> None:
        """As `put` for raw bytes (pictures, sealed envelopes)."""
        blind = self.pseudonym(collection, ident)
        box = self._key.seal(plain, _context(collection, blind))
        with self.writing():
            ord_ = self._db.execute(
                "INSERT INTO item (collection, blind, box) VALUES (?, ?, ?)"
                " ON CONFLICT (collection, blind) DO UPDATE SET box = excluded.box RETURNING ord",
                (collection, blind, box),
            ).fetchone()[0]
            self._db.execute("DELETE FROM lookup WHERE ord = ?", (ord_,))
            self._db.executemany(
                "INSERT OR IGNORE INTO lookup VALUES (?, ?, ?)",
                [(collection, self.pseudonym(f"{collection}/{name}", text), ord_) for name, text in lookups],
            )

    def get(self, collection: str, ident: str) -> dict[str, JsonValue] | None:
        """The value under an id, or None. Raises: StoreCorrupt."""
        plain = self.get_bytes(collection, ident)
        return None if plain is None else _value(plain)[1]

    def get_bytes(self, collection: str, ident: str) -> bytes | None:
        """The bytes under an id, or None. Raises: StoreCorrupt."""
        blind = self.pseudonym(collection, ident)
        with _sqlite_errors(self._path):
            row = self._db.execute(
                "SELECT box FROM item WHERE collection = ? AND blind = ?", (collection, blind)
            ).fetchone()
        return None if row is None else self._open(row[0], _context(collection, blind))

    def delete(self, collection: str, ident: str) -> None:
        """Forget one value; the pages it lay on are overwritten."""
        with self.writing():
            blind = self.pseudonym(collection, ident)
            self._db.execute("DELETE FROM item WHERE collection = ? AND blind = ?", (collection, blind))

    def clear(self, collection: str) -> None:
        """Forget all values of a collection, as `delete` does each."""
        with self.writing():
            self._db.execute("DELETE FROM item WHERE collection = ?", (collection,))

    def scrub(self) -> None:
        """Bring what was deleted out of SQLite's side file too; waits for no reader."""
        with _sqlite_errors(self._path):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def found(self, collection: str, name: str, text: str) -> list[tuple[str, dict[str, JsonValue]]]:
        """(id, value) of all that were put with the lookup (name, text), oldest first."""
        with _sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT i.blind, i.box FROM lookup l JOIN item i USING (ord)"
                " WHERE l.collection = ? AND l.key = ? ORDER BY ord",
                (collection, self.pseudonym(f"{collection}/{name}", text)),
            ).fetchall()
        return [_value(self._open(box, _context(collection, blind))) for blind, box in rows]

    def each(self, collection: str) -> Iterator[tuple[str, dict[str, JsonValue]]]:
        """(id, value) of all in a collection, oldest first, a page at a time: memory stays flat."""
        after = 0
        while True:
            with _sqlite_errors(self._path):
                rows = self._db.execute(
                    "SELECT ord, blind, box FROM item WHERE collection = ? AND ord > ? ORDER BY ord LIMIT ?",
                    (collection, after, _PAGE),
                ).fetchall()
            if not rows:
                return
            for after, blind, box in rows:  # noqa: B007 - the last one is where the next page begins
                yield _value(self._open(box, _context(collection, blind)))

    def count(self, collection: str) -> int:
        """How many values a collection holds."""
        with _sqlite_errors(self._path):
            return int(
                self._db.execute("SELECT count(*) FROM item WHERE collection = ?", (collection,)).fetchone()[
                    0
                ]
            )

    def _open(self, box: bytes, context: bytes) -> bytes:
        try:
            return self._key.open(box, context)
        except ExchangeError as error:
            raise StoreCorrupt(
                "the local store is damaged, or belongs to another agency's keys",
                hint="restore store.db from the newest backup of this folder",
            ) from error


def _context(collection: str, blind: bytes) -> bytes:
    return lp(b"hx1/store", collection.encode(), blind)


def _value(plain: bytes) -> tuple[str, dict[str, JsonValue]]:
    try:
        whole = decode(plain, limit=2 * VALUE_BYTES, depth=_DEPTH)
    except ExchangeError as error:
        raise StoreCorrupt("the local store holds a value that cannot be read") from error
    ident, value = whole.get("id"), whole.get("value")
    if not isinstance(ident, str) or not isinstance(value, dict):
        raise StoreCorrupt("the local store holds a value that cannot be read")
    return ident, value


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _ROOM
    except OSError:
        return False


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        # A disk that is full before the first write shows as a failed extension of SQLite's side files.
        if code == sqlite3.SQLITE_FULL or (code in _NO_ROOM and _is_full(path)):
            raise disk_full("local store") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreLocked(
                "another command of this agency is writing to the local store",
                hint="wait until it has finished, then try again",
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise ConfigInvalid(
                "local store: this account may not write it",
                hint="check who owns the folder and that its disk is not mounted read-only",
            ) from error
        raise StoreCorrupt("the local store cannot be read or written") from error
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(
            "the local store is damaged", hint="restore store.db from the newest backup of this folder"
        ) from error
