"""Having both logs witnessed: one round asks every witness for a cosignature on each log's present head.

The order, so that a crash at any point loses nothing and nothing smaller is ever shown:
(1) the head is read from what is committed, and must continue what was published before;
(2) each witness is asked by itself, with a limit on time: one that is down, slow or lies holds up no other;
(3) of its answer only its own verified cosignature is taken;
(4) when the quorum is met, the note is kept, by compare and set; only then is it shown to anybody;
(5) how each witness did is remembered.
A witness that claims to hold more, or another history, is asked for the note: only one that this log's own
key signed is proof (services/conflicts.py). A round must never change the log, and never wait without end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services import conflicts, witnessed
from exchange.hub.services.logs import HubLog, hub_logs
from exchange.hub.services.visits import Visits, client_for
from exchange.hub.services.witnessed import WitnessState
from exchange.log.checkpoint import Checkpoint
from exchange.log.note import split_note
from exchange.log.policy import PolicyKey
from exchange.log.witnessing import cosignature_in, merge_notes, obtain_cosignature
from exchange_schemas.errors import (
    ConfigInvalid,
    ExchangeError,
    HubUnreachable,
    LogFork,
    Malformed,
    ProofInvalid,
    ServiceError,
)

if TYPE_CHECKING:
    from datetime import datetime

    from exchange.hub.services.hub import Hub
    from exchange.hub.witnesspolicy import WitnessNamed, WitnessPolicy
    from exchange.log.tree import Frontier
    from exchange.log.witnessing import Cosigned, Submission, WitnessSize
    from exchange.net.witnesses import WitnessClient

EVERY_S: Final = 10
"""The least time between two rounds."""
HEARTBEAT_S: Final = 60
"""A round is made after this time though nothing is new: a checkpoint has no time, a cosignature has."""
BEHIND_MOST: Final = timedelta(seconds=120)
"""A witness whose clock is behind by more makes the quorum older than it is: it is kept, and named."""
_FAULT_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round did with one log: the size shown now, and whether this round's own note got there."""

    log: str
    size: int
    published: int | None
    witnessed: bool


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did. `conflicts`: proofs that a log here is not the one that was witnessed."""

    outcomes: tuple[Outcome, ...]
    states: tuple[WitnessState, ...]
    conflicts: tuple[conflicts.Contradiction, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One log's head as it goes to the witnesses."""

    log: HubLog
    tree: Frontier
    note: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a visit brought: a witness's state with one log, its line, or the note that contradicts."""

    state: WitnessState
    line: str | None = None
    conflict: conflicts.Contradiction | None = None


