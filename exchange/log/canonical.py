"""A whole bundle of canonical entries, read in one go: what an auditor's pass over millions of entries costs.

One regular expression, which is built from the schema, runs over the bundle's bytes. It is never the judge of
what is wrong: a bundle that it does not take whole is to be read entry by entry, which names the fault. What
it takes, that reading takes too, with the same result (a test holds the two together). Pure.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import pack
from typing import Final

from exchange.log.tiles import TILE_WIDTH
from exchange_schemas.entry import MAX_TS_US, canonical_pattern, fields_hold, parties_spelled
from exchange_schemas.limits import LIMITS

_PREFIX: Final = rb"(?s:(..))"
"""The length of an entry, a u16; which one is compared afterwards."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Entries in a row: the bytes of each, its time in µs, the parties that it names."""

    entries: Sequence[bytes]
    times: Sequence[int]
    parties: Sequence[tuple[str, ...]]


@lru_cache(maxsize=16)
def bundle_reader(log: str) -> Callable[[bytes], Bundle | None]:
    """Reads a bundle of the log `log`; None unless it is 1 to 256 canonical entries and nothing else."""
    findall = re.compile(_PREFIX + b"(" + canonical_pattern(log).pattern + b")").findall

    def read(data: bytes) -> Bundle | None:
        found = findall(data)
        if not 1 <= len(found) <= TILE_WIDTH:
            return None
        prefixes, entries, flds, whos, _refused, stamps = zip(*found, strict=True)
        times = [*map(int, stamps)]
        if not _fills(data, prefixes, entries) or max(times) > MAX_TS_US:
            return None
        parties = [names for names in map(parties_spelled, whos) if names is not None]
        if len(parties) < len(whos) or not all(map(fields_hold, set(flds))):
            return None
        return Bundle(entries, times, parties)

    return read


def _fills(data: bytes, prefixes: Sequence[bytes], entries: Sequence[bytes]) -> bool:
    """Whether these are the entries of the bundle, each as long as it says, with nothing between them."""
    sizes = [*map(len, entries)]
    if max(sizes) > LIMITS.entry_bytes or sum(sizes) + 2 * len(sizes) != len(data):
        return False
    return b"".join(prefixes) == pack(f">{len(sizes)}H", *sizes)
