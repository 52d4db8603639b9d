"""What is remembered of publishing: the newest cosigned note of each log, and how each witness does.

A note is only ever replaced by one of a larger tree, or by the same one with newer cosignatures. Whether a
note may be kept is decided before (services/publishing.py); nothing here verifies one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.witnesses import log_published, log_witness
from exchange.hub.sql import Statement
from exchange.log.note import split_note
from exchange.log.witnessing import merge_notes
from exchange_schemas.errors import LogFork

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.logs import HubLog

_PUBLISHED: Final = Statement(
    select(log_published.c.size, log_published.c.note).where(log_published.c.log == bindparam("log"))
)
_NEW: Final = insert(log_published)
_FIRST: Final = _NEW.on_conflict_do_nothing()
# Compare and set: of two publishers the one with the smaller tree changes nothing.
_REPLACE: Final = (
    update(log_published)
    .where(log_published.c.log == bindparam("of"), log_published.c.note == bindparam("known"))
    .values(size=bindparam("to_size"), note=bindparam("to_note"))
)
_WITNESS: Final = insert(log_witness)
_SAW: Final = _WITNESS.on_conflict_do_update(
    index_elements=[log_witness.c.log, log_witness.c.witness],
    set_={
        "size": _WITNESS.excluded.size,
        "cosigned": _WITNESS.excluded.cosigned,
        "failing": _WITNESS.excluded.failing,
        "fault": _WITNESS.excluded.fault,
    },
)


@dataclass(frozen=True, slots=True)
class Published:
    """The newest note that the quorum cosigned, and the size of its tree."""

    size: int
    note: str


@dataclass(frozen=True, slots=True)
class WitnessState:
    """How a witness does with one log. `cosigned`: when it last did; `failing`: since when it does not.

    `size` is the largest tree that it is known to have cosigned; `fault` what it did last instead. Times are
    seconds since 1970.
    """

    log: str
    witness: str
    size: int = 0
    cosigned: int | None = None
    failing: int | None = None
    fault: str | None = None


def published(conn: Connection, log: HubLog) -> Published | None:
    """The newest cosigned note of the log as it is stored."""
    row = _PUBLISHED.one(conn, {"log": log.name})
    return None if row is None else Published(row.size, row.note)


def shown_note(hub: Hub, conn: Connection, log: HubLog) -> str | None:
    """The note that everybody may be shown; None when there is none that the log's present key signed.

    Ask before the log's head in the same transaction: then the head is never smaller.
    """
    if hub.witnesses is None:
        return None
    found = published(conn, log)
    if found is None:
        return None
    ids = {line.key_id for line in split_note(found.note)[1] if line.name == log.origin}
    return found.note if log.pins[0].key_id in ids else None


def checkpoint(hub: Hub, log: HubLog) -> str:
    """The checkpoint for everybody: the newest cosigned one, or that of the log's present head.

    The latter is signed anew each time: the signature is deterministic, so a size has one note everywhere.
    """
    with storage_errors(), reading(hub.engine) as conn:
        shown = shown_note(hub, conn, log)
        return log.note(log.head(conn)) if shown is None else shown


def keep(engine: Engine, log: HubLog, size: int, note: str) -> Published:
    """Keep a note that the quorum cosigned; gives what stands there afterwards, perhaps another's newer one.

    Raises: LogFork when a note of the same size has another text.
    """
    with storage_errors(), writing(engine) as conn:
        known = published(conn, log)
        if known is None:
            conn.execute(_FIRST, {"log": log.name, "size": size, "note": note})
        elif size >= known.size:
            merged = note if size > known.size else _merged(known.note, note)
            values = {"of": log.name, "known": known.note, "to_size": size, "to_note": merged}
            conn.execute(_REPLACE, values)
        found = published(conn, log)
    if found is None:
        raise RuntimeError("a row that was just written is missing")
    return found


def witness_states(engine: Engine) -> list[WitnessState]:
    """What is remembered of every witness and log, in a fixed order."""
    order = (log_witness.c.log, log_witness.c.witness)
    with storage_errors(), reading(engine) as conn:
        return [WitnessState(**row._mapping) for row in conn.execute(select(log_witness).order_by(*order))]


def note_states(engine: Engine, states: list[WitnessState]) -> None:
    """Remember how witnesses did."""
    rows = [
        {
            "log": state.log,
            "witness": state.witness,
            "size": state.size,
            "cosigned": state.cosigned,
            "failing": state.failing,
            "fault": state.fault,
        }
        for state in states
    ]
    with storage_errors(), writing(engine) as conn:
        for row in rows:
            conn.execute(_SAW, row)


def _merged(known: str, note: str) -> str:
    if split_note(known)[0] != split_note(note)[0]:
        raise LogFork("two trees of the same size were published", rule="forked")
    return merge_notes(known, note)
