"""The only way an authenticated answer leaves the hub: logged first, durable, and with its receipt.

States of one release, in order. It must never answer from a state before the last:
(1) one outer transaction begins, for this answer or for several that wait (`transact`);
(2) the proof is spent, in that transaction, so that a denial keeps it (a second use is a denial);
(3) the token must not be revoked;
(4) the service works at a savepoint: an `ExchangeError` takes back its changes and becomes a denial;
(5) the entry, allow or deny or error, is appended: nothing else follows in the transaction;
(6) commit, synced to the disk; if any of this fails: no payload;
(7) the receipt is built, its checkpoint signed; then the answer, or the error with its receipt, leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.hub.services import highwater
from exchange.hub.services.audit_entry import Actor, Trace
from exchange.hub.services.audit_receipt import Receipt, build_receipt, receipt_for
from exchange.hub.services.hub import Hub
from exchange.hub.services.transact import REPLAYED, Answer, Job, Work, transact
from exchange.hub.services.unit import Unit
from exchange.hub.sql import Call
from exchange_schemas.codec import JsonValue
from exchange_schemas.entry import carried_for
from exchange_schemas.errors import ExchangeError
from exchange_schemas.ids import AgencyId

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
    """Who calls, as authenticated. `token_jti` is "" where there is no token yet (the token endpoint).

    `carrier`: the courier whose token and proof these are, where `agency` is an office without network.
    """

    agency: AgencyId
    kind: str
    scopes: frozenset[str]
    proof: Proof
    user: str | None
    token_jti: str
    carrier: AgencyId | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """An answer that may leave; `receipt` is None only where it was not logged."""

    body: dict[str, JsonValue]
    status: int
    headers: Mapping[str, str]
    receipt: Receipt | None


def release(
    hub: Hub,
    caller: Caller,
    trace: Trace,
    work: Work,
    *,
    asks: Sequence[Call] = (),
    reads: bool = False,
) -> Released:
    """Do a caller's work, log it, and give the answer with its receipt.

    `trace` is what is known before the work; the answer's own trace replaces it when the work succeeds.
    `asks`: statements whose results the work finds in its unit; on PostgreSQL they are no round trip of their
    own. `reads`: work and statements change and lock nothing, and the entry names no consent and no envelope
    (whose salts are rows). The work may be done a second time, in another transaction, when the first failed.
    Raises: the work's `ExchangeError`, logged as a denial (`receipt_of_error` gives its receipt);
    Unauthorized for a replayed proof or a revoked token; Unavailable or AuditUnavailable when nothing
    could be logged.
    """
    proof = caller.proof
    actor = Actor(caller.agency, proof.compact)
    if caller.carrier is not None:
        actor, trace, work = _carried(caller, caller.carrier, trace, work)
    spends = ((proof.jti_hash, proof.expires), *proof.also)
    return _released(hub, Job(actor, trace, work, spends, caller.token_jti, asks, reads))


def _carried(caller: Caller, carrier: AgencyId, trace: Trace, work: Work) -> tuple[Actor, Trace, Work]:
    """The courier acted, with its own proof; the office is a party, and `pol` says for whom it was."""

    def told(said: Trace) -> Trace:
        return replace(said, own=(*said.own, caller.agency), pol=carried_for(caller.agency, said.pol))

    def carried(unit: Unit) -> Answer:
        answer = work(unit)
        return replace(answer, trace=told(answer.trace))

    return Actor(carrier, caller.proof.compact), told(trace), carried


def release_admin(hub: Hub, operator: str, trace: Trace, work: Work) -> Released:
    """Do an administrator's work and log it under the operator who signed for it.

    Raises: as `release`.
    """
    return _released(hub, Job(Actor(operator=operator), trace, work))


def receipt_of_error(error: ExchangeError) -> Receipt | None:
    """The receipt of the entry that recorded this error; None when nothing was logged."""
    receipt = vars(error).get("receipt")
    return receipt if isinstance(receipt, Receipt) else None


def _released(hub: Hub, job: Job) -> Released:
    transact(hub, job)
    receipt = None
    if job.logged is not None:
        receipt = build_receipt(hub, job.logged)
        if job.newest:
            highwater.keep(hub, receipt)
    result = job.result
    if isinstance(result, Answer):
        if result.receipt_of is not None:
            receipt = receipt_for(hub, result.receipt_of)
        return Released(result.body, result.status, result.headers, receipt)
    if result is None:
        raise RuntimeError("a transaction has ended without its answer")
    vars(result)["receipt"] = receipt
    raise result
