"""Proof that a log is not the one that was witnessed: notes of its own key that it does not continue.

Only such a note counts. A witness that merely says it has seen more, or a note by any other key, is a fault
of the witness and stops nothing: otherwise whoever runs one could shut the hub. While a proof stands that no
operator has looked at, the hub may not serve (S8-witnessed); `recover` is how an operator goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.witnesses import log_conflict
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import split_note

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.logs import HubLog

SHORTER: Final = "rolled-back"
ANOTHER: Final = "forked"
_ADD: Final = insert(log_conflict).on_conflict_do_nothing()
_OPEN: Final = log_conflict.c.accepted.is_(None)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A note that the log does not continue: it is of a larger tree (rolled-back) or of another (forked)."""

    log: str
    note: str
    rule: str
    witness: str


def contradiction(hub: Hub, log: HubLog, note: str, witness: str) -> Contradiction | None:
    """Hold a note that a witness showed against the log as it is; None when the log continues it.

    Raises: CheckpointInvalid when no key of this log signed it.
    """
    seen = open_checkpoint(note, log.pins, origin=log.origin)
    rule = rule_of(hub, log, seen)
    return None if rule is None else Contradiction(log.name, note, rule, witness)


def rule_of(hub: Hub, log: HubLog, seen: Checkpoint) -> str | None:
    """How a checkpoint that was verified contradicts the log as it is; None when the log continues it."""
    with storage_errors(), reading(hub.engine) as conn:
        if seen.size > log.head(conn).size:
            return SHORTER
        same = log.root_at(conn, seen.size) == seen.root
    return None if same else ANOTHER


def remember(hub: Hub, found: Contradiction) -> bool:
    """Keep the proof; whether it is one that an operator has not accepted."""
    text = split_note(found.note)[0]
    row = {
        "log": found.log,
        "text": text,
        "note": found.note,
        "rule": found.rule,
        "witness": found.witness,
        "seen": int(hub.clock().timestamp()),
    }
    same = (log_conflict.c.log == found.log) & (log_conflict.c.text == text)
    with storage_errors(), writing(hub.engine) as conn:
        conn.execute(_ADD, row)
        return conn.execute(select(log_conflict.c.accepted).where(same)).scalar_one() is None


def unaccepted(conn: Connection) -> list[Contradiction]:
    """The proofs that no operator has accepted."""
    columns = (log_conflict.c.log, log_conflict.c.note, log_conflict.c.rule, log_conflict.c.witness)
    rows = conn.execute(select(*columns).where(_OPEN).order_by(log_conflict.c.seen))
    return [Contradiction(*row) for row in rows]


def accept(engine: Engine, operator: str, logs: Sequence[str]) -> int:
    """Take these logs as they are, whatever was shown so far; how many proofs that settles."""
    settled = update(log_conflict).where(_OPEN, log_conflict.c.log.in_(logs)).values(accepted=operator)
    with storage_errors(), writing(engine) as conn:
        return conn.execute(settled).rowcount
