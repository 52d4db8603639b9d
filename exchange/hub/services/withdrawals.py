"""Withdrawals: they act on a whole family, at once, and for good.

A family goes from active to withdrawn and never back. In one transaction, always in this order: the family's
row is locked (a fetch or a deposit under it has committed before, or waits and then sees it), its undelivered
grants die, the guard journal has the withdrawal on its disk, the audit entry, commit. What was fetched is out
of the hub's hands; the answer says how many grants that were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import IS_HEAD, grant
from exchange.hub.services import consents, guard, mailboxes
from exchange.hub.services.directory_read import key_of
from exchange.hub.services.operators import HUB
from exchange.hub.services.release import Answer, Caller, Released, Trace, release, release_admin
from exchange_keys.jws import Signed, verify
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.consent import Withdrawal
from exchange_schemas.entry import Act
from exchange_schemas.errors import ConsentMismatch, NotFound, SenderMismatch, StoreCorrupt
from exchange_schemas.ids import ConsentId
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

_BATCH: Final = 500
"""How many lines of the journal are looked up with one statement."""
_ME: Final[BindParameter[Any]] = bindparam("me")
_FAMILY: Final[BindParameter[Any]] = bindparam("fam")
_FAMILY_OF: Final = select(consent.c.family, consent.c.rcp).where(
    consent.c.cid == bindparam("cid"), consent.c.iss == _ME
)
_PARTIES: Final = select(consent_family.c.rcp).where(
    consent_family.c.family == _FAMILY, consent_family.c.iss == _ME
)
_LOCK: Final = (
    select(consent_family)
    .where(consent_family.c.family == _FAMILY, consent_family.c.iss == _ME)
    .with_for_update()
)
_DELIVERED: Final = select(func.count()).where(
    grant.c.family == _FAMILY, grant.c.state.in_(("fetched", "receipted"))
)
_WITHDRAW: Final = (
    update(consent_family)
    .where(consent_family.c.family == _FAMILY, consent_family.c.iss == _ME)
    .values(
        status="withdrawn",
        withdrawal=bindparam("jws"),
        withdrawn_at=bindparam("at"),
        undelivered=bindparam("dead"),
        delivered=bindparam("out"),
        entry_id=bindparam("entry"),
    )
)
# A sender must be able to check the head of a chain, so its sealed keys stay until another grant follows.
_BURY_WAITING: Final = (
    update(grant)
    .where(grant.c.family == _FAMILY, grant.c.state == "waiting")
    .values(state="dead", sealed=case((IS_HEAD, grant.c.sealed), else_=None))
)
_WITHDRAWN: Final = select(consent_family.c.family).where(
    consent_family.c.family.in_(bindparam("families", expanding=True)), consent_family.c.status == "withdrawn"
)
_STUB: Final = insert(consent_family).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True)
class _Request:
    cid: ConsentId
    signed: Signed
    withdrawal: Withdrawal


@dataclass(frozen=True, slots=True)
class _End:
    """When the family ended, and how many grants under it were undelivered and delivered."""

    at: datetime
    undelivered: int
    delivered: int


def withdraw(hub: Hub, caller: Caller, cid: ConsentId, body: JsonValue) -> Released:
    """Withdraw the family of one of the caller's consents, `body` being the signed withdrawal.

    The same family again gives the first answer and its receipt.
    Raises: Malformed, SenderMismatch, NotFound, ConsentMismatch, OriginMismatch, key errors, SigInvalid;
    StorageFull when the guard journal cannot be written (nothing is withdrawn then).
    """
    # (1) strict parse
    signed = Signed.from_json(body, LIMITS.withdrawal_bytes)
    asked = _Request(cid, signed, Withdrawal.from_bytes(signed.payload))
    trace = Trace(act=Act.CONSENT_WITHDRAW, family=asked.withdrawal.family)
    return release(hub, caller, trace, lambda unit: _withdraw(unit, caller, asked))


def withdraw_by_operator(hub: Hub, operator: str, signed: Signed) -> Released:
    """Withdraw a family with the issuer's own signed withdrawal, carried here by an operator, and logged so.

    For an issuer that the hub does not let in: suspended, expelled, or without its machines. The operator
    adds nothing but the way: the signature must be that of an approver of the issuer whose key is in force.
    Raises: as `withdraw`, but SenderMismatch; NotFound for a family that the issuer does not have.
    """
    withdrawal = Withdrawal.from_bytes(signed.payload)
    trace = Trace(act=Act.CONSENT_WITHDRAW, own=(withdrawal.iss,), family=withdrawal.family)

    def work(unit: Unit) -> Answer:
        key = {"me": withdrawal.iss, "fam": withdrawal.family}
        row = unit.conn.execute(_PARTIES, key).first()
        if row is None:
            raise NotFound("the issuer has no such family of consents")
        parties = trace.own if row.rcp is None else (*trace.own, row.rcp)
        return _end_family(unit, signed, withdrawal, replace(trace, own=parties), shut_out=True)

    return release_admin(hub, operator, trace, work)


def replay_journal(hub: Hub) -> int:
    """Withdraw every family that the guard journal names and the database does not show as withdrawn.

    And enter every newer consent that the database does not have, so that the older one holds no longer.
    To be called before the hub serves; each one found is logged. Returns how many there were: more than none
    means that the database is older than the journal. Raises: StoreCorrupt; Unavailable, AuditUnavailable.
    """
    count = 0
    for lines in guard.batches(guard.read(hub.settings.guard_dir), _BATCH):
        with storage_errors(), reading(hub.engine) as conn:
            done = set(conn.execute(_WITHDRAWN, {"families": [line.family for line in lines]}).scalars())
            lost = set(consents.missing(conn, lines))
        for line in lines:
            if line.family in done:
                continue
            if isinstance(line, guard.Withdrawn):
                _replay(hub, line)
                done.add(line.family)
                count += 1
            elif line in lost:
                count += _narrow(hub, line)
    return count


def _withdraw(unit: Unit, caller: Caller, asked: _Request) -> Answer:
    withdrawal = asked.withdrawal
    # (2) the caller is the issuer
    if withdrawal.iss != caller.agency:
        raise SenderMismatch("iss: only the issuer withdraws its consent", field="iss")
    # (3) the consent is the caller's and of this family
    found = unit.conn.execute(_FAMILY_OF, {"me": caller.agency, "cid": asked.cid}).one_or_none()
    if found is None:
        raise NotFound("there is no such consent")
    if found.family != withdrawal.family:
        raise ConsentMismatch("family: the consent is of another family", field="family")
    trace = Trace(act=Act.CONSENT_WITHDRAW, own=(found.rcp,), family=withdrawal.family)
    return _end_family(unit, asked.signed, withdrawal, trace, shut_out=False)


def _end_family(
    unit: Unit, signed: Signed, withdrawal: Withdrawal, trace: Trace, *, shut_out: bool
) -> Answer:
    """(4) to (8); `shut_out`: the issuer may be one that takes no part at present."""
    # (4) the family, locked; withdrawn is withdrawn, so that a repeated request gets the first answer
    key = {"me": withdrawal.iss, "fam": withdrawal.family}
    family = unit.conn.execute(_LOCK, key).one()
    if family.status == "withdrawn":
        at = datetime.fromtimestamp(family.withdrawn_at, UTC)
        end = _End(at, undelivered=family.undelivered, delivered=family.delivered)
        return replace(_answer(withdrawal.family, end, trace), receipt_of=family.entry_id)
    # (5) signed by an approver of the issuer
    verify(
        signed,
        Withdrawal.typ,
        origin=unit.hub.settings.origin,
        key_for=lambda kid: key_of(
            unit.conn, kid, use="approver", agency=withdrawal.iss, now=unit.now, shut_out=shut_out
        ),
    )
    line = guard.Withdrawn(withdrawal.family, withdrawal.iss, int(unit.now.timestamp()), signed.to_bytes())
    end = _bury(unit, line)
    # (8) the journal, on its disk before the commit
    guard.append(unit.hub.settings.guard_dir, line)
    return _answer(withdrawal.family, end, trace)


def _bury(unit: Unit, line: guard.Withdrawn) -> _End:
    """(6) and (7), with the family's row locked."""
    conn, key = unit.conn, {"me": line.iss, "fam": line.family}
    # (6) what nobody fetched dies
    conn.execute(mailboxes.HOLD, key)
    dead = conn.execute(_BURY_WAITING, key).rowcount
    out = conn.execute(_DELIVERED, key).scalar_one()
    # (7) the family
    values = {"jws": line.withdrawal, "at": line.at, "dead": dead, "out": out, "entry": unit.entry_id}
    conn.execute(_WITHDRAW, {**key, **values})
    return _End(datetime.fromtimestamp(line.at, UTC), undelivered=dead, delivered=out)


