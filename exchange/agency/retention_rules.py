"""How long an agency's program keeps what it has about children. Pure.

What was opened is kept until the first of these, and is then deleted; its ids stay, so that it never comes
back:
  L1-period      the keeping time that its sender's consent set, counted from the day it was opened
  L2-destroy-by  the day that a closure in its thread sets
A record of this agency's own is kept until
  L3-closed      it was closed, nothing about it was sent since, and the latest day of its closures has passed
The evidence of a consent of this agency's own, and the salt that opens its subject, are kept as proof until
  L4-proof       so many days after its end, or its withdrawal
(the signed consent and the withdrawal stay, so that no hub can show it as in force again). A law that keeps a
message until a day, in a deletion answered with kept_by_law, holds it until that day, whatever L1 and L2 say.
A day has passed when it is over: what is to go by the 3rd may be kept on the 3rd.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

PROOF_DAYS = 1095
"""Three years: as long as an auditor or a court may still ask what a sharing rested on."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A closure in a thread: when it was sent, and by when everything must be destroyed."""

    sent: datetime
    destroy_by: date


def message_rule(
    *, keep_until: datetime | None, closings: Iterable[Closing], held_until: date | None, now: datetime
) -> str | None:
    """The rule by which an opened message must go now; None while it may be kept."""
    if held_until is not None and held_until >= now.date():
        return None
    if keep_until is not None and keep_until <= now:
        return "L1-period"
    if any(one.destroy_by < now.date() for one in closings):
        return "L2-destroy-by"
    return None


def record_rule(*, closings: Iterable[Closing], last_sent: datetime, now: datetime) -> str | None:
    """The rule by which an own record must go now; `last_sent`: of the newest message about it."""
    found = list(closings)
    if not found or max(one.sent for one in found) < last_sent:
        return None
    return "L3-closed" if max(one.destroy_by for one in found) < now.date() else None


def evidence_rule(*, ended: datetime | None, now: datetime, proof_days: int) -> str | None:
    """The rule by which a consent's evidence must go now; `ended`: its end or its withdrawal, None before."""
    return None if ended is None or (now - ended).days < proof_days else "L4-proof"
