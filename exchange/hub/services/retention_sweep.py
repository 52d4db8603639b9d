"""The sweep at the end of `exchange-hub retain`: what nothing stands for any more, and what has expired.

Uploads that no envelope used within 24 hours, blobs without a row, files of uploads that were cut short,
used-up proofs, revoked tokens, finished pulls, old rate leases. A run that found anything leaves one
statement and one audit entry. A blob is deleted only after a look for a row that stands for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Table, bindparam, delete, func, select

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.limits import rate_lease
from exchange.hub.models.log import audit_pull
from exchange.hub.models.parts import part
from exchange.hub.models.replay import replay, revoked_token
from exchange.hub.services.destructions import Destruction, state, tag
from exchange.hub.services.leases import KEPT_WINDOWS
from exchange.hub.services.limits import WINDOW_S
from exchange.hub.services.operators import HUB
from exchange.hub.services.parts import stands
from exchange.hub.services.pieces import uploads_of
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.replays import MARGIN_S, prune_table
from exchange.hub.services.retention import Retained
from exchange.hub.services.retention_rules import commitment
from exchange_schemas.entry import Act
from exchange_schemas.ids import Digest

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

ORPHAN_AFTER: Final = timedelta(days=2)
"""How old a blob without a row must be: an upload writes its bytes first, and may take a day."""
_BATCH: Final = 200
_EXPIRED: Final = select(part.c.agency, part.c.sha256).where(part.c.expires <= bindparam("now")).limit(_BATCH)
_GIVE_UP: Final = delete(part).where(
    part.c.agency == bindparam("of"), part.c.sha256 == bindparam("digest"), part.c.expires <= bindparam("now")
)
_EXPIRING: Final[tuple[tuple[str, Table], ...]] = (
    ("proofs", replay),
    ("revoked_tokens", revoked_token),
    ("pulls", audit_pull),
)


def sweep(hub: Hub, done: Retained, *, dry_run: bool) -> None:
    """Destroy what has expired or has lost its row, adding to `done`.

    Raises: Unavailable, AuditUnavailable.
    """
    if dry_run:
        done.counts.update(_expected(hub))
        return
    unused = _give_up_unused(hub)
    orphans = _drop_orphans(hub)
    counts = Counter({"unused_uploads": len(unused), "blobs": len(orphans), "cut_short": _cut_short(hub)})
    counts.update(_prune(hub))
    done.counts.update(counts)
    if counts.total():
        _say(hub, done, counts, sorted(commitment("part", digest) for digest in {*unused, *orphans}))


def _expected(hub: Hub) -> Counter[str]:
    now = hub.clock()
    limit = int(now.timestamp())
    counts: Counter[str] = Counter()
    with storage_errors(), reading(hub.engine) as conn:
        unused = select(func.count()).select_from(part).where(part.c.expires <= limit)
        counts["unused_uploads"] = conn.execute(unused).scalar_one()
        for name, table in _EXPIRING:
            expired = select(func.count()).select_from(table).where(table.c.expires < limit - MARGIN_S)
            counts[name] = conn.execute(expired).scalar_one()
        leases = (
            select(func.count())
            .select_from(rate_lease)
            .where(rate_lease.c.win < limit // WINDOW_S - KEPT_WINDOWS)
        )
        counts["rate_leases"] = conn.execute(leases).scalar_one()
    counts["blobs"] = sum(not stands(hub, digest) for digest in hub.blobs.older_than(now - ORPHAN_AFTER))
    return counts


def _give_up_unused(hub: Hub) -> list[Digest]:
    gone: list[Digest] = []
    now = int(hub.clock().timestamp())
    while True:
        with storage_errors(), writing(hub.engine) as conn:
            rows: Sequence[Any] = conn.execute(_EXPIRED, {"now": now}).all()
            if rows:
                keys = [{"of": row.agency, "digest": row.sha256, "now": now} for row in rows]
                conn.execute(_GIVE_UP, keys)
        if not rows:
            break
        gone += [Digest(row.sha256) for row in rows]
    for digest in gone:
        if not stands(hub, digest):
            hub.blobs.delete(digest)
    return gone


def _drop_orphans(hub: Hub) -> list[Digest]:
    """Blobs that no row stands for: those of destroyed envelopes, and of uploads that died."""
    gone = []
    for digest in [*hub.blobs.older_than(hub.clock() - ORPHAN_AFTER)]:
        if not stands(hub, digest) and hub.blobs.delete(digest):
            gone.append(digest)
    return gone


def _cut_short(hub: Hub) -> int:
    """Files of uploads that were cut short, whole ones and those in pieces."""
    before = hub.clock() - ORPHAN_AFTER
    swept = hub.blobs.sweep(before) if isinstance(hub.blobs, FolderBlobs) else 0
    return swept + uploads_of(hub).give_up(before)


def _prune(hub: Hub) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, table in _EXPIRING:
        while True:
            with storage_errors(), writing(hub.engine) as conn:
                gone = prune_table(conn, table, hub.clock())
            counts[name] += gone
            if gone == 0:
                break
    window = int(hub.clock().timestamp()) // WINDOW_S
    with storage_errors(), writing(hub.engine) as conn:
        counts["rate_leases"] = conn.execute(
            delete(rate_lease).where(rate_lease.c.win < window - KEPT_WINDOWS)
        ).rowcount
    return counts


def _say(hub: Hub, done: Retained, counts: Counter[str], commitments: Sequence[Digest]) -> None:
    trace = Trace(act=Act.RETENTION_DESTROY)
    made: list[Destruction] = []

    def work(unit: Unit) -> Answer:
        statement = state(unit, counts, commitments)
        made.append(statement)
        return Answer(body={}, trace=Trace(act=trace.act, pol=tag(statement)))

    release_admin(hub, HUB, trace, work)
    for statement in made:
        done.add(statement, commitments)
