"""Slices: for each party of a log a tree over the leaf hashes of the entries about it, and one root over all.

A party's slice is the RFC 6962 tree over the leaf hashes of the entries that name it, in the log's order. A
*heads* entry of the main log carries one root over the slices of all parties as they are after the first
`covers` entries. The tree under that root has one leaf for each party with at least one entry, sorted by the
party's id as bytes; a leaf's data is

    LP("hx1/slice") ‖ LP(salt) ‖ LP(covers, u64) ‖ LP(party) ‖ LP(size, u64) ‖ LP(root)

with one secret salt for each party, so that the hashes beside a party's own tell it nothing about the others,
not even that nothing happened. Whoever has the salts and the entries can recompute all of it; a party needs
its own salt alone. Everything here is pure; nothing may trust a heads entry that no checkpoint carries.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

from exchange.log.tree import (
    HASH_BYTES,
    MAX_SIZE,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_inclusion,
)
from exchange_schemas.codec import b64u, decode, lp, unb64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import EntryInvalid, Malformed

SALT_BYTES: Final = 32
SALTS_FILE: Final = "salts.json"
"""Where a copy of the log keeps the secret salt of each party's slice."""
SALTS_FILE_BYTES: Final = 4 * 1024 * 1024
LATE_US: Final = 600 * 1_000_000
"""An entry about a party is under a heads entry within ten minutes, in the log's own time."""
LAG: Final = 65_536
"""The most entries that may lie between what a heads entry covers and itself."""
_LABEL: Final = b"hx1/slice"
_TAG: Final = re.compile(r"(0|[1-9][0-9]{0,18}):([A-Za-z0-9_-]{43})")
_OWN: Final = b'"own":['


@dataclass(frozen=True, slots=True)
class Slice:
    """One party's slice: the number of its leaves and their root; `salt` is 32 bytes and secret."""

    party: str
    size: int
    root: bytes
    salt: bytes = field(repr=False)

    def leaf(self, covers: int) -> bytes:
        """The hash of its leaf under the heads entry that covers the first `covers` entries."""
        return slice_leaf(covers, self.party, self.salt, self.size, self.root)


def slice_leaf(covers: int, party: str, salt: bytes, size: int, root: bytes) -> bytes:
    """As `Slice.leaf`, for who makes the leaf of every party for each of many heads entries."""
    before, between, last = _frame(party, salt)
    return leaf_hash(before + covers.to_bytes(8, "big") + between + size.to_bytes(8, "big") + last + root)


def read_salts(data: bytes) -> dict[str, bytes]:
    """The salts in the bytes of a copy's `SALTS_FILE`, 32 bytes each, by party. Raises: Malformed."""
    members = decode(data, limit=SALTS_FILE_BYTES)
    return {party: unb64u(text, field=SALTS_FILE, length=SALT_BYTES) for party, text in members.items()}


@lru_cache(maxsize=4096)
def _frame(party: str, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands in a party's leaf before the number `covers`, before the number `size`, before the root."""
    number, root = lp(bytes(8))[:-8], lp(bytes(HASH_BYTES))[:-HASH_BYTES]
    return lp(_LABEL, salt) + number, lp(party.encode()) + number, root


@dataclass(frozen=True, slots=True)
class Heads:
    """What a heads entry says: how many entries it covers, and the root over all slices."""

    covers: int
    root: bytes

    @classmethod
    def over(cls, covers: int, slices: Iterable[Slice]) -> Self:
        """The heads of these slices, of which none is empty, in any order."""
        return cls(covers, root_of(leaves_of(covers, slices)))

    def to_tag(self) -> str:
        """The text that the entry carries in `pol`."""
        return f"{self.covers}:{b64u(self.root)}"

    @classmethod
    def of_entry(cls, data: bytes) -> Self | None:
        """What an entry of the log says of the heads; None when it is another entry.

        Raises: EntryInvalid when it is a heads entry that says nothing readable, or is not the hub's own.
        """
        if not is_heads(data):
            return None
        try:
            entry = Entry.from_bytes(data)
            match = _TAG.fullmatch(entry.pol or "")
            if match is None or int(match[1]) > MAX_SIZE or entry.own or entry.out != "allow":
                raise Malformed("pol: not the number of entries and a root", field="pol")
            return cls(int(match[1]), unb64u(match[2], field="pol", length=HASH_BYTES))
        except Malformed as error:
            raise EntryInvalid(f"heads entry: {error.message}", field=error.field) from error


def leaves_of(covers: int, slices: Iterable[Slice]) -> list[bytes]:
    """The leaf hashes of the tree of heads, in its order."""
    return [one.leaf(covers) for one in sorted(slices, key=lambda one: one.party.encode())]


def path_to(position: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The inclusion proof of one leaf in the tree of heads. Raises: ProofInvalid."""
    levels: list[Sequence[bytes]] = [leaves]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return inclusion_proof(position, len(leaves), lambda level, index: levels[level][index])


def verify_slice(heads: Heads, mine: Slice, position: int, parties: int, path: Sequence[bytes]) -> None:
    """Prove that this is the party's slice under a heads entry, at `position` among so many parties.

    Raises: ProofInvalid.
    """
    verify_inclusion(position, parties, mine.leaf(heads.covers), path, heads.root)


def is_heads(data: bytes) -> bool:
    """Whether a canonical entry is a heads entry."""
    return data.startswith(_HEADS)


_HEADS: Final = b'{"act":"%s",' % Act.SLICE_HEADS.value.encode()


def parties_of(data: bytes) -> tuple[str, ...]:
    """The parties that a canonical entry names, read without decoding all of it; () when it names none."""
    # No member before it can hold a quote, so the first one that reads like it is it.
    start = data.find(_OWN) + len(_OWN)
    if start < len(_OWN):
        return ()
    return names_in(data[start : data.find(b"]", start)])


@lru_cache(maxsize=4096)  # the same parties come again and again
def names_in(spelled: bytes) -> tuple[str, ...]:
    """The names in a canonical list, given without its brackets."""
    return tuple(spelled[1:-1].decode("ascii").split('","')) if spelled else ()
