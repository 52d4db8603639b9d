"""Several answers in one transaction: each has its own entry and refusal, and all are durable or none."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import event, func, select, text

from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_entry
from exchange.hub.models.replay import replay, revoked_token
from exchange.hub.services import audit_read, replays
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Answer, Caller, Released, Trace, receipt_of_error, release
from exchange.hub.services.unit import Unit
from exchange.log.checkpoint import vkey
from exchange.log.proof import verify_entry
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import AuditUnavailable, ConsentExpired, Unauthorized
from tests.unit.hub.test_combine import until

NewCaller = Callable[..., Caller]
Work = Callable[[Unit], Answer]
LONG_S = 30.0
TRACE = Trace(Act.GRANT_FETCH)


def allow(_unit: Unit) -> Answer:
    return Answer({}, TRACE)


def refuse(_unit: Unit) -> Answer:
    raise ConsentExpired("the consent has expired", rule="C05-time")


def fail(_unit: Unit) -> Answer:
    raise KeyError("a mistake of the program")


def change(name: str) -> Work:
    """A work that leaves a row."""

    def work(unit: Unit) -> Answer:
        replays.revoke_token(unit.conn, name, expires=unit.now)
        return Answer({}, TRACE)

    return work


def change_and_refuse(name: str) -> Work:
    def work(unit: Unit) -> Answer:
        change(name)(unit)
        return refuse(unit)

    return work


@dataclass(frozen=True)
class Asked:
    caller: Caller
    work: Work
    reads: bool = True


@contextmanager
def held(hub: Hub, new_caller: NewCaller) -> Iterator[None]:
    """An answer is at work all the while, so that others come together."""
    begun, go = threading.Event(), threading.Event()

    def work(_unit: Unit) -> Answer:
        begun.set()
        assert go.wait(LONG_S)
        return Answer({}, TRACE, logged=False)

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(release, hub, new_caller(), TRACE, work, reads=True)
        assert begun.wait(LONG_S)
        try:
            yield
        finally:
            go.set()
        first.result(LONG_S)


def together(hub: Hub, new_caller: NewCaller, asked: Sequence[Asked]) -> list[Future[Released]]:
    """Ask for all of these while another answer is at work; what each then got."""
    with ThreadPoolExecutor(len(asked)) as threads:
        with held(hub, new_caller):
            found = []
            for place, one in enumerate(asked, start=1):
                found.append(threads.submit(release, hub, one.caller, TRACE, one.work, reads=one.reads))
                until(lambda place=place: len(hub.combiner._waiting) == place)
        for one in found:
            one.exception(LONG_S)
    return found


@contextmanager
def commits(hub: Hub) -> Iterator[list[object]]:
    seen: list[object] = []

    def note(conn: object) -> None:
        seen.append(conn)

    event.listen(hub.engine, "commit", note)
    try:
        yield seen
    finally:
        event.remove(hub.engine, "commit", note)


def entry_of(hub: Hub, answer: Future[Released]) -> Entry:
    """The entry of an answer or of its refusal, under a receipt that verifies."""
    error = answer.exception()
    receipt = answer.result().receipt if error is None else receipt_of_error(error)  # type: ignore[arg-type]
    assert receipt is not None
    key = vkey(hub.settings.audit_log, hub.keys.audit_log.public.raw)
    verify_entry(receipt.entry, receipt.proof, [key], origin=hub.settings.audit_log)
    return Entry.from_bytes(receipt.entry)


def entries(hub: Hub) -> int:
    with reading(hub.engine) as conn:
        found = conn.execute(select(func.count()).select_from(log_entry)).scalar_one()
        assert audit_read.size(conn) == found
    return int(found)


def test_answers_that_wait_share_one_commit_and_have_an_entry_each(hub: Hub, new_caller: NewCaller) -> None:
    asked = [Asked(new_caller(), allow) for _ in range(5)]
    with commits(hub) as seen:
        answers = together(hub, new_caller, asked)
    # One of the answer that was at work, one of the five.
    assert len(seen) == 2
    places = [one.result().receipt.place.index for one in answers]  # type: ignore[union-attr]
    assert places == list(range(5))
    assert {entry_of(hub, one).out for one in answers} == {"allow"}
    assert entries(hub) == 5


def test_a_refusal_among_them_is_its_own(hub: Hub, new_caller: NewCaller) -> None:
    asked = [Asked(new_caller(), work) for work in (allow, refuse, allow)]
    answers = together(hub, new_caller, asked)
    assert [entry_of(hub, one).out for one in answers] == ["allow", "deny", "allow"]
    assert isinstance(answers[1].exception(), ConsentExpired)


def test_one_proof_in_two_of_them_is_a_replay_in_exactly_one(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()
    answers = together(
        hub, new_caller, [Asked(caller, allow), Asked(new_caller(), allow), Asked(caller, allow)]
    )
    assert sorted(entry_of(hub, one).rsn or "" for one in answers) == ["", "", "REPLAY"]
    (error,) = [one.exception() for one in answers if one.exception() is not None]
    assert isinstance(error, Unauthorized)


def test_where_the_program_fails_in_one_the_others_have_their_answers(
    hub: Hub, new_caller: NewCaller
) -> None:
    asked = [Asked(new_caller(), work) for work in (allow, fail, allow)]
    answers = together(hub, new_caller, asked)
    assert isinstance(answers[1].exception(), KeyError)
    assert {entry_of(hub, one).out for one in (answers[0], answers[2])} == {"allow"}
    assert entries(hub) == 2
    with reading(hub.engine) as conn:
        spent = conn.execute(select(func.count()).select_from(replay)).scalar_one()
    # The one at work and the two that were answered: what failed used nothing up.
    assert spent == 3


def test_a_log_that_cannot_be_written_answers_none_of_them(hub: Hub, new_caller: NewCaller) -> None:
    def damage(unit: Unit) -> Answer:
        unit.conn.execute(text("ALTER TABLE log_entry RENAME TO away"))
        return Answer({}, TRACE)

    if not hub.settings.is_sqlite:
        pytest.skip("on PostgreSQL a worker may not alter the log at all")
    asked = [Asked(new_caller(), work) for work in (allow, damage, allow)]
    answers = together(hub, new_caller, asked)
    assert [type(one.exception()) for one in answers] == [AuditUnavailable] * 3
    assert entries(hub) == 0


def test_changes_are_taken_together_on_sqlite_alone(hub: Hub, new_caller: NewCaller) -> None:
    """On PostgreSQL they lock rows: each has its own transaction, whatever else is at work."""
    asked = [
        Asked(new_caller(), change("a"), reads=False),
        Asked(new_caller(), change_and_refuse("b"), reads=False),
    ]
    if hub.settings.is_sqlite:
        with commits(hub) as seen:
            answers = together(hub, new_caller, [*asked, Asked(new_caller(), change("c"), reads=False)])
        assert len(seen) == 2
        assert [entry_of(hub, one).out for one in answers] == ["allow", "deny", "allow"]
        kept = {"a", "c"}
    else:
        with held(hub, new_caller):
            release(hub, asked[0].caller, TRACE, asked[0].work)
            with pytest.raises(ConsentExpired):
                release(hub, asked[1].caller, TRACE, asked[1].work)
        kept = {"a"}
    with writing(hub.engine) as conn:
        assert set(conn.execute(select(revoked_token.c.jti)).scalars()) == kept
