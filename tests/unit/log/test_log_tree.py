"""The tree against a literal reading of RFC 6962, and every way a proof can be wrong."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.log.tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    complete_root,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    node_hash,
    proof_at_append,
    root_from,
    root_of,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from exchange_schemas.errors import Malformed, ProofInvalid


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def split(count: int) -> int:
    size = 1
    while size * 2 < count:
        size *= 2
    return size


def naive_root(items: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, over leaf hashes."""
    if not items:
        return sha256(b"").digest()
    if len(items) == 1:
        return items[0]
    k = split(len(items))
    return sha256(b"\x01" + naive_root(items[:k]) + naive_root(items[k:])).digest()


def naive_path(index: int, items: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(items) == 1:
        return []
    k = split(len(items))
    if index < k:
        return [*naive_path(index, items[:k]), naive_root(items[k:])]
    return [*naive_path(index - k, items[k:]), naive_root(items[:k])]


def naive_subproof(first: int, items: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if first == len(items):
        return [] if whole else [naive_root(items)]
    k = split(len(items))
    if first <= k:
        return [*naive_subproof(first, items[:k], whole), naive_root(items[k:])]
    return [*naive_subproof(first - k, items[k:], False), naive_root(items[:k])]


class Nodes:
    """Stored complete subtrees; reading any other node fails the test."""

    def __init__(self, items: list[bytes]) -> None:
        self.levels = [items]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append(
                [node_hash(below[at], below[at + 1]) for at in range(0, len(below) // 2 * 2, 2)]
            )

    def __call__(self, level: int, index: int) -> bytes:
        return self.levels[level][index]


sizes = st.integers(min_value=0, max_value=300)


@given(sizes)
def test_root_is_that_of_rfc_6962(size: int) -> None:
    items = leaves(size)
    assert root_of(items) == naive_root(items)
    assert frontier_at(size, Nodes(items)) == Frontier.empty().extend(items)


@given(st.integers(0, 200), st.integers(0, 200))
def test_append_and_extend_agree_wherever_the_stream_is_cut(first: int, more: int) -> None:
    items = leaves(first + more)
    one_by_one = Frontier.empty()
    for item in items:
        one_by_one = one_by_one.append(item)
    assert Frontier.empty().extend(items[:first]).extend(items[first:]) == one_by_one
    assert one_by_one.size == len(items)


@given(sizes)
def test_frontier_survives_bytes(size: int) -> None:
    frontier = Frontier.empty().extend(leaves(size))
    data = frontier.to_bytes()
    assert len(data) == 32 * size.bit_count()
    assert Frontier.from_bytes(data, size=size) == frontier
    last = leaves(size + 1)[size]
    assert Frontier.ending_with(last, data, index=size) == frontier.append(last)


@pytest.mark.parametrize(
    ("data", "size"),
    [(b"", 1), (bytes(32), 0), (bytes(31), 1), (bytes(32), 3), (b"", -1), (bytes(32), 2**63)],
)
def test_frontier_bytes_of_another_size_are_refused(data: bytes, size: int) -> None:
    with pytest.raises(Malformed):
        Frontier.from_bytes(data, size=size)
    with pytest.raises(Malformed):
        Frontier.ending_with(bytes(32), data, index=size)


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    with pytest.raises(Malformed):
        Frontier.empty().append(bytes(31))


def test_a_full_tree_takes_no_leaf() -> None:
    full = Frontier(MAX_SIZE, bytes(32 * 63))
    with pytest.raises(Malformed):
        full.append(bytes(32))


@given(sizes)
def test_proof_at_append_proves_the_new_leaf(size: int) -> None:
    items = leaves(size + 1)
    old = Frontier.empty().extend(items[:size])
    proof = proof_at_append(old)
    assert proof == naive_path(size, items)
    verify_inclusion(size, size + 1, items[size], proof, old.append(items[size]).root())


@given(st.data())
def test_inclusion_proof_is_that_of_rfc_6962_and_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    items = leaves(size)
    proof = inclusion_proof(index, size, Nodes(items))
    assert proof == naive_path(index, items)
    verify_inclusion(index, size, items[index], proof, naive_root(items))


@given(st.data())
def test_consistency_proof_is_that_of_rfc_6962_and_verifies(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, 300))
    first = data.draw(st.integers(1, second))
    items = leaves(second)
    proof = consistency_proof(first, second, Nodes(items))
    assert proof == naive_subproof(first, items, True)
    verify_consistency(first, second, proof, naive_root(items[:first]), naive_root(items))


def test_every_small_pair_of_sizes_and_every_index() -> None:
    items = leaves(34)
    nodes = Nodes(items)
    for second in range(1, 35):
        root = root_of(items[:second])
        for first in range(1, second + 1):
            verify_consistency(
                first, second, consistency_proof(first, second, nodes), root_of(items[:first]), root
            )
            index = first - 1
            verify_inclusion(index, second, items[index], inclusion_proof(index, second, nodes), root)


@given(st.data())
def test_a_subtree_lies_in_its_tree(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    width = data.draw(st.integers(1, size))
    step = 1 << (width - 1).bit_length()
    start = step * data.draw(st.integers(0, (size - width) // step))
    end = start + width
    items = leaves(size)
    proof = naive_subtree_proof(start, end, items, True)
    root1, root2 = naive_root(items[start:end]), naive_root(items)
    verify_subtree_consistency(start, end, size, proof, root1=root1, root2=root2)
    index = data.draw(st.integers(start, end - 1))
    path = naive_path(index - start, items[start:end])
    verify_subtree_inclusion(index, start, end, items[index], path, root=root1)
    for broken in ([*proof, root1], proof[:-1], [bytes(32), *proof[1:]]):
        if broken != proof:
            with pytest.raises(ProofInvalid):
                verify_subtree_consistency(start, end, size, broken, root1=root1, root2=root2)


def naive_subtree_proof(start: int, end: int, items: list[bytes], whole: bool) -> list[bytes]:
    """SUBTREE_SUBPROOF of draft-ietf-plants-merkle-tree-certs, 4.4.1."""
    if start == 0 and end == len(items):
        return [] if whole else [naive_root(items)]
    k = split(len(items))
    if end <= k:
        return [*naive_subtree_proof(start, end, items[:k], whole), naive_root(items[k:])]
    if k <= start:
        return [*naive_subtree_proof(start - k, end - k, items[k:], whole), naive_root(items[:k])]
    return [*naive_subtree_proof(0, end - k, items[k:], False), naive_root(items[:k])]


@given(st.data())
def test_any_change_to_an_inclusion_claim_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 100))
    index = data.draw(st.integers(0, size - 1))
    items = leaves(size)
    root, leaf = naive_root(items), items[index]
    proof = naive_path(index, items)
    broken = [
        (index, size, leaf, [*proof, bytes(32)], root),
        (index, size, leaf, [bytes(32), *proof], root),
        (index, size, leaf_hash(b"another"), proof, root),
        (index, size, leaf, proof, bytes(32)),
        (index, size, leaf, proof, root[:31]),
        (index, size, leaf[:31], proof, root),
        (-1, size, leaf, proof, root),
        (size, size, leaf, proof, root),
        (index, 0, leaf, proof, root),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        broken += [
            (index, size, leaf, proof[:-1], root),
            (index, size, leaf, [*proof[:at], flipped, *proof[at + 1 :]], root),
            (index, size, leaf, [*proof[:at], proof[at] + b"\0", *proof[at + 1 :]], root),
            ((index + 1) % size, size, leaf, proof, root),
        ]
    for claim in broken:
        with pytest.raises(ProofInvalid):
            verify_inclusion(*claim)


@pytest.mark.parametrize(
    ("rule", "claim"),
    [
        ("T1-range", (3, 3, bytes(32), [], bytes(32))),
        ("T2-length", (0, 2, bytes(32), [], bytes(32))),
        ("T2-length", (0, 2, bytes(32), [bytes(32)] * 2, bytes(32))),
        ("T3-hash", (0, 2, bytes(31), [bytes(32)], bytes(32))),
        ("T3-hash", (0, 2, bytes(32), [bytes(33)], bytes(32))),
        ("T4-root", (0, 2, bytes(32), [bytes(32)], bytes(32))),
    ],
)
def test_an_inclusion_error_names_its_rule(
    rule: str, claim: tuple[int, int, bytes, list[bytes], bytes]
) -> None:
    with pytest.raises(ProofInvalid) as caught:
        verify_inclusion(*claim)
    assert caught.value.rule == rule


def test_a_consistency_error_names_its_rule() -> None:
    items = leaves(7)
    proof = consistency_proof(6, 7, Nodes(items))
    old, new = root_of(items[:6]), root_of(items)
    for rule, claim in {
        "T1-range": (0, 7, proof, old, new),
        "T2-length": (6, 7, [], old, new),
        "T3-hash": (6, 7, [b"", *proof[1:]], old, new),
        "T4-root": (6, 7, proof, old, old),
        "T5-old-root": (6, 7, proof, new, new),
    }.items():
        with pytest.raises(ProofInvalid) as caught:
            verify_consistency(*claim)
        assert caught.value.rule == rule


def test_sizes_out_of_order_are_refused_when_building() -> None:
    nodes = Nodes(leaves(4))
    for build in (
        lambda: consistency_proof(3, 2, nodes),
        lambda: inclusion_proof(4, 4, nodes),
        lambda: inclusion_proof(-1, 4, nodes),
        lambda: frontier_at(-1, nodes),
    ):
        with pytest.raises(ProofInvalid):
            build()


def test_consistency_with_the_empty_tree_has_no_proof_to_give_and_none_to_check() -> None:
    nodes = Nodes(leaves(4))
    assert consistency_proof(0, 4, nodes) == []
    assert consistency_proof(4, 4, nodes) == []
    with pytest.raises(ProofInvalid):
        verify_consistency(0, 4, [], EMPTY_ROOT, root_of(leaves(4)))


def test_an_unaligned_subtree_is_not_a_subtree() -> None:
    with pytest.raises(ProofInvalid) as caught:
        root_from(3, 2, 5, bytes(32), [bytes(32), bytes(32)])
    assert caught.value.rule == "T1-range"


@pytest.mark.parametrize("count", [1, 2, 4, 8, 256])
def test_a_full_row_has_the_same_root_level_by_level(count: int) -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(count)]
    assert complete_root(leaves) == root_of(leaves)
