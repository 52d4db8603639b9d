"""An entry as a row of a table: the columns that every derived view has, in one order.

Derived views are for looking; the evidence is the leaf's bytes, which `index` and `leaf` lead back to.
"""

import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from exchange.auditor.reading import Leaf
from exchange_schemas.errors import EntryInvalid

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


_GLANCE: Final = re.compile(
    rb'{"act":"(?P<act>[^"]+)"(?:,"cns":"(?P<cns>[^"]+)")?+,"fld":\[[^\]]*+\],"id":"[^"]+"'
    rb'(?:,"knd":"(?P<knd>[^"]+)")?+,"log":"[^"]+"(?:,"opr":"[^"]+")?+(?:,"org":"(?P<org>[^"]+)")?+'
    rb',"out":"(?P<out>[^"]+)","own":\[(?P<own>[^\]]*+)\]'
    rb'(?:,"pol":"(?P<pol>(?:carried:(?P<office>[^"/]+)(?:/[^"]+)?|[^"]+))")?+(?:,"pur":"(?P<pur>[^"]+)")?+'
    rb'(?:,"rec":"[^"]+")?+(?:,"req":"[^"]+")?+(?:,"rsn":"(?P<rsn>[^"]+)")?+,"ts":'
)


class Glance(NamedTuple):
    """The members that a report counts; empty where an entry has none. `own` are the parties.

    What a courier carried counts as done by the office that it was carried for, and by nobody else.
    """

    act: str
    cns: str
    knd: str
    org: str
    out: str
    own: tuple[str, ...]
    pol: str
    pur: str
    rsn: str

    @classmethod
    def at(cls, entry: bytes) -> "Glance":
        """Read them from an entry that was found canonical; a fraction of what reading all of it takes.

        Raises: EntryInvalid when the entry is not canonical after all.
        """
        match = _GLANCE.match(entry)
        if match is None:
            raise EntryInvalid("the entry is not in canonical form")
        act, cns, knd, courier, out, own, pol, office, pur, rsn = match.groups(b"")
        parties = _names(own)
        if office:
            carrier = _word(courier)
            parties = tuple(name for name in parties if name != carrier)
        return cls(
            act=_word(act),
            cns=cns.decode(),
            knd=_word(knd),
            org=_word(office or courier),
            out=_word(out),
            own=parties,
            pol=pol.decode(),
            pur=_word(pur),
            rsn=_word(rsn),
        )


@lru_cache(maxsize=4096)  # codes and names of agencies come again and again
def _word(spelled: bytes) -> str:
    return sys.intern(spelled.decode("ascii"))


@lru_cache(maxsize=4096)
def _names(spelled: bytes) -> tuple[str, ...]:
    return tuple(_word(name) for name in spelled[1:-1].split(b'","')) if spelled else ()


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
