"""Receipts held against witnessed checkpoints: each must be under one within five minutes, else an alarm.

A receipt proves that the hub signed a tree with the entry in it. Only a checkpoint that witnesses cosigned
proves that everybody is shown that same tree. So every tree that a receipt, or another answer, showed is
  open     it was seen, and no witnessed checkpoint continues it yet
  settled  a witnessed checkpoint continues it, by a proof over the log's own tiles; it is not asked again
and one that is open for longer than five minutes is an alarm. Without a policy nobody vouches for anything;
the trees are then only held against the log's present one, and stay open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from exchange.log.checkpoint import Checkpoint, open_checkpoint, parse_vkey
from exchange.log.note import NOTE_BYTES
from exchange.log.policy import Group, Policy, PolicyKey
from exchange.log.tiles import TILE_WIDTH, Tile, node_reader, tile_path
from exchange.log.tree import HASH_BYTES, consistency_proof, verify_consistency
from exchange.log.witnessing import AskWitness, merge_notes
from exchange.member.deployment import Deployment
from exchange.member.receipts import OpenReceipt, Receipts
from exchange_schemas.errors import ExchangeError, LogFork, Malformed, ProofInvalid

WITHIN: Final = timedelta(minutes=5)
LOG_PREFIX: Final = "/v1/audit/log/"
# A clock that is a little ahead is no lie.
_AHEAD: Final = timedelta(minutes=2)
_QUORUM: Final = "quorum"
_TILES: Final = 256


class TileSource(Protocol):
    """The calls of `exchange.member.transport.Transport` that this needs."""

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """GET a binary answer of at most `limit` bytes."""

    def get_text(self, path: str, *, limit: int) -> str:
        """GET a public text of at most `limit` bytes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found.

    `size`: of the tree that the receipts were held against. `witnessed`: when a quorum cosigned it; None when
    no policy asks for one, or it is not met. `judged`: whether there was a policy. `settled`, `open`: how
    many trees. `late`: those that are open for more than five minutes.
    """

    size: int
    judged: bool
    witnessed: datetime | None
    settled: int
    open: int
    late: tuple[OpenReceipt, ...]


def policy_of(deployment: Deployment) -> Policy | None:
    """The policy that the pinned deployment names witnesses for; None when it names none."""
    if deployment.audit_witnesses is not None:
        return deployment.audit_witnesses.policy(deployment.audit_vkey)
    named = deployment.witnesses
    if named is None:
        return None
    log = PolicyKey(parse_vkey(deployment.audit_vkey))
    witnesses = {f"w{number}": PolicyKey(key) for number, key in enumerate(named.witnesses)}
    return Policy((log,), witnesses, {_QUORUM: Group(named.needed, tuple(witnesses))}, _QUORUM)


def look(
    receipts: Receipts,
    source: TileSource,
    vkey: str,
    *,
    policy: Policy | None,
    ask: AskWitness,
    now: datetime,
) -> Seen:
    """Hold every open tree against the newest checkpoint that the policy's quorum cosigned.

    Raises: LogFork when one of them is not a prefix of it; CheckpointInvalid; HubUnreachable.
    """
    shown = source.get_text(LOG_PREFIX + "checkpoint", limit=NOTE_BYTES)
    note, when = (shown, None) if policy is None else _witnessed(shown, vkey, policy, ask, now)
    tree = open_checkpoint(note, [vkey])
    waiting = receipts.open()
    reached = [one for one in waiting if one.size <= tree.size]
    prove_prefixes(source, tree, [Checkpoint(tree.origin, one.size, one.root) for one in reached])
    vouched = policy is not None and (when is not None or policy.quorum == "none")
    if vouched:
        receipts.settle(reached)
    left = [one for one in waiting if not vouched or one.size > tree.size]
    late = () if policy is None else tuple(one for one in left if not -_AHEAD < now - one.at <= WITHIN)
    return Seen(tree.size, policy is not None, when, len(waiting) - len(left), len(left), late)


def prove_prefixes(source: TileSource, tree: Checkpoint, older: Iterable[Checkpoint]) -> None:
    """Prove that each of these trees, none larger, is a prefix of `tree`, over the log's tiles.

    Raises: LogFork.
    """

    prove = prefix_prover(source, tree)
    for one in older:
        try:
            prove(one)
        except ProofInvalid as error:
            raise LogFork(
                f"the log of {tree.size} entries does not continue the tree of {one.size} that it signed",
                field="checkpoint",
                rule="forked",
                hint="stop using this hub and tell the commission: it shows different logs",
            ) from error


def prefix_prover(source: TileSource, tree: Checkpoint) -> Callable[[Checkpoint], list[bytes]]:
    """Gives the proof, which holds, that an older tree is a prefix of `tree`, over the log's tiles.

    What it gives raises: ProofInvalid; NotFound when the log has fewer tiles.
    """

    @lru_cache(maxsize=_TILES)
    def load(tile: Tile) -> bytes:
        return read_tile(source, tile)

    read = node_reader(tree.size, load)

    def prove(one: Checkpoint) -> list[bytes]:
        proof = consistency_proof(one.size, tree.size, read)
        verify_consistency(one.size, tree.size, proof, one.root, tree.root)
        return proof

    return prove


def read_tile(source: TileSource, tile: Tile) -> bytes:
    """A hash tile of the hub's, which any member may read. Raises: NotFound beyond its log."""
    path = LOG_PREFIX + tile_path(tile.level, tile.n, tile.width)
    return source.get_bytes(path, limit=TILE_WIDTH * HASH_BYTES)


def _witnessed(
    shown: str, vkey: str, policy: Policy, ask: AskWitness, now: datetime
) -> tuple[str, datetime | None]:
    """The checkpoint that a quorum cosigned, the newest known; the shown one when there is none."""
    best, when = shown, policy.judge_cosignatures(shown, now).when
    size = open_checkpoint(shown, [vkey]).size
    if policy.quorum == "none" or (when is not None and now - when <= WITHIN):
        return best, when
    found = -1 if when is None else size
    for note in _from_witnesses(shown, vkey, policy, ask):
        judged = policy.judge_cosignatures(note, now).when
        of = open_checkpoint(note, [vkey]).size
        if judged is not None and of > found:
            best, when, found = note, judged, of
    return best, when


def _from_witnesses(shown: str, vkey: str, policy: Policy, ask: AskWitness) -> list[str]:
    """What the witnesses themselves show, the same checkpoint's cosignatures together."""
    notes = [shown]
    origin = vkey.partition("+")[0]
    for witness in policy.witnesses.values():
        if witness.url is None:
            continue
        try:
            note = ask(witness.url, origin)
            if note is not None:
                open_checkpoint(note, [vkey])
                notes = _with(notes, note)
        except ExchangeError:
            # A witness that is down, or shows what the log did not sign, vouches for nothing.
            continue
    return notes


def _with(notes: list[str], note: str) -> list[str]:
    for number, known in enumerate(notes):
        try:
            merged = merge_notes(known, note)
        except Malformed:
            continue
        return [*notes[:number], merged, *notes[number + 1 :]]
    return [*notes, note]
