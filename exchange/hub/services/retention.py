"""`exchange-hub retain`: destroys what is over, a page of one sender's grants at a time.

The rules are those of `retention_rules`. One page is one transaction: the sender's mailbox is locked, so that
no deposit of it grants from what goes; sealed keys and ciphertexts go; the statement and its audit entry
follow; commit. Blobs go after the commit, by the sweep, which finds them whenever it runs. So a run that is
cut short anywhere has done whole pages, and the next one goes on; a run that finds nothing writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, Connection, and_, bindparam, delete, select, update

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.consents import consent_family
from exchange.hub.models.directory import directory_key
from exchange.hub.models.envelopes import IS_HEAD, grant, mailbox
from exchange.hub.models.parts import part
from exchange.hub.services import mailboxes
from exchange.hub.services.destructions import Destruction, state, tag
from exchange.hub.services.operators import HUB
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.retention_rules import KeptGrant, commitment, over, to_unseal
from exchange_schemas.entry import Act
from exchange_schemas.envelope import GrantCore
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, GrantId

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

PAGE: Final = 200
_ME: Final[BindParameter[Any]] = bindparam("me")
_SENDERS: Final = select(mailbox.c.agency).order_by(mailbox.c.agency)
_PLACES: Final = (
    select(grant.c.outbox_pos, grant.c.eid)
    .where(grant.c.snd == _ME, grant.c.outbox_pos > bindparam("after"))
    .order_by(grant.c.outbox_pos)
    .limit(PAGE)
)
_ENVELOPES: Final = (
    select(
        grant.c.gid,
        grant.c.eid,
        grant.c.snd,
        grant.c.rcp,
        grant.c.state,
        grant.c.iat,
        grant.c.dies,
        grant.c.digest,
        grant.c.core,
        grant.c.sealed.is_not(None).label("sealed"),
        (consent_family.c.status == "withdrawn").label("withdrawn"),
        (directory_key.c.status == "revoked").label("revoked"),
        IS_HEAD.label("head"),
    )
    .outerjoin(consent_family, consent_family.c.family == grant.c.family)
    .outerjoin(directory_key, directory_key.c.kid == grant.c.rcp_kid)
    .where(grant.c.snd == _ME, grant.c.eid.in_(bindparam("eids", expanding=True)))
)
_PARTS: Final = select(part.c.sha256).where(
    part.c.agency == _ME, part.c.sha256.in_(bindparam("digests", expanding=True)), part.c.eid.is_not(None)
)
_UNSEAL: Final = (
    update(grant)
    .where(grant.c.snd == _ME, grant.c.gid.in_(bindparam("gids", expanding=True)))
    .values(sealed=None)
)
_DESTROY: Final = delete(part).where(
    and_(part.c.agency == _ME, part.c.sha256.in_(bindparam("digests", expanding=True)))
)


Tell = Callable[[Destruction, Sequence[Digest]], None]


def _silent(_statement: Destruction, _commitments: Sequence[Digest]) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Due:
    """What of one page must go: grants by id with their digest, ciphertexts by theirs."""

    grants: Mapping[GrantId, Digest]
    parts: tuple[Digest, ...]

    def __bool__(self) -> bool:
        return bool(self.grants or self.parts)

    def commitments(self) -> list[Digest]:
        """What the statement's root is over, sorted."""
        sealed = [commitment("grant", digest) for digest in self.grants.values()]
        return sorted([*sealed, *(commitment("part", digest) for digest in self.parts)])


@dataclass(slots=True)
class Retained:
    """What a run has destroyed, or would. `tell` hears of each statement with what its root is over."""

    tell: Tell = _silent
    counts: Counter[str] = field(default_factory=Counter)
    statements: list[Destruction] = field(default_factory=list)

    def add(self, statement: Destruction, commitments: Sequence[Digest]) -> None:
        """One more statement, durable already."""
        self.statements.append(statement)
        self.tell(statement, commitments)


def destroy_due(hub: Hub, done: Retained, *, dry_run: bool) -> None:
    """Go over all grants and destroy what is due, adding to `done`. Raises: Unavailable, AuditUnavailable."""
    with storage_errors(), reading(hub.engine) as conn:
        senders = [AgencyId(name) for name in conn.execute(_SENDERS).scalars()]
    for sender in senders:
        for eids in _pages(hub, sender):
            with storage_errors(), reading(hub.engine) as conn:
                due = _due(conn, hub, sender, eids, hub.clock())
            if dry_run or not due:
                _count(done, due)
            else:
                _destroy(hub, sender, eids, done)


