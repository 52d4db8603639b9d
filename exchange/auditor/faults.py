"""Which fault a bundle shows: its entries against the leaves that the log committed to. Pure.

Everything here is a diagnosis for people. Whether something is wrong at all is decided before, by comparing
all hashes; nothing here may turn a difference into none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from exchange.auditor.verdict import Fault, Findings

_REMEMBERED: Final = 4096
"""Differences that are looked up against one another across bundles."""
_ALTERED: Final = "entry {} is not the one the log committed to"


@dataclass(slots=True)
class Differences:
    """What differs from what was committed to, so that an entry that only moved is called that."""

    replaced: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    named: Findings = field(default_factory=Findings)

    def compare(self, start: int, found: Sequence[bytes], wanted: Sequence[bytes], *, broken: bool) -> None:
        """Name what differs between the leaf hashes of a bundle and those of its tile, from entry `start`.

        `broken`: after the found entries came bytes that make none, so that only the first difference counts.
        """
        if broken:
            self._broken(start, found, wanted)
        elif len(found) == len(wanted):
            self._replaced(start, found, wanted)
        else:
            self._moved(start, found, wanted)

    def settle(self, findings: Findings) -> None:
        """At the end: tell moved entries from altered ones, and add everything to `findings`."""
        homes = {wanted: index for index, _, wanted in self.replaced}
        for index, found, _ in self.replaced:
            home = homes.get(found)
            if home is None:
                findings.add(Fault.ALTERED, _ALTERED.format(index), index)
            else:
                findings.add(Fault.SWAPPED, f"at {index} stands the entry that belongs at {home}", index)
        findings.extend(self.named)

    def _replaced(self, start: int, found: Sequence[bytes], wanted: Sequence[bytes]) -> None:
        for index, (here, there) in enumerate(zip(found, wanted, strict=True), start):
            if here == there:
                continue
            if len(self.replaced) < _REMEMBERED:
                self.replaced.append((index, here, there))
            else:
                self.named.add(Fault.ALTERED, _ALTERED.format(index), index)

    def _broken(self, start: int, found: Sequence[bytes], wanted: Sequence[bytes]) -> None:
        pairs = enumerate(zip(found, wanted, strict=False), start)
        at = next((index for index, (here, there) in pairs if here != there), None)
        if at is None:
            end = start + len(found)
            self.named.add(Fault.TRUNCATED, f"the bundle breaks off within entry {end}", end)
        else:
            self.named.add(Fault.ALTERED, _ALTERED.format(at), at)

    def _moved(self, start: int, found: Sequence[bytes], wanted: Sequence[bytes]) -> None:
        for tag, first, last, here, there in SequenceMatcher(None, wanted, found, False).get_opcodes():
            shared = min(last - first, there - here) if tag == "replace" else 0
            self._replaced(start + first, found[here : here + shared], wanted[first : first + shared])
            if tag in ("replace", "delete"):
                self._lost(range(start + first + shared, start + last), start + len(wanted))
            if tag in ("replace", "insert"):
                at = start + first + shared
                for _ in range(here + shared, there):
                    self.named.add(Fault.INSERTED, f"before entry {at}: one that the log does not have", at)

    def _lost(self, indexes: range, end: int) -> None:
        for index in indexes:
            if indexes.stop == end:
                self.named.add(Fault.TRUNCATED, f"entry {index} is cut off the end of its bundle", index)
            else:
                self.named.add(Fault.DROPPED, f"entry {index} is missing between its neighbours", index)
