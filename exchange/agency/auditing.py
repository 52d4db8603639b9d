"""One audit of the hub by this agency: its whole slice of the log, and its receipts under witnessed trees.

It reports and decides nothing: what does not verify is raised, what is missing or late is in the report.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.agency.own_slice import OwnSlice, SliceReport
from exchange.log.policy import Policy
from exchange.member.session import Session
from exchange.member.witnessed import Seen, look, policy_of
from exchange.net.witnesses import asking


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What one audit found: in the slice of the log, and of the receipts."""

    slice: SliceReport
    receipts: Seen

    @property
    def alarming(self) -> bool:
        """Whether a person must look."""
        return bool(self.slice.omitted or self.slice.waiting or self.receipts.late)


def audit(session: Session, policy: Policy | None) -> AuditReport:
    """Pull the slice, then hold the receipts against checkpoints that witnesses cosigned.

    Without a policy the witnesses of the deployment file are asked for, if it names any.
    Raises: ProofInvalid, EntryInvalid, CheckpointInvalid, LogFork; HubUnreachable.
    """
    wanted = policy_of(session.profile.deployment) if policy is None else policy
    found = OwnSlice(session).pull()
    with asking() as ask:
        seen = look(
            session.receipts,
            session.hub,
            session.profile.deployment.audit_vkey,
            policy=wanted,
            ask=ask,
            now=session.now(),
        )
    return AuditReport(found, seen)
