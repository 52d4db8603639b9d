"""The transaction of an answer: proofs spent, work done, entries appended, committed; one or several at once.

On SQLite, which has one writer, all answers that wait are given in one transaction. On PostgreSQL only those
whose work changes nothing are: others lock rows, and two transactions that lock several answers' rows in
different orders would wait for one another. Each answer has its own entry, its own savepoint where it
changes anything, and its own refusal; all are durable together, or none is and nobody gets an answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, text

from exchange.hub.db import storage_errors, writing
from exchange.hub.services.agreements import agreements_of
from exchange.hub.services.audit_entry import (
    Actor,
    Logged,
    Prepared,
    Trace,
    Verdict,
    append_entries,
    new_entry_id,
    prepare,
)
from exchange.hub.services.hub import Hub
from exchange.hub.services.replays import asking_revoked, prune_sometimes, spending
from exchange.hub.services.unit import Unit
from exchange.hub.sql import Call, Done, Statement, together
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import (
    AuditUnavailable,
    ExchangeError,
    Malformed,
    Replay,
    ServiceError,
    Unauthorized,
)

REPLAYED: Final = "proof-replayed"
"""The rule of the Unauthorized that a used proof gets; its entry says REPLAY."""
_SAVEPOINT: Final = Statement(text("SAVEPOINT work"))
_ROLLBACK: Final = Statement(text("ROLLBACK TO SAVEPOINT work"))
_RELEASE: Final = Statement(text("RELEASE SAVEPOINT work"))


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


Work = Callable[[Unit], Answer]


@dataclass(slots=True, eq=False)
class Job:
    """One answer to be given: who acts, what is known before the work, the work, what it uses up.

    `spends`: (jti hash, expiry) of each. `token_jti` is "" where there is no token. `asks`: statements whose
    results the work needs. `reads`: the work changes nothing. `result` and `logged` are there when the
    transaction is durable, `newest` when no entry of it is later.
    """

    actor: Actor
    trace: Trace
    work: Work
    spends: Sequence[tuple[bytes, datetime]] = ()
    token_jti: str = ""
    asks: Sequence[Call] = ()
    reads: bool = False
    result: Answer | ExchangeError | None = None
    logged: Logged | None = None
    newest: bool = False


def transact(hub: Hub, job: Job) -> None:
    """Settle the job, with others that wait where the database allows it.

    Raises: Unavailable or AuditUnavailable when nothing could be made durable; what the work raises that is
    no `ExchangeError`.
    """
    try:
        if job.reads or hub.settings.is_sqlite:
            hub.combiner.run(job, lambda claim: _settle_together(hub, claim))
        if job.result is None:
            _settle(hub, lambda: [job])
    except Malformed as error:
        # The hub's own mistake: whoever calls must not get an answer that no entry records.
        raise AuditUnavailable("the audit entry cannot be written, so nothing is answered") from error


def _settle_together(hub: Hub, claim: Callable[[], Sequence[Job]]) -> None:
    """All in one transaction, or none: where one of several fails, each is to be settled by itself."""
    jobs: list[Job] = []

    def claimed() -> Sequence[Job]:
        jobs.extend(claim())
        return jobs

    try:
        _settle(hub, claimed)
    except ServiceError:
        # The database or the disk: alone it would be the same.
        raise
    except Exception:
        if len(jobs) < 2:
            raise


def _settle(hub: Hub, claim: Callable[[], Sequence[Job]]) -> None:
    """One transaction of the jobs that are there when it has begun.

    Raises: as `transact`, and Malformed for an entry; nothing of any job is kept then.
    """
    with storage_errors(), writing(hub.engine) as conn:
        jobs = claim()
        results = [_do(hub, conn, job, admitted) for job, admitted in _admit(conn, hub, jobs)]
        entries = [entry for _, entry in results if entry is not None]
        logged = append_entries(conn, entries, hub.clock())
    # The commit is durable here: nothing that follows can take it back.
    places = iter(logged)
    for job, (result, entry) in zip(jobs, results, strict=True):
        job.logged = None if entry is None else next(places)
        job.newest = entry is not None and job.logged is logged[-1]
        job.result = result


@dataclass(slots=True)
class _Admitted:
    """Why a job is refused before its work; what it asked for, None when that is yet to be asked."""

    refusal: Unauthorized | None = None
    asked: Sequence[Done] | None = None
    savepoint: bool = False


def _admit(conn: Connection, hub: Hub, jobs: Sequence[Job]) -> list[tuple[Job, _Admitted]]:
    """Use up what every job uses up, also of one that is a replay then, and ask what may be asked now.

    In the order of the hashes: two transactions that use up the same ones do not wait for one another.
    """
    found = [(job, _Admitted()) for job in jobs]
    tokens = [pair for pair in found if pair[0].token_jti != ""]
    spends = sorted((one, number) for number, job in enumerate(jobs) for one in job.spends)
    for (jti_hash, _), _ in spends:
        prune_sometimes(conn, jti_hash, hub.clock())
    # On SQLite each asks at its turn, after what those before it have changed; elsewhere nothing changes.
    asking = found if len(jobs) == 1 or not hub.settings.is_sqlite else []
    # One round trip.
    calls = [asking_revoked(job.token_jti) for job, _ in tokens]
    calls += [spending(*one) for one, _ in spends]
    calls += [call for job, _ in asking for call in job.asks]
    if len(jobs) == 1 and not jobs[0].reads:
        calls.append(_SAVEPOINT.call())
        found[0][1].savepoint = True
    done = iter(together(conn, *calls) if calls else ())
    for _, admitted in tokens:
        if next(done).rows:
            admitted.refusal = Unauthorized("the access token was revoked", rule="token-revoked")
    for _, number in spends:
        if next(done).count != 1:
            found[number][1].refusal = Unauthorized("the proof was used before", rule=REPLAYED)
    for job, admitted in asking:
        admitted.asked = list(islice(done, len(job.asks)))
    return found


def _do(
    hub: Hub, conn: Connection, job: Job, admitted: _Admitted
) -> tuple[Answer | ExchangeError, Prepared | None]:
    """The job's result and its entry; only entries and the commit may follow in the transaction."""
    now = hub.clock()
    unit = Unit(hub, conn, now, new_entry_id(now, hub.random), admitted.asked or ())
    if admitted.refusal is not None:
        return admitted.refusal, _entry(unit, job, admitted.refusal)
    if admitted.asked is None and job.asks:
        unit = replace(unit, asked=together(conn, *job.asks))
    result = _worked(unit, job, inside=admitted.savepoint)
    return result, _entry(unit, job, result)


def _worked(unit: Unit, job: Job, *, inside: bool) -> Answer | ExchangeError:
    """What the work gives. An `ExchangeError` takes back its changes, not what was used up before it.

    `inside`: the savepoint is set, and the commit will do for its release.
    """
    own = not (job.reads or inside)
    if own:
        _SAVEPOINT.run(unit.conn, {})
    try:
        result = job.work(unit)
    except ExchangeError as error:
        if not job.reads:
            _ROLLBACK.run(unit.conn, {})
        return error
    if own:
        _RELEASE.run(unit.conn, {})
    return result


def _entry(unit: Unit, job: Job, result: Answer | ExchangeError) -> Prepared | None:
    if isinstance(result, Answer):
        return prepare(unit, job.actor, result.trace, Verdict("allow")) if result.logged else None
    reason = Replay.code if result.rule == REPLAYED else result.code
    out: Final = "error" if isinstance(result, ServiceError) else "deny"
    verdict = Verdict(out, reason, result.rule, agreements_of(result))
    return prepare(unit, job.actor, job.trace, verdict)