def _answer(family: str, end: _End, trace: Trace) -> Answer:
    body: dict[str, JsonValue] = {
        "family": family,
        "effective_at": format_time(end.at),
        "undelivered": end.undelivered,
        "delivered": end.delivered,
    }
    return Answer(body=body, trace=trace)


def _narrow(hub: Hub, line: guard.Superseded) -> bool:
    """Whether the newer consent of this line was lost; it holds again then."""
    found: list[Answer | None] = []

    def work(unit: Unit) -> Answer:
        found.append(consents.enter_again(unit, line))
        return found[-1] or Answer(body={}, trace=trace, logged=False)

    trace = Trace(act=Act.WITHDRAWAL_REPLAY, own=(line.iss,), family=line.family)
    release_admin(hub, HUB, trace, work)
    return found[-1] is not None


def _replay(hub: Hub, line: guard.Withdrawn) -> None:
    trace = Trace(act=Act.WITHDRAWAL_REPLAY, own=(line.iss,), family=line.family)

    def work(unit: Unit) -> Answer:
        # A family that the database does not know is kept as withdrawn, so that it can never begin.
        unit.conn.execute(_STUB, {"family": line.family, "iss": line.iss, "status": "active"})
        family = unit.conn.execute(_LOCK, {"me": line.iss, "fam": line.family}).one_or_none()
        if family is None:
            raise StoreCorrupt("the guard journal names another issuer of a family than the database")
        if family.status == "withdrawn":
            # Another worker that starts now was first; its counts and its entry stand.
            return Answer(body={}, trace=trace, logged=False)
        _bury(unit, line)
        return Answer(body={}, trace=trace)

    release_admin(hub, HUB, trace, work)
