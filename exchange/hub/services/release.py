"""The only way an authenticated answer leaves the hub: logged first, durable, and with its receipt.

States of one release, in order. It must never answer from a state before the last:
(1) one outer transaction begins;
(2) the proof is spent, in that transaction, so that a denial keeps it (a second use is a denial);
(3) the token must not be revoked;
(4) the service works at a savepoint: an `ExchangeError` takes back its changes and becomes a denial;
(5) the entry, allow or deny or error, is appended as the transaction's last statement;
(6) commit, synced to the disk; if any of this fails: no payload;
(7) a checkpoint is signed and the receipt built; then the answer, or the error with its receipt, leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import text

from exchange.hub.db import storage_errors, writing
from exchange.hub.services import highwater
from exchange.hub.services.audit_entry import Actor, Logged, Trace, Verdict, record
from exchange.hub.services.audit_receipt import Receipt, build_receipt, receipt_for
from exchange.hub.services.hub import Hub
from exchange.hub.services.replays import asking_revoked, prune_sometimes, spending
from exchange.hub.services.unit import Unit
from exchange.hub.sql import Statement, together
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ExchangeError, Replay, ServiceError, Unauthorized
from exchange_schemas.ids import AgencyId, new_id

__all__ = [
    "REPLAYED",
    "Answer",
    "Caller",
    "Proof",
    "Receipt",
    "Released",
    "Trace",
    "receipt_for",
    "receipt_of_error",
    "release",
    "release_admin",
]


@dataclass(frozen=True, slots=True)
class Proof:
    """The DPoP proof as verified. `jti_hash`: 32 bytes; `expires`: when it can no longer be accepted.

    `also`: more that this request uses up, as (jti hash, expiry): the client assertion of a token request.
    """

    jti_hash: bytes
    expires: datetime
    compact: str
    also: tuple[tuple[bytes, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as authenticated. `token_jti` is "" where there is no token yet (the token endpoint)."""

    agency: AgencyId
    kind: str
    scopes: frozenset[str]
    proof: Proof
    user: str | None
    token_jti: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answers. `logged=False`: only for answers on the tested list of those with nothing new.

    `receipt_of`: an earlier entry whose receipt the caller gets again (the same envelope sent twice); this
    answer is logged all the same.
    """

    body: dict[str, JsonValue]
    trace: Trace
    status: int = 200
    logged: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    receipt_of: str | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """An answer that may leave; `receipt` is None only where it was not logged."""

    body: dict[str, JsonValue]
    status: int
    headers: Mapping[str, str]
    receipt: Receipt | None


_SAVEPOINT: Final = Statement(text("SAVEPOINT work"))
_ROLLBACK: Final = Statement(text("ROLLBACK TO SAVEPOINT work"))

Work = Callable[[Unit], Answer]

REPLAYED: Final = "proof-replayed"
"""The rule of the Unauthorized that a used proof gets; its entry says REPLAY."""


def release(hub: Hub, caller: Caller, trace: Trace, work: Work) -> Released:
    """Do a caller's work, log it, and give the answer with its receipt.

    `trace` is what is known before the work; the answer's own trace replaces it when the work succeeds.
    Raises: the work's `ExchangeError`, logged as a denial (`receipt_of_error` gives its receipt);
    Unauthorized for a replayed proof or a revoked token; Unavailable or AuditUnavailable when nothing
    could be logged.
    """

    def admit(unit: Unit) -> None:
        spent = ((caller.proof.jti_hash, caller.proof.expires), *caller.proof.also)
        prune_sometimes(unit.conn, caller.proof.jti_hash, unit.now)
        # Every one is used up, also when an earlier one turns out to be a replay.
        asked = [] if caller.token_jti == "" else [asking_revoked(caller.token_jti)]
        *done, _ = together(unit.conn, *asked, *(spending(*one) for one in spent), _SAVEPOINT.call())
        if any(one.count != 1 for one in done[len(asked) :]):
            raise Unauthorized("the proof was used before", rule=REPLAYED)
        if any(one.rows for one in done[: len(asked)]):
            raise Unauthorized("the access token was revoked", rule="token-revoked")

    return _release(hub, Actor(caller.agency, caller.proof.compact), trace, work, admit)


def release_admin(hub: Hub, operator: str, trace: Trace, work: Work) -> Released:
    """Do an administrator's work and log it under the operator who signed for it.

    Raises: as `release`.
    """
    return _release(hub, Actor(operator=operator), trace, work, lambda unit: _SAVEPOINT.run(unit.conn, {}))


def receipt_of_error(error: ExchangeError) -> Receipt | None:
    """The receipt of the entry that recorded this error; None when nothing was logged."""
    receipt = vars(error).get("receipt")
    return receipt if isinstance(receipt, Receipt) else None


def _release(hub: Hub, actor: Actor, trace: Trace, work: Work, admit: Callable[[Unit], object]) -> Released:
    with storage_errors():
        with writing(hub.engine) as conn:
            unit = Unit(hub, conn, hub.clock(), new_id(hub.random))
            result = _decide(unit, work, admit)
            logged = _log(unit, actor, trace, result)
        # The commit is durable here: nothing that follows can take it back.
        receipt = None
        if logged is not None:
            receipt = build_receipt(hub, logged.entry_id, logged.entry, logged.place)
            highwater.keep(hub, receipt)
        if isinstance(result, ExchangeError):
            vars(result)["receipt"] = receipt
            raise result
        if result.receipt_of is not None:
            receipt = receipt_for(hub, result.receipt_of)
    return Released(result.body, result.status, result.headers, receipt)


def _decide(unit: Unit, work: Work, admit: Callable[[Unit], object]) -> Answer | ExchangeError:
    """`admit` sets the savepoint after what a denial keeps. No RELEASE: the commit keeps the rest."""
    try:
        admit(unit)
    except ExchangeError as error:
        return error
    try:
        return work(unit)
    except ExchangeError as error:
        _ROLLBACK.run(unit.conn, {})
        return error


def _log(unit: Unit, actor: Actor, trace: Trace, result: Answer | ExchangeError) -> Logged | None:
    if isinstance(result, Answer):
        return record(unit, actor, result.trace, Verdict("allow")) if result.logged else None
    reason = Replay.code if result.rule == REPLAYED else result.code
    out: Final = "error" if isinstance(result, ServiceError) else "deny"
    return record(unit, actor, trace, Verdict(out, reason, result.rule))
