"""The Merkle tree of RFC 6962 with SHA-256: hashes, the growing edge, proofs and their verification.

Everything here is a pure function of hashes: it must never read a clock, a file or a database, and must
never accept a proof that it did not use up to the last hash.

Words. A *complete subtree* of level l holds exactly 2^l leaves and starts at a multiple of 2^l; node (l, i)
is the hash of the one that starts at leaf i * 2^l. The *frontier* of a tree is the row of its largest
complete subtrees from left to right: enough to append, to give the root and to prove the next leaf.
A *subtree* [start, end) is valid when start is a multiple of the smallest power of two that is not below
end - start (draft-ietf-plants-merkle-tree-certs, 4.1); a tree of size n is the subtree [0, n).
Sizes and indexes are counts of leaves; every hash has 32 bytes.

Every `ProofInvalid` carries the rule that failed:
  T1-range    an index or a size is impossible, or the subtree is not a valid one
  T2-length   the proof has too few or too many hashes
  T3-hash     a hash in the proof, or the leaf's, does not have 32 bytes
  T4-root     the recomputed root is not the given one
  T5-old-root the recomputed root of the older tree is not the given one
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple, Self

from exchange_schemas.errors import Malformed, ProofInvalid

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**63 - 1
"""The largest tree: what a signed 64-bit column holds."""
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962, 2.1)."""

