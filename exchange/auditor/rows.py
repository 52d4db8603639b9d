"""An entry as a row of a table: the columns that every derived view has, in one order.

Derived views are for looking; the evidence is the leaf's bytes, which `index` and `leaf` lead back to.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from exchange.auditor.reading import Leaf

COLUMNS: Final = (
    "index",
    "leaf",
    "ts",
    "act",
    "out",
    "rsn",
    "org",
    "own",
    "knd",
    "fld",
    "pur",
    "cns",
    "rec",
    "req",
    "pol",
    "opr",
    "id",
)
LISTS: Final = ("own", "fld")


@dataclass(frozen=True, slots=True)
class Row:
    """A leaf and its members, read from bytes that were proved before."""

    leaf: Leaf
    members: dict[str, str | int | list[str]]

    @classmethod
    def of(cls, leaf: Leaf) -> "Row":
        """The row of a proved leaf."""
        # The strict codec has judged these bytes already, in `proved_leaves`.
        return cls(leaf, json.loads(leaf.entry))

    @property
    def time(self) -> datetime:
        """The entry's time, aware UTC."""
        return datetime.fromtimestamp(self.leaf.ts // 1_000_000, UTC).replace(
            microsecond=self.leaf.ts % 1_000_000
        )

    def texts(self) -> list[str]:
        """One text for each column; a missing member is empty, a list is parted by spaces."""
        found = []
        for name in COLUMNS:
            value = self.members.get(name, "")
            found.append(" ".join(value) if isinstance(value, list) else str(value))
        found[0], found[1], found[2] = str(self.leaf.index), self.leaf.hash.hex(), self.time.isoformat()
        return found
