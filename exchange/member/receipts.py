"""Receipts of the hub's audit log: each is verified against the pinned log key, then kept.

A receipt is an entry and its proof of inclusion in a signed tree. It must never be kept unverified, and
two trees of one size with different roots are an alarm (the hub shows different logs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exchange.log.checkpoint import Checkpoint
from exchange.log.proof import parse_proof, verify_entry
from exchange.log.tree import HASH_BYTES
from exchange.member.store import Store
from exchange.member.transport import RawReceipt
from exchange_schemas.codec import JsonValue, b64u, decode, unb64u
from exchange_schemas.errors import EntryInvalid, LogFork, NotFound, ProofInvalid, StoreCorrupt
from exchange_schemas.limits import LIMITS

_RECEIPTS = "receipt"
_ROOTS = "log_root"
_PENDING = "receipt_pending"
_OPEN = "receipt_open"
_UNSLICED = "receipt_unsliced"
# No id of an entry begins so.
_TREE = "tree:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """One verified entry about this agency. `act` is noun:verb, `outcome` allow, deny or error."""

    id: str
    act: str
    outcome: str
    reason: str | None
    at: datetime
    index: int
    entry: bytes
    proof: str


@dataclass(frozen=True, slots=True)
class OpenReceipt:
    """A tree of `size` entries with this root that the hub signed, seen at `at`."""

    key: str
    size: int
    root: bytes
    at: datetime

    @property
    def entry(self) -> str | None:
        """The entry of the receipt; None for a tree that was seen without one."""
        return None if self.key.startswith(_TREE) else self.key


@dataclass(frozen=True, slots=True)
class Collected:
    """How many receipts were fetched, and the ids of the entries that the hub does not have any more."""

    fetched: int
    gone: tuple[str, ...]


class Receipts:
    """The kept receipts of one agency, and those that are still to be fetched."""

    def __init__(self, store: Store, audit_vkey: str, agency: str) -> None:
        """`audit_vkey` is the pinned key of the audit log, `agency` must be among an entry's parties."""
        self._store = store
        self._vkey = audit_vkey
        self._agency = agency

    def keep(self, raw: RawReceipt) -> None:
        """Verify and store one receipt of an answer.

        Raises: ProofInvalid, CheckpointInvalid, EntryInvalid, LogFork.
        """
        if not isinstance(raw.value, Mapping):
            raise ProofInvalid("receipt: entry and proof are needed", field="receipt")
        receipt = self.verify(raw.value.get("entry"), raw.value.get("proof"))
        if raw.first and decode(receipt.entry, limit=LIMITS.entry_bytes).get("req") != raw.request:
            raise ProofInvalid("receipt: it is for another request than this one", field="req")

    def id_of(self, value: JsonValue) -> str | None:
        """The entry id of a receipt in an answer that was kept already; None when there is none."""
        if not isinstance(value, Mapping):
            return None
        entry = decode(unb64u(value.get("entry"), field="entry"), limit=LIMITS.entry_bytes)
        return str(entry.get("id"))

    def note(self, entry_id: str) -> None:
        """Remember that the entry `entry_id` is to be fetched and verified."""
        if self._store.get(_RECEIPTS, entry_id) is None:
            self._store.put(_PENDING, entry_id, {})

    def collect(self, fetch: Callable[[str], Mapping[str, JsonValue]]) -> Collected:
        """Fetch and verify what was noted. `fetch(id)` asks the hub for {entry, proof}.

        What the hub does not have any more stays noted, and stops nothing else.
        """
        waiting = [ident for ident, _ in self._store.each(_PENDING)]
        gone = []
        for ident in waiting:
            try:
                answer = fetch(ident)
            except NotFound:
                gone.append(ident)
                continue
            stored = self.verify(answer.get("entry"), answer.get("proof"))
            if stored.id != ident:
                raise ProofInvalid(
                    "receipt: the hub gave another entry than the one asked for", field="entry"
                )
            self._store.delete(_PENDING, ident)
        return Collected(len(waiting) - len(gone), tuple(gone))

    def verify(self, entry_text: JsonValue, proof: JsonValue) -> StoredReceipt:
        """Verify an entry and its proof, check its tree against all seen before, and store it."""
        if not isinstance(entry_text, str) or not isinstance(proof, str):
            raise ProofInvalid("receipt: entry and proof must be texts", field="receipt")
        entry = unb64u(entry_text, field="entry", limit=LIMITS.entry_bytes)
        checkpoint = verify_entry(entry, proof, [self._vkey])
        receipt = _read(entry, parse_proof(proof).index, proof)
        self._must_concern_us(entry)
        with self._store.writing():
            self._same_tree(checkpoint)
            if self._store.get(_RECEIPTS, receipt.id) is None:
                row = _row(checkpoint, receipt.at)
                self._store.put(_OPEN, receipt.id, row)
                self._store.put(_UNSLICED, receipt.id, row)
            self._store.put(
                _RECEIPTS, receipt.id, {"entry": entry_text, "proof": proof, "index": receipt.index}
            )
        return receipt

    def see(self, checkpoint: Checkpoint, now: datetime) -> None:
        """Keep a signed tree that an answer showed; it is to be found under a witnessed one like a receipt's.

        Raises: LogFork when another tree of this size was seen.
        """
        with self._store.writing():
            known = self._store.get(_ROOTS, str(checkpoint.size)) is not None
            self._same_tree(checkpoint)
            if not known and checkpoint.size > 0:
                self._store.put(_OPEN, f"{_TREE}{checkpoint.size}", _row(checkpoint, now))

    def open(self) -> list[OpenReceipt]:
        """What nobody has vouched for yet: verified, kept, and not found under a witnessed checkpoint."""
        return [_open(ident, row) for ident, row in self._store.each(_OPEN)]

    def settle(self, found: Iterable[OpenReceipt]) -> None:
        """These were found under a witnessed checkpoint; they are not looked for again."""
        self._forget(_OPEN, found)

    def unsliced(self) -> list[OpenReceipt]:
        """The receipts that were not found in this agency's slice of the log yet."""
        return [_open(ident, row) for ident, row in self._store.each(_UNSLICED)]

    def sliced(self, found: Iterable[OpenReceipt]) -> None:
        """The entries of these were found in the slice; they are not looked for again."""
        self._forget(_UNSLICED, found)

    def trees(self) -> Iterator[tuple[int, bytes]]:
        """(size, root) of every tree that was seen."""
        for size, row in self._store.each(_ROOTS):
            yield int(size), unb64u(row["root"], field="root", length=HASH_BYTES)

    def forget_trees(self) -> None:
        """Hold nothing against the trees that were seen any more, and wait for none of their entries.

        For a log that was recovered and lost entries, after persons agreed. Kept receipts stay.
        """
        with self._store.writing():
            for collection in (_ROOTS, _PENDING, _OPEN, _UNSLICED):
                self._store.clear(collection)

    def _forget(self, collection: str, found: Iterable[OpenReceipt]) -> None:
        with self._store.writing():
            for one in found:
                self._store.delete(collection, one.key)

    def entry(self, entry_id: str) -> bytes | None:
        """The entry of a kept receipt."""
        value = self._store.get(_RECEIPTS, entry_id)
        return None if value is None else unb64u(value["entry"], field="entry")

    def each(self) -> Iterator[StoredReceipt]:
        """All kept receipts, oldest first."""
        for _, value in self._store.each(_RECEIPTS):
            yield _stored(value)

    def get(self, entry_id: str) -> StoredReceipt | None:
        """The kept receipt of one entry, or None."""
        value = self._store.get(_RECEIPTS, entry_id)
        return None if value is None else _stored(value)

    def _must_concern_us(self, entry: bytes) -> None:
        value = decode(entry, limit=LIMITS.entry_bytes)
        parties = value.get("own")
        if value.get("org") != self._agency and not (isinstance(parties, list) and self._agency in parties):
            raise EntryInvalid("receipt: its entry is about other agencies", field="own")

    def _same_tree(self, checkpoint: Checkpoint) -> None:
        size, root = str(checkpoint.size), b64u(checkpoint.root)
        seen = self._store.get(_ROOTS, size)
        if seen is not None and seen["root"] != root:
            raise LogFork(
                "the audit log shows two different trees of the same size",
                hint="stop using this hub and tell the commission: it shows different logs",
            )
        self._store.put(_ROOTS, size, {"root": root})