ReadNode = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree (level, index)."""


# A copy of a hash that has its first byte costs less than to begin anew: a log is millions of such hashes.
_new_leaf: Final = sha256(b"\x00").copy
_new_node: Final = sha256(b"\x01").copy


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 ‖ data) (RFC 6962, 2.1)."""
    leaf = _new_leaf()
    leaf.update(data)
    return leaf.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962, 2.1)."""
    node = _new_node()
    node.update(left + right)
    return node.digest()


# -- the growing edge ----------------------------------------------------------------------------------


class Frontier(NamedTuple):
    """The right edge of a tree of `size` leaves: its largest complete subtrees.

    `packed`: their hashes one after another, 32 bytes each, the largest subtree first.
    """

    size: int
    packed: bytes

    @classmethod
    def empty(cls) -> Self:
        """The frontier of the tree without leaves."""
        return cls(0, b"")

    @classmethod
    def from_bytes(cls, packed: bytes, *, size: int) -> Self:
        """Read what `to_bytes` wrote for a tree of `size` leaves.

        Raises: Malformed when size and length do not belong together.
        """
        _check_packed(packed, size)
        return cls(size, packed)

    @classmethod
    def ending_with(cls, leaf: bytes, before: bytes, *, index: int) -> Self:
        """The frontier after the leaf with this hash and index, from the stored one before it.

        Raises: Malformed as `from_bytes` and `append`.
        """
        _check_packed(before, index)
        return cls(index + 1, _grown(before, index, leaf))

    def to_bytes(self) -> bytes:
        """As it is stored: `packed`; the size is not in it."""
        return self.packed

    @property
    def hashes(self) -> list[bytes]:
        """The hash of each subtree, the largest first."""
        return split_hashes(self.packed)

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier after one more leaf, given by its hash.

        Raises: Malformed when the hash has another length or the tree is full.
        """
        return Frontier(self.size + 1, _grown(self.packed, self.size, leaf))

    def extend(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        """As `append` of one leaf after another, faster; constant memory, one inner hash for each leaf.

        The lengths of the hashes are the caller's matter: this is the loop that a whole log runs through.
        Raises: Malformed when the tree is full.
        """
        stack = self.hashes
        size = self.size
        for leaf in leaf_hashes:
            node, carry = leaf, size
            while carry & 1:
                inner = _new_node()
                inner.update(stack.pop() + node)
                node = inner.digest()
                carry >>= 1
            stack.append(node)
            size += 1
        if size > MAX_SIZE:
            raise Malformed("frontier: the tree is full", field="size")
        return Frontier(size, b"".join(stack))

    def root(self) -> bytes:
        """The root of the tree (RFC 6962, 2.1)."""
        if not self.packed:
            return EMPTY_ROOT
        *lefts, root = self.hashes
        for left in reversed(lefts):
            root = node_hash(left, root)
        return root


def split_hashes(row: bytes) -> list[bytes]:
    """The hashes that stand in a row, 32 bytes each."""
    return [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]


def _check_packed(packed: bytes, size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise Malformed("frontier: the size is out of range", field="size")
    if len(packed) != HASH_BYTES * size.bit_count():
        raise Malformed("frontier: its length does not fit the size", field="frontier")


def _grown(packed: bytes, size: int, leaf: bytes) -> bytes:
    """The packed frontier of a tree of `size` leaves after one more."""
    if len(leaf) != HASH_BYTES:
        raise Malformed("frontier: a leaf hash has 32 bytes", field="leaf")
    if size >= MAX_SIZE:
        raise Malformed("frontier: the tree is full", field="size")
    node = leaf
    # Each trailing one bit of the size is a complete subtree that now gets its right sibling.
    while size & 1:
        # `node_hash`, written out: the call would cost a tenth of the hash.
        inner = _new_node()
        inner.update(packed[-HASH_BYTES:] + node)
        packed, node, size = packed[:-HASH_BYTES], inner.digest(), size >> 1
    return packed + node


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over a stream of leaf hashes, in constant memory."""
    return Frontier.empty().extend(leaf_hashes).root()


def complete_root(row: Sequence[bytes]) -> bytes:
    """As `root_of`, faster, for a row in memory whose length is a power of two: a tile, level by level."""
    while len(row) > 1:
        row = [*map(node_hash, row[::2], row[1::2])]
    return row[0]


def proof_at_append(old: Frontier) -> list[bytes]:
    """The inclusion proof of leaf `old.size` in the tree of size `old.size + 1`.

    The new leaf is the rightmost, so its siblings are exactly the old frontier, the smallest first.
    """
    return old.hashes[::-1]


# -- building proofs from stored nodes -----------------------------------------------------------------


def frontier_at(size: int, read: ReadNode) -> Frontier:
    """The frontier of the tree's first `size` leaves, read from stored nodes.

    Raises: ProofInvalid (T1-range).
    """
    _check_range(0 <= size <= MAX_SIZE, "the size is out of range")
    hashes = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(read(level, start >> level))
            start += 1 << level
    return Frontier(size, b"".join(hashes))


def inclusion_proof(index: int, size: int, read: ReadNode) -> list[bytes]:
    """The audit path of leaf `index` in a tree of `size` leaves, the leaf's sibling first (RFC 6962, 2.1.1).

    `read` is asked for complete subtrees inside the tree only. Raises: ProofInvalid (T1-range).
    """
    _check_range(0 <= index < size <= MAX_SIZE, "the index is not in the tree")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
    return path[::-1]


def consistency_proof(first: int, second: int, read: ReadNode) -> list[bytes]:
    """The proof that the tree of `first` leaves is a prefix of the one of `second` (RFC 6962, 2.1.2).

    Empty when the sizes are equal or `first` is 0: every tree continues the empty one.
    `read` is asked for complete subtrees inside the larger tree only. Raises: ProofInvalid (T1-range).
    """
    _check_range(0 <= first <= second <= MAX_SIZE, "the first size is over the second")
    if first in (0, second):
        return []
    path = []
    start, end = 0, second
    whole = True
    while end != first:
        middle = start + _left_size(end - start)
        if first <= middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
            whole = False
    if not whole:
        # The verifier does not hold this node by itself: it is only a part of the old root.
        path.append(_range_hash(start, end, read))
    return path[::-1]


def _left_size(count: int) -> int:
    """The largest power of two below `count` (at least 2): where RFC 6962 splits a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(start: int, end: int, read: ReadNode) -> bytes:
    """The root over leaves [start, end), a valid subtree, from its complete subtrees."""
    row = []
    while start < end:
        level = (end - start).bit_length() - 1
        row.append(read(level, start >> level))
        start += 1 << level
    root = row.pop()
    while row:
        root = node_hash(row.pop(), root)
    return root


# -- verifying -----------------------------------------------------------------------------------------


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Prove that the leaf with hash `leaf` is at `index` in the tree of `size` leaves with this root.

    Source: RFC 9162, 2.1.3.2. Raises: ProofInvalid.
    """
    verify_subtree_inclusion(index, 0, size, leaf, proof, root=root)


def verify_consistency(first: int, second: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Prove that the tree of `first` leaves (at least one) with `root1` is a prefix of the other one.

    Nothing can be proved about an empty tree, so `first` = 0 is refused: a caller without a pin takes the
    signed checkpoint as its first. Source: RFC 9162, 2.1.4.2. Raises: ProofInvalid.
    """
    _check_range(first > 0, "an empty tree proves nothing")
    verify_subtree_consistency(0, first, second, proof, root1=root1, root2=root2)


def verify_subtree_inclusion(
    index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes], *, root: bytes
) -> None:
    """Prove that the leaf with hash `leaf` is at `index` in the subtree [start, end) with this root.

    Source: draft-ietf-plants-merkle-tree-certs, 4.3.2. Raises: ProofInvalid.
    """
    if not compare_digest(root_from(index, start, end, leaf, proof), root):
        raise ProofInvalid("the inclusion proof does not lead to the root", rule="T4-root")


def root_from(index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root of [start, end) that this inclusion proof leads to; it proves nothing until compared.

    Raises: ProofInvalid (T1-range, T2-length, T3-hash).
    """
    _check_subtree(start, end)
    _check_range(start <= index < end, "the index is not in the tree")
    _check_hashes((leaf, *proof))
    here, last = index - start, end - start - 1
    root = leaf
    for sibling in proof:
        _check_length(last > 0)
        if here & 1 or here == last:
            root = node_hash(sibling, root)
            # A rightmost node without a sibling moves up unchanged until it is a right child.
            while not here & 1:
                here, last = here >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        here, last = here >> 1, last >> 1
    _check_length(last == 0)
    return root


def verify_subtree_consistency(
    start: int, end: int, size: int, proof: Sequence[bytes], *, root1: bytes, root2: bytes
) -> None:
    """Prove that the subtree [start, end) with `root1` lies in the tree of `size` leaves with `root2`.

    An empty subtree lies in every tree: its root must be the empty root and the proof empty.
    Source: draft-ietf-plants-merkle-tree-certs, 4.4.3. Raises: ProofInvalid.
    """
    _check_range(0 <= start <= end <= size <= MAX_SIZE, "the sizes do not ascend")
    if start == end:
        _check_length(not proof)
        _check_root(EMPTY_ROOT, root1, "T5-old-root")
        return
    _check_subtree(start, end)
    _check_hashes(proof)
    old, new = _consistent_roots(start, end, size, proof, root1)
    _check_root(old, root1, "T5-old-root")
    _check_root(new, root2, "T4-root")


def _consistent_roots(
    start: int, end: int, size: int, proof: Sequence[bytes], root1: bytes
) -> tuple[bytes, bytes]:
    """The roots of [start, end) and of the tree that the proof leads to."""
    first, last, top = start, end - 1, size - 1
    # Climb to the largest node that is the right end of the old subtree and is unchanged in the new tree.
    while first != last and (last == top or last & 1):
        first, last, top = first >> 1, last >> 1, top >> 1
    rest = iter(proof)
    if first == last:
        old = new = root1
    else:
        _check_length(len(proof) > 0)
        old = new = next(rest)
    for sibling in rest:
        _check_length(top > 0)
        if last & 1 or last == top:
            if first < last:
                old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not last & 1:
                first, last, top = first >> 1, last >> 1, top >> 1
        else:
            new = node_hash(new, sibling)
        first, last, top = first >> 1, last >> 1, top >> 1
    _check_length(top == 0)
    return old, new


def _check_range(holds: bool, what: str) -> None:
    if not holds:
        raise ProofInvalid(f"proof: {what}", rule="T1-range")


def _check_length(holds: bool) -> None:
    if not holds:
        raise ProofInvalid("proof: too few or too many hashes", rule="T2-length")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofInvalid("proof: a hash does not have 32 bytes", rule="T3-hash")


def _check_root(computed: bytes, given: bytes, rule: str) -> None:
    if not compare_digest(computed, given):
        raise ProofInvalid("the consistency proof does not lead to the root", rule=rule)


def _check_subtree(start: int, end: int) -> None:
    """A valid subtree: not empty, and starting at a multiple of the power of two that covers it."""
    _check_range(0 <= start < end <= MAX_SIZE, "the subtree is empty or out of range")
    _check_range(start % (1 << (end - start - 1).bit_length()) == 0, "not a valid subtree")