def _pages(hub: Hub, sender: AgencyId) -> Iterator[list[EnvelopeId]]:
    """The sender's envelopes, in the order of its outbox; one may come in two pages."""
    after = -1
    while True:
        with storage_errors(), reading(hub.engine) as conn:
            rows = conn.execute(_PLACES, {"me": sender, "after": after}).all()
        if not rows:
            return
        after = rows[-1].outbox_pos
        yield sorted({EnvelopeId(row.eid) for row in rows})


def _due(conn: Connection, hub: Hub, sender: AgencyId, eids: Sequence[EnvelopeId], now: datetime) -> Due:
    keep = timedelta(days=hub.settings.keep_delivered_days)
    envelopes: dict[str, list[Any]] = {}
    for row in conn.execute(_ENVELOPES, {"me": sender, "eids": list(eids)}):
        envelopes.setdefault(row.eid, []).append(row)
    grants: dict[GrantId, Digest] = {}
    digests: set[Digest] = set()
    for rows in envelopes.values():
        kept = [_kept(row) for row in rows]
        ended = over(kept, now=now, keep=keep)
        by_gid = {GrantId(row.gid): Digest(row.digest) for row in rows}
        grants |= {gid: by_gid[gid] for gid in to_unseal(kept, ended)}
        if len(ended) == len(rows):
            digests |= {ref.sha256 for row in rows for ref in GrantCore.from_bytes(bytes(row.core)).parts}
    return Due(grants, _here(conn, sender, digests))


def _here(conn: Connection, sender: AgencyId, digests: set[Digest]) -> tuple[Digest, ...]:
    """Those of the ciphertexts that are still here. In pieces: a database takes so many values at once."""
    found: list[Digest] = []
    wanted = sorted(digests)
    for start in range(0, len(wanted), PAGE):
        rows = conn.execute(_PARTS, {"me": sender, "digests": wanted[start : start + PAGE]})
        found += [Digest(digest) for digest in rows.scalars()]
    return tuple(sorted(found))


def _kept(row: Any) -> KeptGrant:
    return KeptGrant(
        gid=GrantId(row.gid),
        snd=AgencyId(row.snd),
        rcp=AgencyId(row.rcp),
        deposited=datetime.fromtimestamp(row.iat, UTC),
        dies=datetime.fromtimestamp(row.dies, UTC),
        receipted=row.state == "receipted",
        withdrawn=bool(row.withdrawn),
        key_revoked=bool(row.revoked),
        sealed=bool(row.sealed),
        head=bool(row.head),
    )


def _destroy(hub: Hub, sender: AgencyId, eids: Sequence[EnvelopeId], done: Retained) -> None:
    trace = Trace(act=Act.RETENTION_DESTROY, own=(sender,))
    made: list[tuple[Destruction, Sequence[Digest], Due]] = []

    def work(unit: Unit) -> Answer:
        unit.conn.execute(mailboxes.HOLD, {"me": sender})
        due = _due(unit.conn, hub, sender, eids, unit.now)
        if not due:
            # Another run was here meanwhile.
            return Answer(body={}, trace=trace, logged=False)
        for start in range(0, len(due.grants), PAGE):
            unit.conn.execute(_UNSEAL, {"me": sender, "gids": [*due.grants][start : start + PAGE]})
        for start in range(0, len(due.parts), PAGE):
            unit.conn.execute(_DESTROY, {"me": sender, "digests": list(due.parts[start : start + PAGE])})
        commitments = due.commitments()
        statement = state(unit, {"sealed_keys": len(due.grants), "parts": len(due.parts)}, commitments)
        made.append((statement, commitments, due))
        return Answer(body={}, trace=Trace(act=trace.act, own=trace.own, pol=tag(statement)))

    release_admin(hub, HUB, trace, work)
    for statement, commitments, due in made:
        done.add(statement, commitments)
        _count(done, due)


def _count(done: Retained, due: Due) -> None:
    done.counts.update(sealed_keys=len(due.grants), parts=len(due.parts))
