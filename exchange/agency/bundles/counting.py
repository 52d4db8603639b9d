"""Bundles are counted for each partner and way, so that an older one never comes after a newer one.

The same bundle again is known by its id and changes nothing; another one with a number that was used, or a
smaller number, is a replay.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.member.store import Store
from exchange_schemas.bundle import Cover
from exchange_schemas.errors import Replay
from exchange_schemas.ids import AgencyId

_MADE = "bundle_count"
_TAKEN = "bundle_taken"


@dataclass(frozen=True, slots=True)
class Counting:
    """The counts of one store."""

    store: Store

    def next_seq(self, way: str, to: AgencyId) -> int:
        """The number of the next bundle to this partner."""
        return self._number(_MADE, f"{way}/{to}") + 1

    def made(self, cover: Cover) -> None:
        """The number is used."""
        self.store.put(_MADE, f"{cover.way}/{cover.to}", {"seq": cover.seq})

    def seen(self, cover: Cover) -> bool:
        """Whether this very bundle was taken before.

        Raises: Replay for another bundle with its number, or one older than what was taken.
        """
        last = self.store.get(_TAKEN, f"{cover.way}/{cover.iss}")
        if last is None:
            return False
        if last["id"] == cover.id:
            return last["done"] is True
        if cover.seq <= self._number(_TAKEN, f"{cover.way}/{cover.iss}"):
            raise Replay(
                "a newer bundle of this agency was taken before this one",
                field="seq",
                rule="B7-replay",
                hint="it holds nothing that the newer one lacked; take the newest stick",
            )
        return False

    def taken(self, cover: Cover, *, done: bool = True) -> None:
        """It was taken; `done` False: it was begun."""
        self.store.put(_TAKEN, f"{cover.way}/{cover.iss}", {"id": cover.id, "seq": cover.seq, "done": done})

    def _number(self, collection: str, name: str) -> int:
        found = self.store.get(collection, name)
        seq = None if found is None else found["seq"]
        return seq if isinstance(seq, int) else 0
