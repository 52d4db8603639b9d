"""This agency's own slice of the audit log: every entry about its dealings, pulled, proved and kept.

The steps for each page: (1) the heads entry is in a tree that the log signed; (2) it is a heads entry of this
log, covers no fewer entries than the one before and lies close behind what it covers; (3) each entry is in
that tree, at a place after the one before and below what the heads cover, and names this agency; (4) after
the last page: the tree over all kept entries is this agency's leaf under the heads, so that none is missing.
What the hub could still do is to leave an entry out of the slice itself. That is found by every auditor who
is accredited for all, and here by each receipt: (5) a receipt's entry below what the heads cover is in the
slice, byte for byte; (6) no receipt waits for more than ten minutes for heads that cover it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from exchange.log.checkpoint import Checkpoint
from exchange.log.proof import parse_proof, verify_entry
from exchange.log.slices import LAG, LATE_US, SALT_BYTES, Heads, Slice, parties_of, verify_slice
from exchange.log.tree import HASH_BYTES, Frontier, leaf_hash, verify_inclusion
from exchange.member.receipts import OpenReceipt
from exchange.member.session import Session
from exchange_schemas.codec import JsonValue, b64u, unb64u
from exchange_schemas.entry import Entry, check_canonical
from exchange_schemas.errors import HubRefused, LogFork, Malformed, ProofInvalid, StoreCorrupt
from exchange_schemas.limits import LIMITS

_STATE: Final = "slice"
_ENTRIES: Final = "slice_entry"
_ONE: Final = "state"
_PATH_MOST: Final = 63
_PAGES_MOST: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """How far the kept slice goes: its tree, the place of its last entry, the heads that it was proved under.

    `heads` is what the hub gave, to be verified again at any time; None before the first.
    """

    tree: Frontier
    last: int
    covers: int
    heads: Mapping[str, JsonValue] | None


@dataclass(frozen=True, slots=True)
class SliceReport:
    """`entries` about this agency are kept, `new` of them from now; the heads cover `covers` entries of the
    log since `at`; None while the hub has none that knows this agency. `omitted`, `waiting`: receipts.
    """

    entries: int
    new: int
    covers: int
    at: datetime | None
    omitted: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnSlice:
    """The slice of one session's agency."""

    session: Session

    def pull(self) -> SliceReport:
        """Fetch what is new, prove and keep it, then hold the receipts against it.

        Raises: ProofInvalid, EntryInvalid, CheckpointInvalid, LogFork when something does not hold (nothing
        of that page is kept); HubUnreachable and the hub's refusals.
        """
        kept = self._kept()
        before = kept.tree.size
        for _ in range(_PAGES_MOST):
            page = self._page(kept.tree.size)
            if page.get("heads") is None:
                if kept.heads is not None:
                    raise _rolled_back("the hub shows no heads any more")
                break
            kept, more = self._take(page, kept)
            if not more:
                break
        return self._report(kept, kept.tree.size - before)

    def verify_kept(self) -> int:
        """Verify everything kept again, offline; gives how many entries there are.

        Raises: ProofInvalid, EntryInvalid, CheckpointInvalid; StoreCorrupt.
        """
        kept, tree = self._kept(), Frontier.empty()
        for entry in self.entries():
            self._must_be_ours(entry)
            tree = tree.append(leaf_hash(entry))
        if tree != kept.tree:
            raise StoreCorrupt("the kept slice is not the one that was proved", hint="pull it again")
        if kept.heads is not None:
            heads, _ = self._heads(kept.heads)
            self._prove_whole(kept.heads, heads, tree)
        return tree.size

    def heads(self) -> Mapping[str, JsonValue] | None:
        """The heads that the kept slice was proved under, as the hub gave them."""
        return self._kept().heads

    def forget(self) -> None:
        """Begin the slice anew: for a log that was recovered and lost entries, after persons agreed."""
        store = self.session.store
        with store.writing():
            store.clear(_STATE)
            store.clear(_ENTRIES)

    def entries(self) -> Iterator[bytes]:
        """Every kept entry, in the order of the log."""
        for _, row in self.session.store.each(_ENTRIES):
            yield unb64u(row["entry"], field="entry", limit=LIMITS.entry_bytes)

    # -- one page --------------------------------------------------------------------------------------

    def _page(self, start: int) -> Mapping[str, JsonValue]:
        try:
            return self.session.hub.get("/v1/audit/slice", {"from": start})
        except Malformed as error:
            if error.field == "from":
                raise _rolled_back("the hub's slice has fewer entries than before") from error
            raise

    def _take(self, page: Mapping[str, JsonValue], kept: Kept) -> tuple[Kept, bool]:
        given, listed = page.get("heads"), page.get("entries")
        if not isinstance(given, dict) or not isinstance(listed, list):
            raise HubRefused("the hub's answer lacks heads or entries", field="heads")
        heads, checkpoint = self._heads(given)  # (1) and (2)
        if heads.covers < kept.covers:
            raise _rolled_back("the heads cover fewer entries than before")
        tree, last, rows = kept.tree, kept.last, []
        for value in listed:
            index, entry = self._entry(value, checkpoint, heads, last)  # (3)
            tree, last = tree.append(leaf_hash(entry)), index
            rows.append((index, entry))
        more = page.get("next") is not None
        if more and not rows:
            raise HubRefused("the hub's page is empty and not the last", field="next")
        if not more:
            self._prove_whole(given, heads, tree)  # (4)
        found = Kept(tree, last, heads.covers if not more else kept.covers, given if not more else kept.heads)
        self._keep(found, rows, checkpoint)
        return found, more

    def _heads(self, given: Mapping[str, JsonValue]) -> tuple[Heads, Checkpoint]:
        entry = unb64u(given.get("entry"), field="heads.entry", limit=LIMITS.entry_bytes)
        proof = given.get("proof")
        if not isinstance(proof, str):
            raise Malformed("heads.proof: a text is needed", field="heads.proof")
        checkpoint = verify_entry(entry, proof, [self.session.profile.deployment.audit_vkey])
        check_canonical(entry, log=checkpoint.origin)
        heads = Heads.of_entry(entry)
        if heads is None:
            raise ProofInvalid("the hub's heads are another entry", field="heads.entry")
        if not 0 <= parse_proof(proof).index - heads.covers <= LAG:
            raise ProofInvalid("the heads cover too few entries, or more than were there", field="heads")
        return heads, checkpoint

    def _prove_whole(self, given: Mapping[str, JsonValue], heads: Heads, tree: Frontier) -> None:
        size, position, parties = (_number(given, name) for name in ("size", "position", "parties"))
        if size != tree.size:
            raise ProofInvalid(f"the heads count {size} entries, and the hub shows {tree.size}", field="size")
        salt = unb64u(given.get("salt"), field="heads.salt", length=SALT_BYTES)
        mine = Slice(self.session.profile.agency, size, tree.root(), salt)
        verify_slice(heads, mine, position, parties, _hashes(given.get("path")))

    def _entry(self, value: JsonValue, checkpoint: Checkpoint, heads: Heads, last: int) -> tuple[int, bytes]:
        if not isinstance(value, dict):
            raise Malformed("entries: an object is needed", field="entries")
        index = _number(value, "index")
        entry = unb64u(value.get("entry"), field="entry", limit=LIMITS.entry_bytes)
        check_canonical(entry, log=checkpoint.origin)
        if not last < index < heads.covers:
            raise ProofInvalid("an entry of the slice is out of its order, or not covered", field="index")
        self._must_be_ours(entry)
        path = _hashes(value.get("path"))
        verify_inclusion(index, checkpoint.size, leaf_hash(entry), path, checkpoint.root)
        return index, entry

    def _must_be_ours(self, entry: bytes) -> None:
        if self.session.profile.agency not in parties_of(entry):
            raise ProofInvalid("an entry of the slice does not name this agency", field="entry")

    # -- receipts --------------------------------------------------------------------------------------

    def _report(self, kept: Kept, new: int) -> SliceReport:
        receipts = self.session.receipts
        unsliced = receipts.unsliced()
        covered = [one for one in unsliced if one.size <= kept.covers]
        there = [one for one in covered if self._holds(one)]
        receipts.sliced(there)
        omitted = [one.key for one in covered if one not in there]  # (5)
        since = self.session.now() - timedelta(microseconds=LATE_US)
        waiting = [one.key for one in unsliced if one not in covered and one.at < since]  # (6)
        at = None if kept.heads is None else _time_of(kept.heads)
        return SliceReport(kept.tree.size, new, kept.covers, at, tuple(omitted), tuple(waiting))

    def _holds(self, one: OpenReceipt) -> bool:
        row = self.session.store.get(_ENTRIES, one.key)
        if row is None or row["index"] != one.size - 1:
            return False
        return unb64u(row["entry"], field="entry") == self.session.receipts.entry(one.key)

    # -- the store -------------------------------------------------------------------------------------

    def _kept(self) -> Kept:
        row = self.session.store.get(_STATE, _ONE)
        if row is None:
            return Kept(Frontier.empty(), -1, 0, None)
        size, last, covers = (_number(row, name) for name in ("size", "last", "covers"))
        frontier = unb64u(row["frontier"], field="frontier") if size else b""
        heads = row["heads"]
        return Kept(
            Frontier.from_bytes(frontier, size=size),
            last - 1,
            covers,
            heads if isinstance(heads, dict) else None,
        )

    def _keep(self, kept: Kept, rows: list[tuple[int, bytes]], checkpoint: Checkpoint) -> None:
        store = self.session.store
        with store.writing():
            self.session.receipts.see(checkpoint, self.session.now())
            for index, entry in rows:
                ident = Entry.from_bytes(entry).id
                if store.get(_ENTRIES, ident) is not None:
                    raise LogFork("the log has two entries with one id", field="id", rule="forked")
                store.put(_ENTRIES, ident, {"index": index, "entry": b64u(entry)})
            # One more than the last index: there is no number below 0 in the store's JSON.
            row: dict[str, JsonValue] = {
                "size": kept.tree.size,
                "frontier": b64u(kept.tree.to_bytes()),
                "last": kept.last + 1,
                "covers": kept.covers,
                "heads": None if kept.heads is None else dict(kept.heads),
            }
            store.put(_STATE, _ONE, row)


def _time_of(heads: Mapping[str, JsonValue]) -> datetime:
    stamp = Entry.from_bytes(unb64u(heads.get("entry"), field="heads.entry")).ts
    return datetime.fromtimestamp(stamp // 1_000_000, UTC)


def _number(value: Mapping[str, JsonValue], name: str) -> int:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise Malformed(f"{name}: a whole number is needed", field=name)
    return found


def _hashes(value: JsonValue) -> list[bytes]:
    if not isinstance(value, list) or len(value) > _PATH_MOST:
        raise Malformed("path: a list of hashes is needed", field="path")
    return [unb64u(item, field="path", length=HASH_BYTES) for item in value]


def _rolled_back(what: str) -> LogFork:
    return LogFork(
        f"audit log: {what}",
        field="heads",
        rule="rolled-back",
        hint="tell the commission and the auditors; keep this folder",
    )
