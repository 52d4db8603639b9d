"""What a verification says, kept apart: integrity, completeness, history, witnesses; each fault by name."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

LISTED: Final = 20
"""Findings told in full; the rest is counted."""


class Fault(StrEnum):
    """What can be wrong with a log or a copy of it. A value is never reused; new ones go last."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    DROPPED = "dropped"
    INSERTED = "inserted"
    ALTERED = "altered"
    SWAPPED = "swapped"
    MALFORMED = "malformed"
    TILE = "tile"
    REWRITTEN = "rewritten"
    UNSIGNED = "unsigned"
    RESIGNED = "resigned"
    FORKED = "forked"
    ROLLED_BACK = "rolled-back"
    BACK_DATED = "back-dated"
    HEADS_WRONG = "heads-wrong"
    HEADS_LATE = "heads-late"
    HEADS_MISSING = "heads-missing"


INCOMPLETE: Final = frozenset({Fault.MISSING})
"""Says nothing false, but not everything is there."""
HISTORY: Final = frozenset({Fault.RESIGNED, Fault.FORKED, Fault.ROLLED_BACK, Fault.BACK_DATED})
"""The log's own signatures, or its witnesses', contradict the log."""
SLICES: Final = frozenset({Fault.HEADS_WRONG, Fault.HEADS_LATE, Fault.HEADS_MISSING})
"""What the hub commits to towards single agencies is not what the log has, or not in time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, the index of the entry to blame if there is one, a sentence."""

    fault: Fault
    index: int | None
    text: str


@dataclass(slots=True)
class Findings:
    """Everything found so far: the first ones in full, all of them counted."""

    listed: list[Finding] = field(default_factory=list)
    counts: Counter[Fault] = field(default_factory=Counter)

    def add(self, fault: Fault, text: str, index: int | None = None) -> None:
        """One more."""
        self.counts[fault] += 1
        if len(self.listed) < LISTED:
            self.listed.append(Finding(fault, index, text))

    def extend(self, other: "Findings") -> None:
        """All of another's."""
        self.listed = [*self.listed, *other.listed][:LISTED]
        self.counts.update(other.counts)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a policy's witnesses vouch for: a tree of `size` entries at `when`.

    `needed` is False where the policy asks for no witness; then there is no size and no time.
    """

    satisfied: bool
    needed: bool
    size: int | None = None
    when: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the files prove. `size` entries were named by the checkpoint, `checked` of them were read.

    `witnessed` is None when no policy was given. `key` says where the log's key came from: "policy",
    "given", or "folder", which proves nothing against somebody who could write to the folder.
    `covered`: how many entries a heads entry covers, so that `slices` says something of them; None when the
    slices of the agencies could not be recomputed.
    """

    origin: str
    key: str
    size: int
    checked: int
    witnessed: Witnessed | None
    counts: dict[Fault, int]
    findings: tuple[Finding, ...]
    covered: int | None = None

    @property
    def integrity(self) -> bool:
        """Entries, tree and checkpoint belong together."""
        return not set(self.counts) - INCOMPLETE - HISTORY - SLICES

    @property
    def complete(self) -> bool:
        """Every entry below `size` was there, with the tiles to check it by."""
        return Fault.MISSING not in self.counts and self.checked == self.size

    @property
    def history(self) -> bool:
        """No other checkpoint that is known, and no witness's time, contradicts the log."""
        return not set(self.counts) & HISTORY

    @property
    def slices(self) -> bool | None:
        """Every heads entry is the right one and came in time; None when it could not be judged."""
        return None if self.covered is None else not set(self.counts) & SLICES

    @property
    def holds(self) -> bool:
        """Nothing that is there is wrong, neither the log nor what it committed to towards anybody."""
        return self.integrity and self.history and Fault.HEADS_WRONG not in self.counts

    @property
    def ok(self) -> bool:
        """Everything that was asked for holds."""
        vouched = self.witnessed is None or self.witnessed.satisfied
        return self.integrity and self.complete and self.history and self.slices is not False and vouched
