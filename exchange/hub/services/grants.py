"""Fetching a grant and its large parts: the recipient alone, decided again at this very moment.

States of a grant: waiting → fetched → receipted; waiting → dead when its consent's family is withdrawn. A
grant whose consent ended, or whose own time ended, is given to nobody whatever its state: a tombstone tells
the recipient its place in the chain, so that nothing looks stolen. What cannot change (core, sealed keys,
manifest, parts) is read before the transaction; the decision, and that it was made, are inside it. The lock
order is consent → grant → entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from exchange.consent import ConsentStanding, Deny, Policy, ShareRequest, decide, enforce
from exchange.directory.state import AgencyStatus, KeyStatus
from exchange.hub.blobs import CHUNK
from exchange.hub.db import reading, storage_errors
from exchange.hub.models.envelopes import grant, manifest
from exchange.hub.models.parts import part
from exchange.hub.services.agreements import deciding, tag
from exchange.hub.services.directory_read import head
from exchange.hub.services.parties import asking_parties, parties_in, party_of, policy_of
from exchange.hub.services.ranges import Asked, Span, span_of
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.services.standings import Held, confirmations_of, held_in, holding
from exchange.hub.sql import Call, Statement
from exchange.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u, decode
from exchange_schemas.entry import Act
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import (
    ConsentWithdrawn,
    ExchangeError,
    GrantExpired,
    KeyNotActive,
    KeyRevoked,
    NotFound,
    error_for,
)
from exchange_schemas.ids import Digest, GrantId, PartId
from exchange_schemas.limits import LIMITS
from exchange_schemas.tombstone import REASONS, Tombstone

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_keys.signing import SigningKey

_ME: Final[BindParameter[Any]] = bindparam("me")
_GID: Final[BindParameter[Any]] = bindparam("of_gid")
_STORED: Final = Statement(
    select(
        grant.c.core,
        grant.c.sealed,
        grant.c.seq,
        grant.c.digest,
        grant.c.family,
        grant.c.state,
        manifest.c.jws,
    )
    .join_from(grant, manifest, grant.c.manifest == manifest.c.digest)
    .where(grant.c.gid == _GID, grant.c.rcp == _ME)
)
_PARTS: Final = Statement(
    select(part.c.sha256, part.c.ct).where(
        part.c.agency == bindparam("snd"),
        part.c.eid == bindparam("of_eid"),
        part.c.sha256.in_(bindparam("digests", expanding=True)),
    )
)
_FETCHED: Final = Statement(
    update(grant)
    .where(grant.c.gid == _GID, grant.c.rcp == _ME, grant.c.state == "waiting")
    .values(state="fetched")
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A grant as it lies there, read for its recipient."""

    gid: GrantId
    core: GrantCore
    row: Any

    def trace(self, act: Act) -> Trace:
        core = self.core
        return Trace(
            act=act,
            own=(core.snd,),
            knd=core.kind,
            fld=tuple(sorted(ref.f for ref in core.parts)),
            pur=core.pur,
            family=self.row.family,
            eid=core.eid,
        )


def fetch(hub: Hub, caller: Caller, gid: GrantId) -> Released:
    """The caller's grant with its small parts, its manifest, its consent and the directory's position.

    Raises: NotFound; with a `tombstone` ConsentWithdrawn, ConsentExpired, ConsentSuperseded or GrantExpired;
    KeyRevoked, or what else the decision refuses with.
    """
    with storage_errors(), reading(hub.engine) as conn:
        stored = _read(conn, caller, gid)
        small = _small_parts(conn, stored.core)
    fixed = _fixed(stored, small)
    trace = stored.trace(Act.GRANT_FETCH)

    def work(unit: Unit) -> Answer:
        held, policy = _decide(unit, caller, stored)
        if stored.row.state == "waiting":
            _FETCHED.run(unit.conn, {"me": caller.agency, "of_gid": gid})
        return Answer(body={**fixed, **_present(unit, held)}, trace=replace(trace, pol=tag(policy)))

    return release(hub, caller, trace, work, asks=_asking(caller, stored.core))


def fetch_part(hub: Hub, caller: Caller, gid: GrantId, p: PartId, asked: Asked) -> tuple[Released, Pieces]:
    """One part of the caller's grant, or the range of it that is asked for: the release and the ciphertext.

    Each is a fetch of its own: decided again, and logged.
    Raises: as `fetch`; NotFound when the grant has no such part, or it came with the grant;
    RangeUnsatisfiable, after what the decision refuses with.
    """
    with storage_errors(), reading(hub.engine) as conn:
        stored = _read(conn, caller, gid)
        ref = _part_of(stored.core, p)
        # Only what the grant names: the digest is the grant's, not the caller's.
        if _small_parts(conn, stored.core).get(ref.sha256) is not None:
            raise NotFound("the part came with the grant")
    trace = stored.trace(Act.PART_FETCH)

    def work(unit: Unit) -> Answer:
        _, policy = _decide(unit, caller, stored)
        with deciding(policy):
            span = span_of(asked, ref.len, ref.sha256)
        said = replace(trace, pol=tag(policy))
        return Answer(body={}, trace=said, status=span.status, headers=span.headers())

    blob = hub.blobs.open(ref.sha256)
    try:
        released = release(hub, caller, trace, work, asks=_asking(caller, stored.core))
    except ExchangeError:
        blob.close()
        raise
    return released, Pieces(blob, span_of(asked, ref.len, ref.sha256))


# -- reading what cannot change ------------------------------------------------------------------------


def _read(conn: Connection, caller: Caller, gid: GrantId) -> _Stored:
    row = _STORED.one(conn, {"me": caller.agency, "of_gid": gid})
    if row is None:
        raise NotFound("there is no such grant")
    return _Stored(gid, GrantCore.from_bytes(row.core), row)


