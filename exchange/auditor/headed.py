"""The slices of all parties and the heads over them, recomputed from the entries while they are verified.

An agency sees its own slice alone. Whether the hub left an entry out of somebody's slice can only be told by
who has every entry: each heads entry must carry the very root that follows from the entries that it covers.
  heads-wrong    it carries another root, covers what it cannot, goes back, or cannot be read
  heads-late     an entry waited for longer than ten minutes until a heads entry covered it
  heads-missing  an entry has waited for longer than ten minutes, and no heads entry covers it yet
Time is the log's own; what passed between an agency's last act and a start of the hub counts for nothing: the
hub was down, whatever its operators did meanwhile. Memory is one row of hashes for each party and the entries
that no heads entry covers yet, 65,536 at the most: one that lags more is wrong.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from exchange.auditor.verdict import Fault, Findings
from exchange.log.canonical import Bundle
from exchange.log.slices import LAG, LATE_US, Heads, slice_leaf
from exchange.log.tree import Frontier, root_of
from exchange_schemas.entry import Act
from exchange_schemas.errors import EntryInvalid

_START: Final = b'{"act":"%s",' % Act.HUB_START.value.encode()
_ACTING: Final = b',"org":"'
_HEADS: Final = b'{"act":"%s",' % Act.SLICE_HEADS.value.encode()


class _Block(NamedTuple):
    """Entries in a row that are in no tree yet: the first one's number, their times, parties and hashes."""

    start: int
    times: Sequence[int]
    parties: Sequence[tuple[str, ...]]
    leaves: Sequence[bytes]

    def split(self, at: int) -> tuple["_Block", "_Block"]:
        """Those below the entry number `at`, and the others."""
        cut = at - self.start
        return (
            _Block(self.start, self.times[:cut], self.parties[:cut], self.leaves[:cut]),
            _Block(at, self.times[cut:], self.parties[cut:], self.leaves[cut:]),
        )


class _Oldest(NamedTuple):
    """The first entry that names a party and that no heads entry covers."""

    at: int
    ts: int