def _stored(value: Mapping[str, JsonValue]) -> StoredReceipt:
    proof, index = value["proof"], value["index"]
    if not isinstance(proof, str) or not isinstance(index, int):
        raise StoreCorrupt("a receipt in the local store cannot be read")
    return _read(unb64u(str(value["entry"]), field="entry"), index, proof)


def _read(entry: bytes, index: int, proof: str) -> StoredReceipt:
    value = decode(entry, limit=LIMITS.entry_bytes)
    ident, act, outcome, reason, stamp = (value.get(name) for name in ("id", "act", "out", "rsn", "ts"))
    if not isinstance(ident, str) or not isinstance(act, str) or not isinstance(outcome, str):
        raise EntryInvalid("receipt: the entry lacks id, act or outcome")
    if isinstance(stamp, bool) or not isinstance(stamp, int):
        raise EntryInvalid("receipt: the entry has no time", field="ts")
    return StoredReceipt(
        id=ident,
        act=act,
        outcome=outcome,
        reason=reason if isinstance(reason, str) else None,
        at=_EPOCH + timedelta(microseconds=stamp),
        index=index,
        entry=entry,
        proof=proof,
    )


def _open(key: str, row: Mapping[str, JsonValue]) -> OpenReceipt:
    size, stamp = row["size"], row["ts"]
    if not isinstance(size, int) or not isinstance(stamp, int):
        raise StoreCorrupt("the local store holds an open receipt that cannot be read")
    root = unb64u(row["root"], field="root", length=HASH_BYTES)
    return OpenReceipt(key, size, root, _EPOCH + timedelta(microseconds=stamp))


def _row(checkpoint: Checkpoint, at: datetime) -> dict[str, JsonValue]:
    return {
        "size": checkpoint.size,
        "root": b64u(checkpoint.root),
        "ts": (at - _EPOCH) // timedelta(microseconds=1),
    }
