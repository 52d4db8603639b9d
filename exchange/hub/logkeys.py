"""The keys of the hub's two logs, and how one changes over to the next.

States of a log key:
  single    one key signs every checkpoint
  changing  a new key signs, and the one before signs as well: whoever pinned that one is not cut off
and back to single when everybody has had time to pin the new one. `begin` and `finish` are the two moves;
they give what is to be written and write nothing. Nothing here may sign with the old key alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from exchange.log.checkpoint import LogKey
from exchange_keys.box import StoreKey
from exchange_keys.keyfile import (
    KeyMaterial,
    PublicEntry,
    read_keyfile_with_store_key,
    write_keyfile_with_store_key,
)
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import format_time, parse_time
from exchange_schemas.errors import Conflict, KeyFileCorrupt, Malformed

CHANGE_LEAST: Final = timedelta(days=30)
"""How long both keys sign at least: members and witnesses must get the new pin by a way of their own."""
CHANGE_MOST: Final = timedelta(days=90)
LIFE: Final = timedelta(days=730)
_SEED, _BEFORE, _SINCE = "seed", "before", "since"


@dataclass(frozen=True, slots=True)
class LogKeyFile:
    """What a log key's file holds. `since` is when the present key began; None: before this was kept."""

    current: SigningKey
    before: SigningKey | None
    since: datetime | None

    @property
    def key(self) -> SigningKey | LogKey:
        """What signs checkpoints now."""
        return self.current if self.before is None else LogKey(self.current, self.before)


def read_log_key(material: KeyMaterial) -> SigningKey | LogKey:
    """What signs, from an opened file. Raises: KeyFileCorrupt."""
    return _read(material).key


def read_file(path: Path, store: StoreKey) -> LogKeyFile:
    """Open a log key's file. Raises: KeyFileCorrupt, WrongPassphrase, ConfigInvalid."""
    return _read(read_keyfile_with_store_key(path, key=store))


@dataclass(frozen=True, slots=True)
class LogChange:
    """A move that is decided and not written yet."""

    file: LogKeyFile
    path: Path
    label: str
    use: str
    store: StoreKey = field(repr=False)

    def write(self) -> None:
        """Write the file, whole, for every worker that starts from now on. Raises: StorageFull, OSError."""
        keys = [self.file.current, *([] if self.file.before is None else [self.file.before])]
        secrets = {_SEED: self.file.current.seed}
        if self.file.before is not None:
            secrets[_BEFORE] = self.file.before.seed
        if self.file.since is not None:
            secrets[_SINCE] = format_time(self.file.since).encode()
        entries = [PublicEntry(self.use, key.public) for key in keys]
        write_keyfile_with_store_key(
            self.path, secrets, entries, key=self.store, label=self.label, replace=True
        )


def begin(found: LogKeyFile, now: datetime, new: Callable[[], SigningKey]) -> LogKeyFile:
    """single → changing. Raises: Conflict while a change is on."""
    if found.before is not None:
        raise Conflict("this log key is changing already", hint="finish it first: exchange-hub keys list")
    return LogKeyFile(new(), found.current, now.replace(microsecond=0))


def finish(found: LogKeyFile, now: datetime, *, early: bool = False) -> LogKeyFile:
    """changing → single: the old key signs no more. Raises: Conflict when none is, or too early."""
    if found.before is None:
        raise Conflict("this log key is not changing")
    if not early and found.since is not None and now < found.since + CHANGE_LEAST:
        raise Conflict(
            f"both keys sign until {format_time(found.since + CHANGE_LEAST)} at least",
            hint="members and witnesses must have pinned the new key first",
        )
    return LogKeyFile(found.current, None, found.since)


def _read(material: KeyMaterial) -> LogKeyFile:
    before, since = material.secrets.get(_BEFORE), material.secrets.get(_SINCE)
    try:
        return LogKeyFile(
            current=SigningKey.from_seed(material.secret(_SEED)),
            before=None if before is None else SigningKey.from_seed(before),
            since=None if since is None else parse_time(since.decode("ascii"), field=_SINCE),
        )
    except (Malformed, UnicodeDecodeError):
        raise KeyFileCorrupt("the key file of a log is damaged") from None