class HeadsCheck:
    """Give it every entry in order, then `finish`; `salts` are the parties' secrets, 32 bytes each.

    `covers`: how many entries the newest heads entry covers.
    """

    def __init__(self, salts: Mapping[str, bytes], findings: Findings) -> None:
        self._salts = salts
        self._findings = findings
        self._waiting: deque[_Block] = deque()
        self._trees: defaultdict[str, Frontier] = defaultdict(Frontier.empty)
        # Of the trees that have not grown since the newest heads entry.
        self._roots: dict[str, bytes] = {}
        # Entries below `_folded` are in the trees; the newest heads entry covers those below `_covers`.
        self._folded = 0
        self.covers = 0
        # When an agency last did something; where the hub was started since the newest heads entry, and for
        # how many µs no agency had done anything then.
        self._served = 0
        self._pauses: deque[tuple[int, int]] = deque()
        # The first entry that none covers, if it is in the trees all the same, and the pauses that are too.
        self._lost: _Oldest | None = None
        self._lost_us = 0
        self._newest = 0

    def add(self, start: int, some: Bundle, leaves: Sequence[bytes]) -> None:
        """The next entries, from number `start` on, and their leaf hashes."""
        entries, times, parties = some.entries, some.times, some.parties
        block = _Block(start, times, parties, leaves)
        # Neither a heads entry nor a start names a party, and few others name none.
        for at in [at for at, named in enumerate(parties) if not named]:
            if entries[at].startswith(_HEADS):
                before, block = block.split(start + at)
                self._waiting.append(before)
                self._check(start + at, entries[at], times[at])
            elif entries[at].startswith(_START):
                served = self._last_served(entries[:at], times)
                self._pauses.append((start + at, max(0, times[at] - served)))
        self._waiting.append(block)
        self._newest = max(self._newest, *times)
        self._served = self._last_served(entries, times)
        self._leave_behind(start + len(entries) - LAG)

    def finish(self) -> None:
        """After the last entry: whether one waits for heads for too long."""
        oldest = self._oldest(start=self.covers)
        if oldest is not None and self._waited(oldest, self._newest) > LATE_US:
            text = f"no heads entry covers entry {oldest.at}, and ten minutes are over"
            self._findings.add(Fault.HEADS_MISSING, text, oldest.at)

    def _check(self, index: int, entry: bytes, ts: int) -> None:
        try:
            heads = Heads.of_entry(entry)
        except EntryInvalid as error:
            self._wrong(index, error.message)
            return
        least = max(self.covers, self._folded, index - LAG)
        if heads is None or not least <= heads.covers <= index:
            self._wrong(index, "it covers fewer entries than must be covered, or more than there were")
            return
        self._judge_delay(index, heads.covers, ts)
        self._fold(heads.covers)
        self.covers, self._lost, self._lost_us = heads.covers, None, 0
        while self._pauses and self._pauses[0][0] < self.covers:
            self._pauses.popleft()
        lacking = [party for party in self._trees if party not in self._salts]
        if lacking:
            self._wrong(index, f"the hub gave no salt for {lacking[0]}, so that nobody can check it")
        elif self._root(heads.covers) != heads.root:
            self._wrong(index, f"its root is not that of the slices of the first {heads.covers} entries")

    def _judge_delay(self, index: int, covers: int, ts: int) -> None:
        oldest = self._oldest(start=self.covers)
        if oldest is None or oldest.at >= covers:
            return
        if self._waited(oldest, ts) > LATE_US:
            text = f"entry {oldest.at} waited for over ten minutes until the heads entry {index} covered it"
            self._findings.add(Fault.HEADS_LATE, text, index)

    def _oldest(self, start: int) -> _Oldest | None:
        """The first entry from `start` on that names a party."""
        if self._lost is not None:
            return self._lost
        for block in self._waiting:
            for at, parties in enumerate(block.parties, block.start):
                if parties and at >= start:
                    return _Oldest(at, block.times[at - block.start])
        return None

    def _last_served(self, entries: Sequence[bytes], times: Sequence[int]) -> int:
        """The time of the last of these entries that an agency caused, or of the last one before them."""
        for at in reversed(range(len(entries))):
            if entries[at].find(_ACTING) >= 0:
                return times[at]
        return self._served

    def _waited(self, oldest: _Oldest, ts: int) -> int:
        """How long an entry waits at `ts`, in µs, without the pauses of the hub since."""
        return ts - oldest.ts - self._lost_us - sum(pause for at, pause in self._pauses if at > oldest.at)

    def _leave_behind(self, end: int) -> None:
        """Put the entries below `end` into the trees, though no heads entry covers them yet."""
        if self._lost is None and self._waiting and self._waiting[0].start < end:
            oldest = self._oldest(start=self.covers)
            self._lost = oldest if oldest is not None and oldest.at < end else None
        while self._pauses and self._pauses[0][0] < end:
            at, pause = self._pauses.popleft()
            if self._lost is not None and at > self._lost.at:
                self._lost_us += pause
        self._fold(end)

    def _fold(self, end: int) -> None:
        """Put the entries below `end` into the trees of their parties."""
        grown: defaultdict[str, list[bytes]] = defaultdict(list)
        while self._waiting and self._waiting[0].start < end:
            block = self._waiting.popleft()
            if block.start + len(block.leaves) > end:
                block, rest = block.split(end)
                self._waiting.appendleft(rest)
            for parties, leaf in zip(block.parties, block.leaves, strict=True):
                for party in parties:
                    grown[party].append(leaf)
        self._folded = max(self._folded, end)
        for party, leaves in grown.items():
            self._trees[party] = self._trees[party].extend(leaves)
            self._roots.pop(party, None)

    def _root(self, covers: int) -> bytes:
        """What a heads entry over the first `covers` entries, which are in the trees, must carry."""
        leaves = []
        # The ids of agencies are ASCII, which sorts as its bytes do.
        for party in sorted(self._trees):
            tree = self._trees[party]
            root = self._roots.get(party)
            if root is None:
                root = self._roots[party] = tree.root()
            leaves.append(slice_leaf(covers, party, self._salts[party], tree.size, root))
        return root_of(leaves)

    def _wrong(self, index: int, what: str) -> None:
        self._findings.add(Fault.HEADS_WRONG, f"heads entry {index}: {what}", index)
