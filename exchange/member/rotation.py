"""The rules of changing a key: which step comes next, from what the directory and this machine show. Pure.

A change begins with a plan that is stored before anything is done: the new key, and every event that will
be logged, signed. From then on nothing is remembered but whether the old key was emptied; where a change
stands is read from the facts. So a step that was cut short, or done twice, or done by another machine, is no
special case: the next look gives the step that is still missing, and a finished change gives none.

The steps, and what must be so before each:
  take_up   the new secret lies among the keys that are used
  log_new   the directory has the new key (for a root: the root-set, which ends the old root)
  drain     the old key is draining: nothing new is sealed to it
  empty     what waits for the old key is opened, and nothing of our own rests on it
  revoke    the old key is revoked
  delete    the old secret is gone from this machine

The orders. enc, in calm: take_up, log_new, drain, empty, revoke, delete. A key that others seal to must open
from the moment they see it, so it is taken up first; it is revoked only when nothing waits for it.
envelope and approver, in calm: log_new, take_up, drain, delete. A key that signs must not be used before the
directory has it. It is drained to its own end and never revoked: a revoked key is worth nothing even for the
past, and what it signed must go on counting. auth: log_new, take_up, revoke, delete; nothing of it is kept.
root: log_new; the root-set itself ends the old one, and its file is destroyed by a person.
Compromised: the same without drain and empty, and enc, envelope and approver are revoked first: every minute
counts more than what is in flight, which the senders grant again. An auth key is revoked after the new one is
logged, since nothing could be logged without it.

Nothing here may move back, and nothing may be revoked by a calm change while a grant still waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, ROOT, KeyState, KeyStatus

USES: Final = (ENC, ENVELOPE, APPROVER, AUTH, ROOT)
ROTATED: Final = "rotated"
COMPROMISED: Final = "compromised"
DRAIN_MOST: Final = timedelta(days=30)
"""A grant lives 30 days by default; an old enc key opens no longer than that."""
DUE_AFTER: Final = {
    ENC: timedelta(days=365),
    ENVELOPE: timedelta(days=365),
    AUTH: timedelta(days=365),
    APPROVER: timedelta(days=365),
    ROOT: timedelta(days=5 * 365),
}
DUE_BEFORE_END: Final = timedelta(days=60)


class Step(StrEnum):
    """What a change of a key does next."""

    TAKE_UP = "take_up"
    LOG_NEW = "log_new"
    DRAIN = "drain"
    EMPTY = "empty"
    REVOKE = "revoke"
    DELETE = "delete"


CALM: Final = {
    ENC: (Step.TAKE_UP, Step.LOG_NEW, Step.DRAIN, Step.EMPTY, Step.REVOKE, Step.DELETE),
    ENVELOPE: (Step.LOG_NEW, Step.TAKE_UP, Step.DRAIN, Step.DELETE),
    AUTH: (Step.LOG_NEW, Step.TAKE_UP, Step.REVOKE, Step.DELETE),
    APPROVER: (Step.LOG_NEW, Step.TAKE_UP, Step.DRAIN),
    ROOT: (Step.LOG_NEW,),
}
URGENT: Final = {
    ENC: (Step.REVOKE, Step.TAKE_UP, Step.LOG_NEW, Step.DELETE),
    ENVELOPE: (Step.REVOKE, Step.LOG_NEW, Step.TAKE_UP, Step.DELETE),
    AUTH: (Step.LOG_NEW, Step.TAKE_UP, Step.REVOKE, Step.DELETE),
    APPROVER: (Step.REVOKE, Step.LOG_NEW, Step.TAKE_UP),
    ROOT: (Step.LOG_NEW,),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the directory and this machine show about one change.

    `logged`: the directory has the new key. `taken_up`: its secret is among those in use. `old` are the
    standings of the keys to be replaced, `emptied` says that nothing waits for them, `held` that a secret of
    one is still on this machine.
    """

    logged: bool
    taken_up: bool
    old: tuple[KeyStatus, ...]
    emptied: bool
    held: bool

    def done(self, step: Step) -> bool:
        """Whether a step needs nothing any more."""
        revoked = all(one is KeyStatus.REVOKED for one in self.old)
        return {
            Step.TAKE_UP: self.taken_up,
            Step.LOG_NEW: self.logged,
            Step.DRAIN: all(one is not KeyStatus.ACTIVE for one in self.old),
            Step.EMPTY: self.emptied or revoked,
            Step.REVOKE: revoked,
            Step.DELETE: not self.held,
        }[step]


def steps_of(use: str, reason: str) -> tuple[Step, ...]:
    """The steps of a change, in order; only a change that is `rotated` may take its time."""
    return (CALM if reason == ROTATED else URGENT)[use]


def next_step(use: str, reason: str, facts: Facts) -> Step | None:
    """The first step that is still missing; None: the change is finished."""
    return next((step for step in steps_of(use, reason) if not facts.done(step)), None)


def drain_until(key: KeyState, now: datetime) -> datetime:
    """How long a key that is drained now still counts: an enc key opens 30 days, never beyond its own end.

    What a signing key signed counts to its end.
    """
    until = now + DRAIN_MOST
    if key.exp is None:
        return until
    return min(until, key.exp) if key.use == ENC else key.exp


def due_at(key: KeyState) -> datetime | None:
    """When the next change of an active key is due; None for one without a date, or that is ending already.

    A year after it began (a root has no date of its own), or 60 days before its end, whichever is earlier.
    """
    if key.status is not KeyStatus.ACTIVE or key.nbf is None:
        return None
    due = key.nbf + DUE_AFTER[key.use]
    return due if key.exp is None else min(due, key.exp - DUE_BEFORE_END)