def _small_parts(conn: Connection, core: GrantCore) -> dict[Digest, bytes]:
    key = {"snd": core.snd, "of_eid": core.eid, "digests": [ref.sha256 for ref in core.parts]}
    return {row.sha256: row.ct for row in _PARTS.rows(conn, key) if row.ct is not None}


def _part_of(core: GrantCore, p: PartId) -> PartRef:
    found = next((ref for ref in core.parts if ref.p == p), None)
    if found is None:
        raise NotFound("the grant has no such part")
    return found


class Pieces(Iterator[bytes]):
    """Some bytes of an open blob, a piece at a time. A server closes it, also when nobody read to the end."""

    def __init__(self, blob: BinaryIO, span: Span) -> None:
        self.length = span.length
        self._blob, self._left = blob, span.length
        blob.seek(span.first)

    def __next__(self) -> bytes:
        # Nothing is read once all is given: a server may have closed it by then.
        piece = b"" if self._left == 0 else self._blob.read(min(CHUNK, self._left))
        if piece == b"":
            self.close()
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Close the blob; again does nothing."""
        self._blob.close()


# -- deciding again ------------------------------------------------------------------------------------


def _asking(caller: Caller, core: GrantCore) -> tuple[Call, Call]:
    """Holds the consent that the grant names, if any, and reads both parties."""
    return holding(caller.agency, _named(core)), asking_parties({core.snd, core.rcp}, (core.rcp_kid,))


def _named(core: GrantCore) -> tuple[Digest, ...]:
    return () if core.cns is None or core.snd == core.rcp else (core.cns,)


def _decide(unit: Unit, caller: Caller, stored: _Stored) -> tuple[Held | None, Policy]:
    """Decide as at the deposit, now, from what `_asking` gave.

    Gives the consent that the grant names, if any, and the sharing agreements in force.
    """
    core, kids = stored.core, (stored.core.rcp_kid,)
    families, rows = unit.asked
    consents = held_in(unit.conn, caller.agency, _named(core), families.rows)
    held = consents.get(core.cns) if core.cns is not None else None
    directory = parties_in(unit.conn, core.origin, rows.rows, kids)
    key = directory.agencies[core.rcp].keys[core.rcp_kid]
    if key.status is KeyStatus.REVOKED:
        raise KeyRevoked("rcp_kid: the key was revoked; the sender must grant anew", field="rcp_kid")
    if directory.agencies[core.snd].status is not AgencyStatus.ACTIVE:
        # Its recipients' programs would refuse it as well; it waits until the sender takes part again.
        raise KeyNotActive("snd: the sender takes no part at present", field="snd", rule="K4-agency")
    if core.exp <= unit.now:
        raise _dead(stored, GrantExpired.code, "the grant is past its time", None)
    confirmed = confirmations_of(unit.conn, caller.agency, () if held is None else held.judged())
    policy = policy_of(unit.conn, rows.rows)
    decision = decide(
        ShareRequest.of(core),
        None if held is None else held.consent,
        ConsentStanding() if held is None else held.standing,
        party_of(directory, core.rcp),
        unit.now,
        load_catalogue(),
        sender=party_of(directory, core.snd),
        confirmations=confirmed.get(core.snd, {}),
        policy=policy,
    )
    with deciding(policy):
        if stored.row.state == "dead":
            raise _dead(stored, ConsentWithdrawn.code, "the consent is withdrawn", held)
        if isinstance(decision, Deny) and decision.code in REASONS:
            raise _dead(stored, decision.code, decision.reason, held)
        enforce(decision)
    if stored.row.sealed is None:
        raise _dead(stored, GrantExpired.code, "the sealed keys were destroyed after their period", held)
    return held, policy


def _dead(stored: _Stored, code: str, reason: str, held: Held | None) -> ExchangeError:
    """The error with the tombstone that stands in the grant's place."""
    withdrawal = None if held is None else held.withdrawal
    stone = Tombstone(
        seq=stored.row.seq,
        digest=stored.row.digest,
        reason=code,
        withdrawal=None if withdrawal is None else decode(withdrawal, limit=LIMITS.signed_object_bytes),
    )
    detail = {"tombstone": cast("JsonValue", stone.to_json())}
    return error_for(code)(reason, detail=detail)


def _fixed(stored: _Stored, small: dict[Digest, bytes]) -> dict[str, JsonValue]:
    """What of the answer was fixed at the deposit; it is long, so it is made before the transaction."""
    return {
        "core": b64u(stored.row.core),
        # What was destroyed meanwhile leaves no answer: `_decide` says so.
        "sealed": "" if stored.row.sealed is None else b64u(stored.row.sealed),
        "manifest": decode(stored.row.jws, limit=LIMITS.signed_object_bytes),
        "parts": [_part(ref, small.get(ref.sha256)) for ref in stored.core.parts],
    }


def _present(unit: Unit, held: Held | None) -> dict[str, JsonValue]:
    """What of the answer is true at this moment."""
    hub, tree = unit.hub, head(unit.conn)
    position = Checkpoint(hub.settings.directory_log, tree.size, tree.root())
    return {
        "consent": None if held is None else decode(held.jws, limit=LIMITS.signed_object_bytes),
        "directory": {
            "size": tree.size,
            "checkpoint": _signed(position, hub.keys.directory_log),
        },
    }


@lru_cache(maxsize=4)
def _signed(position: Checkpoint, key: SigningKey | LogKey) -> str:
    """The directory stands still between two events, and so does the note about it."""
    return sign_checkpoint(position, key)


def _part(ref: PartRef, ciphertext: bytes | None) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {"p": ref.p, "sha256": ref.sha256}
    if ciphertext is not None:
        shown["ct"] = b64u(ciphertext)
    return shown