@dataclass(slots=True)
class Publisher:
    """Publishes for a hub, as its policy says."""

    hub: Hub
    policy: WitnessPolicy
    visits: Visits = field(default_factory=Visits)

    @classmethod
    def of(cls, hub: Hub) -> Publisher:
        """The publisher of this hub. Raises: ConfigInvalid when no policy names witnesses."""
        if hub.witnesses is None:
            raise ConfigInvalid(
                "this hub has no witnesses",
                field="HOMEWARD_WITNESS_POLICY",
                hint="name a tlog-policy file in HOMEWARD_WITNESS_POLICY (docs/operations.md)",
            )
        return cls(hub, hub.witnesses)

    def heads(self) -> tuple[int, ...]:
        """The sizes of the logs now, by which a caller knows whether something is new."""
        with storage_errors(), reading(self.hub.engine) as conn:
            return tuple(log.head(conn).size for log in hub_logs(self.hub))

    def round(self) -> Round:
        """One round for both logs.

        Raises: LogFork when a log does not continue what was published of it; AuditUnavailable, Unavailable
        when the database does not answer.
        """
        asked = [item for log in hub_logs(self.hub) if (item := self._ask(log)) is not None]
        known = {(state.log, state.witness): state for state in witnessed.witness_states(self.hub.engine)}
        answers = self._visit_all(asked, known)
        outcomes = tuple(self._conclude(item, answers) for item in asked)
        states = tuple(answer.state for answer in answers)
        witnessed.note_states(self.hub.engine, list(states))
        proofs = (answer.conflict for answer in answers if answer.conflict is not None)
        standing = tuple(proof for proof in proofs if conflicts.remember(self.hub, proof))
        return Round(outcomes, states, standing)

    def _ask(self, log: HubLog) -> _Asked | None:
        """(1) An empty log has nothing to show."""
        with storage_errors(), reading(self.hub.engine) as conn:
            # In this order: what was published is never beyond the head that is read after it.
            before = witnessed.published(conn, log)
            tree = log.head(conn)
        # Its own note: verified before it was kept, perhaps under a log key that is retired by now.
        rule = None if before is None else conflicts.rule_of(self.hub, log, _tree_of(before.note))
        if before is not None and rule is not None:
            conflicts.remember(self.hub, conflicts.Contradiction(log.name, before.note, rule, "published"))
            raise LogFork(f"the {log.name} log does not continue what was published of it", rule=rule)
        return None if tree.size == 0 else _Asked(log, tree, log.note(tree))

    # -- asking the witnesses ------------------------------------------------------------------------------

    def _visit_all(self, asked: list[_Asked], known: dict[tuple[str, str], WitnessState]) -> list[_Answer]:
        """(2) Every witness at the same time, each in a thread that nobody has to wait for."""
        waiting: dict[tuple[str, str], WitnessState] = {}
        work = {}
        for one in self.policy.witnesses:
            todo = []
            for item in asked:
                place = (item.log.name, one.vkey)
                waiting[place] = known.get(place, WitnessState(*place))
                todo.append((item, waiting[place]))
            work[one.vkey] = partial(self._visit, one, todo)
        answers = self.visits.ask(work, len(waiting))
        there = {(answer.state.log, answer.state.witness) for answer in answers}
        late = HubUnreachable("the witness did not answer in time")
        missing = [state for place, state in waiting.items() if place not in there]
        return answers + [_Answer(self._failed(state, late)) for state in missing]

    def _visit(
        self,
        witness: WitnessNamed,
        todo: Iterable[tuple[_Asked, WitnessState]],
        put: Callable[[_Answer], None],
    ) -> None:
        client = client_for(witness.url)
        try:
            for item, state in todo:
                put(self._obtain(client, witness, item, state))
        except ExchangeError as error:
            # The database, not the witness; the round itself will say so.
            logging.getLogger(__name__).warning("a visit to a witness was given up: %s", error.code)
        finally:
            client.wire.close()

    def _obtain(
        self, client: WitnessClient, witness: WitnessNamed, item: _Asked, state: WitnessState
    ) -> _Answer:
        """(3)"""
        size, log = item.tree.size, item.log
        deadline = time.monotonic() + self.visits.seconds

        def submit(submission: Submission) -> Cosigned | WitnessSize:
            if time.monotonic() > deadline:
                raise HubUnreachable("the witness takes too long")
            return client.submit(submission)

        def proof(old: int) -> list[bytes]:
            return log.consistency(self.hub, old, size)

        try:
            note = obtain_cosignature(submit, item.note, proof, old=min(state.size, size))
            now = self.hub.clock()
            line, when = cosignature_in(note, witness.key, now)
        except (LogFork, ProofInvalid) as error:
            return self._disputed(client, witness, item, state, error)
        except ServiceError:
            raise
        except ExchangeError as error:
            return _Answer(self._failed(state, error))
        good = replace(state, size=size, cosigned=int(when.timestamp()), failing=None, fault=None)
        if now - when > BEHIND_MOST:
            good = self._failed(good, Malformed("the witness's clock is behind"))
        return _Answer(good, line)

    def _disputed(
        self,
        client: WitnessClient,
        witness: WitnessNamed,
        item: _Asked,
        state: WitnessState,
        claim: ExchangeError,
    ) -> _Answer:
        """The witness says that it holds more, or another history: let it show the note."""
        try:
            note = client.latest(item.log.origin)
            found = None
            if note is not None:
                found = conflicts.contradiction(self.hub, item.log, note, witness.name)
        except ExchangeError:
            # It claims and proves nothing.
            found = None
        return _Answer(self._failed(state, claim), conflict=found)

    def _failed(self, state: WitnessState, error: ExchangeError) -> WitnessState:
        since = int(self.hub.clock().timestamp()) if state.failing is None else state.failing
        return replace(state, failing=since, fault=f"{error.message} ({error.code})"[:_FAULT_CHARS])

    # -- keeping what they said ----------------------------------------------------------------------------

    def _conclude(self, item: _Asked, answers: list[_Answer]) -> Outcome:
        """(4)"""
        log, note = item.log, item.note
        for answer in answers:
            if answer.line is not None and answer.state.log == log.name:
                note = merge_notes(note, item.note + answer.line)
        if not self._is_quorate(log, note, self.hub.clock()):
            with storage_errors(), reading(self.hub.engine) as conn:
                before = witnessed.published(conn, log)
            return Outcome(log.name, item.tree.size, None if before is None else before.size, False)
        kept = witnessed.keep(self.hub.engine, log, item.tree.size, note)
        return Outcome(log.name, item.tree.size, kept.size, True)

    def _is_quorate(self, log: HubLog, note: str, now: datetime) -> bool:
        policy = replace(self.policy.policy, logs=tuple(PolicyKey(key) for key in log.pins))
        return policy.judge(note, now, origin=log.origin).quorum.witnessed


def _tree_of(note: str) -> Checkpoint:
    return Checkpoint.from_text(split_note(note)[0])
