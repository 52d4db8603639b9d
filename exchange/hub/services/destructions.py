"""Statements of destruction: what the hub says it has destroyed, kept for ever and named by the audit log.

A statement holds counts, periods and one root over commitments, so it says to nobody what was destroyed, and
proves it to whoever knows the digest of a grant or of a ciphertext. Its digest stands in the `pol` of the
audit entry that was written with it: the log's signed checkpoints are its signature. It must never be made
after the fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, bindparam, insert, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.destructions import destruction
from exchange.log.tree import leaf_hash, root_of
from exchange_schemas.codec import JsonValue, b64u, decode, encode, format_time, sha256
from exchange_schemas.ids import Digest

if TYPE_CHECKING:
    from exchange.hub.services.unit import Unit

TYP: Final = "hx-destruction"
_VERSION: Final = 1
_BYTES: Final = 16 * 1024
_EACH: Final = (
    select(destruction)
    .where(destruction.c.at >= bindparam("since"))
    .order_by(destruction.c.at, destruction.c.digest)
)


@dataclass(frozen=True, slots=True)
class Destruction:
    """A statement: `digest` is H of `members` as they are kept, `entry_id` the audit entry that names it."""

    digest: Digest
    entry_id: str
    members: Mapping[str, JsonValue]


def state(unit: Unit, counts: Mapping[str, int], commitments: Sequence[Digest]) -> Destruction:
    """Keep a statement in the transaction that destroys; `commitments` are sorted by the caller.

    Its root is that of an RFC 6962 tree over them, in their order.
    """
    leaves = (leaf_hash(one.encode()) for one in commitments)
    members: dict[str, JsonValue] = {
        "v": _VERSION,
        "typ": TYP,
        "origin": unit.hub.settings.origin,
        "at": format_time(unit.now.replace(microsecond=0)),
        "destroyed": dict(counts),
        "keep_delivered_days": unit.hub.settings.keep_delivered_days,
        "commitments": {"count": len(commitments), "root": b64u(root_of(leaves))},
    }
    data = encode(members, limit=_BYTES)
    digest = Digest(b64u(sha256(data)))
    row = {"digest": digest, "at": int(unit.now.timestamp()), "entry_id": unit.entry_id, "statement": data}
    unit.conn.execute(insert(destruction), row)
    return Destruction(digest, unit.entry_id, members)


def tag(statement: Destruction) -> str:
    """How the audit entry names it."""
    return f"sha256:{statement.digest}"


def listed(engine: Engine, *, since: datetime | None = None) -> list[Destruction]:
    """All statements, or those since a moment, oldest first. Raises: AuditUnavailable, Unavailable."""
    start = 0 if since is None else int(since.timestamp())
    with storage_errors(), reading(engine) as conn:
        rows = conn.execute(_EACH, {"since": start}).all()
    return [
        Destruction(Digest(row.digest), row.entry_id, decode(bytes(row.statement), limit=_BYTES))
        for row in rows
    ]
