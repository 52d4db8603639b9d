"""The hub's two logs as one thing to publish: the audit log and the key directory, each with its own key.

Here stands only what they have in common: a name, an origin, a signed head, and proofs between its sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services import audit_read, directory_read
from exchange.log.checkpoint import Checkpoint, VerifierKey, keys_of, parse_vkey, sign_checkpoint, vkey
from exchange.log.tiles import Tile, node_reader
from exchange.log.tree import Frontier, consistency_proof, frontier_at

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.hub import Hub
    from exchange.log.checkpoint import LogKey
    from exchange_keys.signing import SigningKey

AUDIT: Final = "audit"
DIRECTORY: Final = "directory"


@dataclass(frozen=True, slots=True)
class HubLog:
    """One of the two logs. `head` and `tile` read it inside a transaction."""

    name: str
    origin: str
    key: SigningKey | LogKey
    head: Callable[[Connection], Frontier]
    tile: Callable[[Connection, Tile], bytes]

    @property
    def pins(self) -> tuple[VerifierKey, ...]:
        """The keys that sign for it now, the one to pin first."""
        return tuple(parse_vkey(vkey(self.origin, key.public.raw)) for key in keys_of(self.key))

    def note(self, tree: Frontier) -> str:
        """Its checkpoint of this tree, signed."""
        return sign_checkpoint(Checkpoint(self.origin, tree.size, tree.root()), self.key)

    def root_at(self, conn: Connection, size: int) -> bytes:
        """The root of its first `size` leaves, which it must have."""
        return frontier_at(size, self._nodes(conn, size)).root()

    def consistency(self, hub: Hub, old: int, size: int) -> list[bytes]:
        """The proof that its tree of `old` leaves is a prefix of that of `size`, both there for good."""
        with storage_errors(), reading(hub.engine) as conn:
            return consistency_proof(old, size, self._nodes(conn, size))

    def _nodes(self, conn: Connection, size: int) -> Callable[[int, int], bytes]:
        return node_reader(size, cache(partial(self.tile, conn)))


def audit_log(hub: Hub) -> HubLog:
    """The audit log."""
    origin, key = hub.settings.audit_log, hub.keys.audit_log
    return HubLog(AUDIT, origin, key, audit_read.head, audit_read.read_tile)


def directory_log(hub: Hub) -> HubLog:
    """The key directory's log."""
    origin, key = hub.settings.directory_log, hub.keys.directory_log
    return HubLog(DIRECTORY, origin, key, directory_read.head, directory_read.tile)


def hub_logs(hub: Hub) -> tuple[HubLog, HubLog]:
    """Both of them."""
    return audit_log(hub), directory_log(hub)
