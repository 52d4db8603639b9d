"""Other signed checkpoints of the same log, held against the copy: earlier ones, others', witnesses'.

A checkpoint that the log's key signed binds the log for ever. So every one that was kept must be a prefix of
the tree as it is now, and whoever shows two that are not has proof of a lie. Each is one of
  a prefix of the tree                                  fine
  of the same size with another root                    forked
  of a smaller size with another root                   resigned: the past was rewritten and signed again
  of a larger size                                      rolled-back: the log has lost entries since
The back-dating rule: an entry's `ts` may not be earlier than the newest cosignature on a tree that lacks it,
minus 30 s. Only cosignatures of witnesses that a policy names count for anything.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from exchange.auditor.mirror import KeptNote
from exchange.auditor.verdict import Fault, Findings, Witnessed
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import VerifierKey
from exchange.log.policy import Policy
from exchange_schemas.errors import CheckpointInvalid

_TOLERANCE_US: Final = 30 * 1_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """A signed checkpoint that was kept: where it comes from, and what witnesses said of it.

    `cosigned_us`: the newest cosignature of a named witness, in µs. `quorum_at`: when the quorum was met.
    `evidence`: how it contradicted the copy when a pull kept it for that, else None.
    """

    source: str
    checkpoint: Checkpoint
    cosigned_us: int | None = None
    quorum_at: datetime | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """What the auditor brings along: the log's keys and where they come from, perhaps a policy, the time.

    `former`: keys that signed earlier checkpoints of the copy; they count for those and never for the newest.
    """

    keys: tuple[VerifierKey, ...]
    source: str
    now: datetime
    policy: Policy | None = None
    former: tuple[VerifierKey, ...] = ()


def know(notes: Iterable[KeptNote], trust: Trust, origin: str, findings: Findings) -> list[Known]:
    """The notes read and verified, the smallest tree first; one that is not the log's is found out."""
    known = []
    for kept in notes:
        try:
            known.append(_read(kept, trust, origin))
        except CheckpointInvalid as error:
            findings.add(Fault.UNSIGNED, f"{kept.source}: {error.message}")
    return sorted(known, key=lambda item: item.checkpoint.size)


def _read(kept: KeptNote, trust: Trust, origin: str) -> Known:
    checkpoint = open_checkpoint(kept.note, {*trust.keys, *trust.former}, origin=origin)
    if trust.policy is None:
        return Known(kept.source, checkpoint, evidence=kept.evidence)
    judged = trust.policy.judge_cosignatures(kept.note, trust.now)
    newest = max((int(item.when.timestamp()) * 1_000_000 for item in judged.cosignatures), default=None)
    return Known(kept.source, checkpoint, newest, judged.when, kept.evidence)


def check_known(
    known: Known, current: Checkpoint, roots: Mapping[int, bytes] | None, findings: Findings
) -> None:
    """Hold one kept checkpoint against the tree: its roots by size, None when the copy is not the tree."""
    size, where = known.checkpoint.size, known.source
    if known.evidence == Fault.ROLLED_BACK and size < current.size:
        text = f"{where}: the log showed only {size} entries after it had shown {current.size}"
        findings.add(Fault.ROLLED_BACK, text)
    elif size > current.size and known.evidence is None:
        text = f"{where}: the log signed {size} entries, and now shows only {current.size}"
        findings.add(Fault.ROLLED_BACK, text)
    elif size > current.size:
        findings.add(Fault.FORKED, f"{where}: the log signed {size} entries that do not continue these")
    elif size == current.size and known.checkpoint.root != current.root:
        findings.add(Fault.FORKED, f"{where}: the log signed two different trees of {size} entries")
    elif roots is not None and known.checkpoint.root != roots[size]:
        text = f"{where}: the first {size} entries were others when the log signed them"
        findings.add(Fault.RESIGNED if known.evidence is None else Fault.FORKED, text)


class Floor:
    """The earliest time, in µs, that an entry may bear, by its index; it only rises along the log."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._sizes: list[int] = []
        self._floors: list[int] = []
        for item in sorted(known, key=lambda item: item.checkpoint.size):
            if item.cosigned_us is not None and item.evidence is None:
                floor = item.cosigned_us - _TOLERANCE_US
                if not self._floors or floor > self._floors[-1]:
                    self._sizes.append(item.checkpoint.size)
                    self._floors.append(floor)

    def at(self, index: int) -> int:
        """The floor of the entry number `index`: of the newest cosignature on a tree that lacks it."""
        step = bisect_right(self._sizes, index)
        return self._floors[step - 1] if step else 0


def vouched(known: Iterable[Known], current: Checkpoint, policy: Policy | None) -> Witnessed | None:
    """The newest tree within the copy that the policy's quorum cosigned."""
    if policy is None:
        return None
    if policy.quorum == "none":
        return Witnessed(satisfied=True, needed=False)
    met = [
        (item.quorum_at, item.checkpoint.size)
        for item in known
        if item.quorum_at is not None and item.checkpoint.size <= current.size
    ]
    if not met:
        return Witnessed(satisfied=False, needed=True)
    when, size = max(met)
    return Witnessed(satisfied=True, needed=True, size=size, when=when)
