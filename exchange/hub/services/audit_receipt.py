"""Receipts: an entry's bytes and the proof that it lies in a signed tree.

A receipt must only be built from what is durable: the checkpoint in it is signed after the commit. It is
computed from the stored frontier before the entry, so that it is the same bytes whenever it is asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sqlalchemy import bindparam, select

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import log_entry
from exchange.hub.services.audit_append import Appended
from exchange.hub.services.audit_entry import Logged
from exchange.hub.services.hub import Hub
from exchange.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from exchange.log.proof import format_proof
from exchange.log.tree import Frontier, proof_at_append
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import NotFound

_STORED: Final = select(log_entry).where(log_entry.c.entry_id == bindparam("entry_id"))


@dataclass(frozen=True)
class Receipt:
    """`entry`: the leaf's bytes, committed at `place`; `log`: the log's name, `key`: what signs for it."""

    entry_id: str
    entry: bytes
    place: Appended
    log: str
    key: SigningKey | LogKey

    @cached_property
    def proof(self) -> str:
        """C2SP tlog-proof text, its checkpoint the tree that ends with the entry. Made when it is asked for:
        an answer that only names its receipt needs none.
        """
        tree = self.place.before.append(self.place.leaf)
        note = sign_checkpoint(Checkpoint(self.log, tree.size, tree.root()), self.key)
        return format_proof(self.place.index, proof_at_append(self.place.before), note)


def build_receipt(hub: Hub, logged: Logged) -> Receipt:
    """The receipt of an entry whose place is committed."""
    return Receipt(logged.entry_id, logged.entry, logged.place, hub.settings.audit_log, hub.keys.audit_log)


def receipt_for(hub: Hub, entry_id: str) -> Receipt:
    """The receipt of an earlier entry, byte for byte the one given then.

    Whether the caller is a party of the entry is the caller's matter. Raises: NotFound.
    """
    with storage_errors(), reading(hub.engine) as conn:
        row = conn.execute(_STORED, {"entry_id": entry_id}).one_or_none()
    if row is None:
        raise NotFound("there is no such entry")
    place = Appended(row.idx, row.leaf, Frontier.from_bytes(row.frontier, size=row.idx))
    return build_receipt(hub, Logged(entry_id, row.entry, place))
