"""Step (9) of a deposit: the chain's next places, the parts, the rows, all in the one transaction.

The sender's counter is taken first, so that two deposits of one sender never run side by side from here on:
the heads that are compared are the heads that are set. The SQL carries the sender; nothing here decides what
may be shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, false, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.envelopes import chain_head, grant, manifest
from exchange.hub.services.deposit_checks import Draft, DraftGrant
from exchange.hub.services.mailboxes import taken, taking
from exchange.hub.sql import Statement, together
from exchange_schemas.codec import JsonValue, b64u, decode
from exchange_schemas.envelope import NO_PREVIOUS
from exchange_schemas.errors import Replay, SeqConflict
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.deposit_parts import Claim
    from exchange.hub.services.standings import Held
    from exchange.hub.services.unit import Unit

_ME: Final[BindParameter[Any]] = bindparam("me")
_KEEP_MANIFEST: Final = Statement(
    insert(manifest).on_conflict_do_nothing(), fills=("digest", "eid", "opens", "snd", "jws", "entry_id")
)
_KEEP_GRANT: Final = Statement(
    insert(grant).on_conflict_do_nothing(),
    fills=[column.name for column in grant.columns if column.name not in ("receipt", "receipt_entry")],
)
_HEADS: Final = Statement(
    select(
        chain_head.c.rcp,
        chain_head.c.seq,
        chain_head.c.digest,
        chain_head.c.gid,
        chain_head.c.reopened,
        grant.c.state,
    )
    # A chain that a recovery opened may have no grant yet.
    .join_from(chain_head, grant, chain_head.c.gid == grant.c.gid, isouter=True)
    .where(chain_head.c.snd == _ME, chain_head.c.rcp.in_(bindparam("rcps", expanding=True)))
)
_CONFLICTING: Final = Statement(
    select(grant.c.rcp, grant.c.seq, grant.c.digest, grant.c.core, grant.c.sealed, manifest.c.jws)
    .join_from(grant, manifest, grant.c.manifest == manifest.c.digest)
    .where(grant.c.snd == _ME, grant.c.gid.in_(bindparam("gids", expanding=True)))
)
_NEW_HEAD: Final = insert(chain_head)
_SET_HEAD: Final = Statement(
    _NEW_HEAD.on_conflict_do_update(
        index_elements=[chain_head.c.snd, chain_head.c.rcp],
        set_={
            **{name: _NEW_HEAD.excluded[name] for name in ("seq", "digest", "gid")},
            "reopened": false(),
        },
    ),
    fills=("snd", "rcp", "seq", "digest", "gid"),
)
# The head of a chain kept its sealed keys after it died; it is no head any more.
_EMPTY_DEAD: Final = Statement(
    update(grant)
    .where(grant.c.snd == _ME, grant.c.gid.in_(bindparam("gids", expanding=True)), grant.c.state == "dead")
    .values(sealed=None)
)


@dataclass(frozen=True, slots=True)
class Places:
    """What was taken for a deposit: the first place of each agency, and the present heads of its chains."""

    first: Mapping[str, int]
    heads: Mapping[str, Any]


def take_places(unit: Unit, draft: Draft, *, first: bool) -> Places | None:
    """Keep the manifest, take the grants' places in the mailboxes of sender and recipients.

    None when the manifest, or another one that opened this envelope, is there already.
    """
    counts: dict[str, int] = {item.core.rcp: 1 for item in draft.shared()}
    counts[draft.manifest.snd] = len(draft.grants)
    places, kept, heads = together(
        unit.conn,
        taking(counts),
        _KEEP_MANIFEST.call(
            digest=draft.digest,
            eid=draft.manifest.eid,
            opens=draft.manifest.eid if first else None,
            snd=draft.manifest.snd,
            jws=draft.signed.to_bytes(),
            entry_id=unit.entry_id,
        ),
        _HEADS.call(me=draft.manifest.snd, rcps=[item.core.rcp for item in draft.grants]),
    )
    if kept.count != 1:
        return None
    return Places(taken(counts, places.rows), {row.rcp: row for row in heads.rows})


def check_chains(conn: Connection, draft: Draft, heads: Mapping[str, Any]) -> None:
    """Compare each grant's `seq` and `prev` with the head of its chain.

    Raises: SeqConflict, with the present head of each chain that does not fit.
    """
    key = {"me": draft.manifest.snd}
    wrong = [item.core.rcp for item in draft.grants if not _follows(item, heads.get(item.core.rcp))]
    if wrong:
        raise SeqConflict(
            "seq: not the next place in the chain to this recipient",
            field="seq",
            detail={"head": _conflicting(conn, key, wrong, heads)},
        )


def keep(conn: Connection, draft: Draft, places: Places, held: Mapping[AgencyId, Held], parts: Claim) -> None:
    """Keep grants and parts, make the grants the heads; `held` are the consents they rest on, by recipient.

    Raises: Replay when a grant's id is taken; PartMissing.
    """
    heads = [
        {
            "snd": item.core.snd,
            "rcp": item.core.rcp,
            "seq": item.core.seq,
            "digest": item.digest,
            "gid": item.core.gid,
        }
        for item in draft.grants
    ]
    dead = [row.gid for row in places.heads.values() if row.state == "dead"]
    if dead:
        _EMPTY_DEAD.run(conn, {"me": draft.manifest.snd, "gids": dead})
    rows = _rows(draft, places.first, held)
    _, grants, *claimed = together(conn, _SET_HEAD.for_each(heads), _KEEP_GRANT.for_each(rows), *parts.calls)
    if grants.count != len(rows):
        raise Replay("gid: another grant has this id", field="gid")
    parts.check(claimed)


def _rows(draft: Draft, places: Mapping[str, int], held: Mapping[AgencyId, Held]) -> list[dict[str, object]]:
    outbox = places[draft.manifest.snd]
    rows = []
    for number, item in enumerate(draft.grants):
        rcp = item.core.rcp
        inbox = None if rcp == draft.manifest.snd else places[rcp]
        rows.append(_row(draft, item, inbox, outbox + number, held.get(rcp)))
    return rows


def _follows(item: DraftGrant, head: Any) -> bool:
    if head is None:
        return item.core.seq == 1 and item.core.prev == NO_PREVIOUS
    if head.reopened:
        return bool(item.core.seq > head.seq)
    return bool(item.core.seq == head.seq + 1 and item.core.prev == head.digest)


def _conflicting(
    conn: Connection, key: Mapping[str, str], wrong: list[AgencyId], heads: Mapping[str, Any]
) -> dict[str, JsonValue]:
    """The heads as a sender needs them: to check its own signature on each before it goes on from there."""
    none: dict[str, JsonValue] = {
        "seq": 0,
        "digest": NO_PREVIOUS,
        "core": None,
        "sealed": None,
        "manifest": None,
    }
    found: dict[str, JsonValue] = {rcp: none for rcp in wrong}
    gids = [heads[rcp].gid for rcp in wrong if rcp in heads]
    for row in _CONFLICTING.rows(conn, {**key, "gids": gids}) if gids else ():
        found[row.rcp] = {
            "seq": row.seq,
            "digest": row.digest,
            "core": b64u(row.core),
            "sealed": b64u(row.sealed),
            "manifest": decode(row.jws, limit=LIMITS.signed_object_bytes),
        }
    return found


def _row(
    draft: Draft, item: DraftGrant, inbox: int | None, outbox: int, held: Held | None
) -> dict[str, object]:
    core = item.core
    exp = int(core.exp.timestamp())
    return {
        "gid": core.gid,
        "eid": core.eid,
        "manifest": draft.digest,
        "snd": core.snd,
        "rcp": core.rcp,
        "rcp_kid": core.rcp_kid,
        "kind": core.kind,
        "thread": core.thread,
        "pur": core.pur,
        "cns": core.cns,
        "family": None if held is None else held.consent.family,
        "seq": core.seq,
        "digest": item.digest,
        "core": item.core_bytes,
        "sealed": item.sealed,
        "iat": int(core.iat.timestamp()),
        "exp": exp,
        "dies": exp if held is None else min(exp, int(held.consent.exp.timestamp())),
        "state": "waiting",
        "inbox_pos": inbox,
        "outbox_pos": outbox,
    }
