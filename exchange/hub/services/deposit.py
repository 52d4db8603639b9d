"""Depositing an envelope: the order of checks of protocol.md, "The hub on deposit, in this order".

The numbers below are those of protocol.md and of docs/request-flow.md; the first check that fails is the
answer, and nothing of a refused deposit stays but its audit entry.
  (1) the token's agency is the sender            deposit_checks
  (2) size                                        deposit_checks
  (3) strict parse                                deposit_checks
  (4) idempotency                                 here
  (5) cheap equality                              deposit_checks, before the transaction
  (6) keys active in the directory                deposit_authority
  (7) the consent decision for each recipient     deposit_authority
  (8) signatures                                  here, before the transaction
  (9) one transaction: seq and prev, rows, entry  deposit_rows, deposit_parts; the entry: release
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, Engine, bindparam, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.envelopes import grant, manifest
from exchange.hub.services.agreements import deciding, tag
from exchange.hub.services.deposit_authority import Authority, asking, check_consents, check_keys
from exchange.hub.services.deposit_checks import (
    Draft,
    check_equality,
    check_self_grant,
    names_of,
    read_deposit,
)
from exchange.hub.services.deposit_parts import claim_parts
from exchange.hub.services.deposit_rows import check_chains, keep, take_places
from exchange.hub.services.directory_read import key_in
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.sql import Call, Statement, together
from exchange_keys.manifest import verify_manifest
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.entry import Act
from exchange_schemas.errors import ExchangeError, KidUnknown, ProtocolError, Replay, RequestError

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_keys.public import PublicKey
    from exchange_schemas.ids import Kid

_ME: Final[BindParameter[Any]] = bindparam("me")
_MANIFESTS: Final = Statement(
    select(manifest.c.digest, manifest.c.entry_id).where(
        manifest.c.snd == _ME, manifest.c.eid == bindparam("eid")
    )
)
_GRANTS: Final = Statement(
    select(grant.c.gid, grant.c.rcp, grant.c.seq)
    .where(grant.c.snd == _ME, grant.c.eid == bindparam("eid"), grant.c.manifest == bindparam("digest"))
    .order_by(grant.c.outbox_pos)
)


def deposit(hub: Hub, caller: Caller, body: Mapping[str, Any]) -> Released:
    """Take an envelope `{manifest, grants, parts}` of the caller; 201, or 200 for the same manifest again.

    Raises: what each step may refuse with; every code of protocol.md that concerns a sender.
    """
    # (1) the token's agency is the sender, (2) size, (3) strict parse
    draft = read_deposit(body, caller.agency)
    trace, early = _trace(draft), _Early.of(hub, draft)
    asks = (_asking_manifests(draft), *asking(draft))
    return release(hub, caller, trace, lambda unit: _deposit(unit, draft, early, trace), asks=asks)


@dataclass(frozen=True, slots=True)
class _Early:
    """What needs nothing of the transaction and is long: done before it, and counting at its own place."""

    unequal: ExchangeError | None
    unsigned: ExchangeError | None

    @classmethod
    def of(cls, hub: Hub, draft: Draft) -> _Early:
        """The errors of steps (5) and (8), should they be reached."""
        origin, now, catalogue = hub.settings.origin, hub.clock(), load_catalogue()
        return cls(
            _error_of(lambda: check_equality(draft, origin=origin, now=now, catalogue=catalogue)),
            _error_of(
                lambda: verify_manifest(draft.signed, origin=origin, key_for=partial(_named, hub.engine))
            ),
        )


@lru_cache(maxsize=4096)
def _named(engine: Engine, kid: Kid) -> PublicKey | None:
    """A kid names one key for ever; whether it is in force, and whose, is asked in the transaction."""
    with storage_errors(), reading(engine) as conn:
        key = key_in(conn, kid)
    if key is None:
        raise KidUnknown("kid: no such key is known", field="kid")
    return key.public


def _error_of(check: Callable[[], object]) -> ExchangeError | None:
    try:
        check()
    except (ProtocolError, RequestError) as error:
        return error
    return None


def _deposit(unit: Unit, draft: Draft, early: _Early, trace: Trace) -> Answer:
    origin, catalogue = unit.hub.settings.origin, load_catalogue()
    # (4) idempotency
    manifests, *rows = unit.asked
    authority = Authority(*(done.rows for done in rows))
    again, first = _known(unit, draft, trace, manifests.rows)
    if again is not None:
        return again
    # (5) cheap equality
    if early.unequal is not None:
        raise early.unequal
    check_self_grant(draft, first=first)
    # (6) keys active in the directory
    known = check_keys(unit, draft, authority)
    # (7) the consent decision for each recipient
    with deciding(known.policy):
        held = check_consents(unit, draft, known, authority, first=first, catalogue=catalogue)
    # (8) signatures
    if early.unsigned is not None:
        # Once more: its key may have come between.
        verify_manifest(draft.signed, origin=origin, key_for=known.signers.get)
    # (9) one transaction: places, chains, rows; the audit entry follows when this returns
    places = take_places(unit, draft, first=first)
    if places is None:
        return _came_first(unit, draft, trace)
    check_chains(unit.conn, draft, places.heads)
    keep(unit.conn, draft, places, held, claim_parts(unit, draft, first=first))
    grants: list[JsonValue] = [
        {"gid": item.core.gid, "rcp": item.core.rcp, "seq": item.core.seq} for item in draft.grants
    ]
    trace = replace(trace, pol=tag(known.policy))
    if len(held) == 1:
        (only,) = held.values()
        trace = replace(trace, family=only.consent.family)
    return _answer(draft, grants, trace, status=201)


def _asking_manifests(draft: Draft) -> Call:
    return _MANIFESTS.call(me=draft.manifest.snd, eid=draft.manifest.eid)


def _known(unit: Unit, draft: Draft, trace: Trace, rows: list[Any]) -> tuple[Answer | None, bool]:
    """The first answer if the manifest is kept already; and whether this one opens its envelope.

    Raises: Replay when it would open an envelope that the sender has opened with other bytes.
    """
    key = {"me": draft.manifest.snd, "eid": draft.manifest.eid}
    entries = {row.digest: row.entry_id for row in rows}
    entry_id = entries.get(draft.digest)
    if entry_id is not None:
        grants: list[JsonValue] = [
            {"gid": row.gid, "rcp": row.rcp, "seq": row.seq}
            for row in _GRANTS.rows(unit.conn, {**key, "digest": draft.digest})
        ]
        return replace(_answer(draft, grants, trace, status=200), receipt_of=entry_id), False
    # Only a first manifest holds the sender's own grant together with others: a later one grants to another
    # recipient, to a new key, or again to the sender alone after a rotation.
    opens = 0 < len(draft.shared()) < len(draft.grants)
    if entries and opens:
        raise Replay("eid: another manifest has opened this envelope", field="eid")
    return None, not entries


def _came_first(unit: Unit, draft: Draft, trace: Trace) -> Answer:
    """What a deposit gets that waited for its own twin, or whose envelope id is taken. Raises: Replay."""
    (manifests,) = together(unit.conn, _asking_manifests(draft))
    again, _ = _known(unit, draft, trace, manifests.rows)
    if again is None:
        raise Replay("eid: this envelope id is taken", field="eid")
    return again


def _answer(draft: Draft, grants: list[JsonValue], trace: Trace, *, status: int) -> Answer:
    body: dict[str, JsonValue] = {"eid": draft.manifest.eid, "manifest": draft.digest, "grants": grants}
    return Answer(body=body, trace=trace, status=status)


def _trace(draft: Draft) -> Trace:
    kinds = {item.core.kind for item in draft.grants}
    purposes = {item.core.pur for item in draft.grants}
    return Trace(
        act=Act.ENVELOPE_DEPOSIT,
        own=tuple(sorted({item.core.rcp for item in draft.grants})),
        knd=kinds.pop() if len(kinds) == 1 else None,
        fld=names_of(draft.grants),
        pur=purposes.pop() if len(purposes) == 1 else None,
        eid=draft.manifest.eid,
    )
