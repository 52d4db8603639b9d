"""One audit of the hub by this agency: its whole slice of the log, and its receipts under witnessed trees.

It reports and decides nothing: what does not verify is raised, what is missing or late is in the report. The
log of a hub that lost entries contradicts what was seen for ever; persons may say that it goes on so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from exchange.agency.own_slice import OwnSlice, SliceReport
from exchange.log.policy import Policy
from exchange.member.files import write_private_pieces
from exchange.member.session import Session
from exchange.member.witnessed import Seen, look, policy_of
from exchange.net.witnesses import asking
from exchange_schemas.codec import JsonValue, b64u, encode
from exchange_schemas.errors import ConfigInvalid, ExchangeError, LogFork, ProofInvalid


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


def accept_recovery(
    session: Session, policy: Policy | None, evidence: Path, agreed: Callable[[ExchangeError], None]
) -> AuditReport:
    """Go on with a log that does not continue what this agency saw, since persons agreed to its recovery.

    What was seen goes to the new file `evidence`, a JSON value a line: the trees, the heads, the entries, and
    the receipts that nobody vouched for. It is forgotten here only if the log holds as it is now. `agreed` is
    told of the contradiction before, and may raise.
    Raises: as `audit`, and nothing has changed; ConfigInvalid when the log contradicts nothing, or there is
    such a file; StorageFull.
    """
    if evidence.exists():
        raise ConfigInvalid("the file is there already", field=str(evidence), hint="name another file")
    found = _contradiction(session, policy)
    if found is None:
        raise ConfigInvalid("the log goes on as it was: nothing is to be accepted", field="log")
    agreed(found)
    kept = False
    try:
        with session.store.writing():
            write_private_pieces(evidence, _seen(session))
            session.receipts.forget_trees()
            OwnSlice(session).forget()
            report = audit(session, policy)
        kept = True
    finally:
        if not kept:
            evidence.unlink(missing_ok=True)
    return report


def _contradiction(session: Session, policy: Policy | None) -> ExchangeError | None:
    """What in the log contradicts what this agency saw; None when nothing does."""
    try:
        audit(session, policy)
    except (LogFork, ProofInvalid) as error:
        return error
    return None


def _seen(session: Session) -> Iterator[bytes]:
    """What would show others that the log is not the one it was, in lines of JSON."""
    receipts, own = session.receipts, OwnSlice(session)
    for size, root in receipts.trees():
        yield _line({"tree": size, "root": b64u(root)})
    heads = own.heads()
    if heads is not None:
        yield _line({"heads": dict(heads)})
    for entry in own.entries():
        yield _line({"entry": b64u(entry)})
    for one in receipts.unsliced():
        receipt = receipts.get(one.key)
        if receipt is not None:
            yield _line({"receipt": b64u(receipt.entry), "proof": receipt.proof})


def _line(value: dict[str, JsonValue]) -> bytes:
    return encode(value) + b"\n"
