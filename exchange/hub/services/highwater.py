"""The high-water mark: the largest signed checkpoint of the audit log, once more, on the guard volume.

A database that is put back to an earlier state, or replaced by a standby that lagged, has a smaller log or
another one than the mark says; such a hub may not serve until an operator has looked at it and set the mark
anew. The mark trails the log by some seconds, so it can miss the last answers and never invents one. It is
kept after the commit: that may fail, which the readiness check reports, and must never undo an answer.
"""

import logging
import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from exchange.hub.db import reading, storage_errors
from exchange.hub.services.audit_read import head, node_source
from exchange.hub.services.audit_receipt import Receipt
from exchange.hub.services.hub import Hub
from exchange.log.checkpoint import Checkpoint, keys_of, open_checkpoint, vkey
from exchange.log.proof import parse_proof
from exchange.log.tree import frontier_at
from exchange_keys.durable import durable_file
from exchange_schemas.errors import (
    AuditUnavailable,
    CheckpointInvalid,
    StorageFull,
    StoreCorrupt,
    Unavailable,
)

MARK: Final = "audit-checkpoint"
EVERY_S: Final = 10
_LIMIT: Final = 4096


def keep(hub: Hub, receipt: Receipt) -> None:
    """Write the receipt's checkpoint to the guard volume when the mark there is older than some seconds.

    A mark that this log does not continue is never written over: only an operator may do that.
    """
    path = path_of(hub)
    now = hub.clock()
    try:
        if _is_due(path, now):
            _check_continues(hub)
            write(path, parse_proof(receipt.proof).note, now)
    except (OSError, StorageFull, StoreCorrupt, AuditUnavailable, Unavailable):
        # The answer is logged and must leave; check_ready finds out, by the mark itself or by its age.
        logging.getLogger(__name__).warning("the high-water mark on the guard volume was not kept")


def write(path: Path, note: str, now: datetime) -> None:
    """Put a checkpoint note in the mark's place, durably; the file's time is `now`.

    Raises: OSError, StorageFull.
    """
    with durable_file(path, replace=True) as file:
        file.write(note.encode())
    os.utime(path, (now.timestamp(), now.timestamp()))


def read(hub: Hub) -> tuple[Checkpoint, datetime] | None:
    """The mark, signed by this hub's own log key, and when it was kept; None when there is none.

    Raises: StoreCorrupt when it is damaged or of another log.
    """
    path = path_of(hub)
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT)
            kept = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, hub.clock().tzinfo)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreCorrupt("the high-water mark on the guard volume cannot be read") from error
    name = hub.settings.audit_log
    try:
        # While the log's key changes over, the mark may bear the signature of the one before alone.
        pins = [vkey(name, key.public.raw) for key in keys_of(hub.keys.audit_log)]
        return open_checkpoint(data.decode("utf-8", "replace"), pins, origin=name), kept
    except CheckpointInvalid as error:
        raise StoreCorrupt("the high-water mark on the guard volume is damaged or of another log") from error


def continues(conn: Connection, size: int, mark: Checkpoint) -> bool:
    """Whether the log of `size` leaves in this database begins with the tree of the mark."""
    return size >= mark.size and frontier_at(mark.size, node_source(conn, size)).root() == mark.root


def _check_continues(hub: Hub) -> None:
    found = read(hub)
    if found is None:
        return
    with storage_errors(), reading(hub.engine) as conn:
        if not continues(conn, head(conn).size, found[0]):
            raise StoreCorrupt("the audit log does not continue the high-water mark")


def path_of(hub: Hub) -> Path:
    """Where the mark lies."""
    return _mark_in(hub.settings.guard_dir)


@lru_cache(maxsize=64)  # every answer asks, and putting a path together takes longer than looking at it
def _mark_in(folder: Path) -> Path:
    return folder / MARK


def _is_due(path: Path, now: datetime) -> bool:
    """Whether the mark is missing, old, or of a time to come. Every answer asks: one look at the disk."""
    try:
        age = now.timestamp() - os.stat(path).st_mtime
    except FileNotFoundError:
        return path.parent.is_dir()
    return not 0 <= age < EVERY_S
