"""The files of an agency's copy of the key directory: the pages as they came, and the state they add up to.

directory/NNNNNNNNN.json  a page of public events, named after the size at which it goes on; never changed
directory/state.box       the verified state and the leaf hashes, sealed under the agency's store key

The state spares every command the replay of the whole log. Whoever could change it would choose the keys that
records are sealed to: one that does not open under this agency's key and pins is worth nothing, and the pages
are verified again from the first event. Nothing here decides whether a page may follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from exchange.directory.snapshot import DirectoryLog, Page
from exchange.log.tree import HASH_BYTES, Frontier
from exchange.member.deployment import Deployment
from exchange.member.files import read_bounded, write_private
from exchange_keys.box import StoreKey
from exchange_schemas.codec import JsonValue, decode, encode, lp
from exchange_schemas.errors import ConfigInvalid, LogIncomplete, Malformed, StoreCorrupt

PAGE_BYTES: Final = 32 * 1024 * 1024
STATE_BYTES: Final = 1024 * 1024 * 1024
_PAGE_DEPTH: Final = 12
_LENGTH: Final = 8
_LABEL: Final = b"hx1/directory-copy"


@dataclass(frozen=True, slots=True)
class Kept:
    """A verified copy and the leaf hashes of its events, 32 bytes each in their order."""

    log: DirectoryLog
    leaves: bytes

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` events; `size` is at most the copy's."""
        hashes = (self.leaves[at : at + HASH_BYTES] for at in range(0, size * HASH_BYTES, HASH_BYTES))
        return Frontier.empty().extend(hashes).root()


@dataclass(frozen=True, slots=True)
class KeptDirectory:
    """The folder, for one agency's pins and store key."""

    folder: Path
    pins: Deployment
    key: StoreKey

    def load(self) -> Kept | None:
        """The sealed state; None when there is none, or none that these pins and this key vouch for."""
        path = self.folder / "state.box"
        if not path.is_file():
            return None
        try:
            plain = self.key.open(
                read_bounded(path, limit=STATE_BYTES, what="directory state"), self._context()
            )
            size = int.from_bytes(plain[:_LENGTH], "big")
            log = DirectoryLog.from_bytes(plain[_LENGTH : _LENGTH + size])
        except (StoreCorrupt, ConfigInvalid):
            return None
        leaves = plain[_LENGTH + size :]
        if len(leaves) != log.state.size * HASH_BYTES:
            return None
        return Kept(replace(log, vkeys=(self.pins.directory_vkey,)), leaves)

    def save(self, kept: Kept) -> None:
        """Seal a state that was verified. Raises: StorageFull, ConfigInvalid."""
        plain = lp(kept.log.to_bytes()) + kept.leaves
        write_private(self.folder / "state.box", self.key.seal(plain, self._context()))

    def keep_page(self, start: int, raw: Mapping[str, JsonValue]) -> None:
        """Keep a page as the hub gave it. Raises: StorageFull, ConfigInvalid."""
        write_private(self.folder / f"{start:09d}.json", encode(raw, depth=_PAGE_DEPTH))

    def pages(self, start: int) -> Iterator[Page]:
        """The kept pages from size `start` on, in order. Raises: LogIncomplete for a damaged one."""
        for path in self._page_files():
            if int(path.stem) >= start:
                yield _read_page(read_bounded(path, limit=PAGE_BYTES, what="copy of the key directory"))

    def _page_files(self) -> Sequence[Path]:
        return sorted(path for path in self.folder.glob("*.json") if path.stem.isdecimal())

    def _context(self) -> bytes:
        """Bound to the deployment and its first event: the state of another directory does not open."""
        return lp(_LABEL, self.pins.origin.encode(), str(self.pins.pin).encode())


def _read_page(data: bytes) -> Page:
    try:
        return Page.from_json(decode(data, limit=PAGE_BYTES, depth=_PAGE_DEPTH))
    except Malformed as error:
        raise LogIncomplete(
            "the kept copy of the key directory is damaged",
            hint="delete the folder directory/ and run `exchange-agency directory sync`",
        ) from error
