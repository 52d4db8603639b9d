"""Slices and the heads over them: what is committed to, what a proof shows, what an entry may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.log.slices import Heads, Slice, is_heads, leaves_of, parties_of, path_to, verify_slice
from exchange.log.tree import inclusion_proof, node_hash, root_of
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import EntryInvalid, ProofInvalid
from exchange_schemas.ids import AgencyId


def slices(count: int) -> list[Slice]:
    return [
        Slice(f"ngo-{number:04}", number + 1, bytes([number % 256]) * 32, bytes([1, number % 256]) * 16)
        for number in range(count)
    ]


def entry(**changes: object) -> bytes:
    values: dict[str, object] = {
        "log": "test.example/audit",
        "id": b64u(bytes(16)),
        "ts": 1,
        "act": Act.SLICE_HEADS,
        "out": "allow",
        "pol": Heads(7, bytes(32)).to_tag(),
        "opr": "hub",
    }
    return Entry(**(values | changes)).to_bytes()  # type: ignore[arg-type]  # the members of a test's entry


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 255, 256, 257, 1000])
def test_each_party_proves_its_own_slice_and_no_other(count: int) -> None:
    made = slices(count)
    leaves = leaves_of(50, reversed(made))
    heads = Heads.over(50, made)
    assert heads.root == root_of(leaves)
    for position in {0, count // 2, count - 1}:
        mine, path = made[position], path_to(position, leaves)
        verify_slice(heads, mine, position, count, path)
        other = made[(position + 1) % count]
        wrong = [
            (Heads(49, heads.root), mine, position, path),
            (heads, Slice(mine.party, mine.size + 1, mine.root, mine.salt), position, path),
            (heads, Slice(mine.party, mine.size, bytes([9]) * 32, mine.salt), position, path),
            (heads, Slice(mine.party, mine.size, mine.root, bytes(32)), position, path),
            (heads, Slice("another", mine.size, mine.root, mine.salt), position, path),
            (heads, mine, position, [*path, bytes(32)]),
            (heads, mine, count, path),
        ]
        if count > 1:
            wrong.append((heads, other, position, path))
        for changed, one, at, proof in wrong:
            with pytest.raises(ProofInvalid):
                verify_slice(changed, one, at, count, proof)


@given(st.integers(1, 600), st.data())
def test_the_path_is_the_tree_s_own(count: int, data: st.DataObject) -> None:
    leaves = leaves_of(1, slices(count))
    at = data.draw(st.integers(0, count - 1))

    def read(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    assert path_to(at, leaves) == inclusion_proof(at, count, read)


def test_a_leaf_changes_with_what_is_covered_so_that_a_still_neighbour_looks_like_a_busy_one() -> None:
    (one,) = slices(1)
    assert one.leaf(1) != one.leaf(2)


def test_the_order_is_that_of_the_ids_as_bytes() -> None:
    made = [Slice(name, 1, bytes(32), bytes(32)) for name in ("ngo-b", "ngo", "ngo-a", "ngo0")]
    ordered = sorted(made, key=lambda one: one.party.encode())
    assert leaves_of(1, made) == [one.leaf(1) for one in ordered]
    assert [one.party for one in ordered] == ["ngo", "ngo-a", "ngo-b", "ngo0"]


def test_a_heads_entry_is_read_again_and_another_is_none() -> None:
    assert Heads.of_entry(entry()) == Heads(7, bytes(32))
    assert Heads.of_entry(entry(act=Act.HUB_START, pol=None)) is None
    assert is_heads(entry())


@pytest.mark.parametrize(
    "changes",
    [
        {"pol": None},
        {"pol": "7"},
        {"pol": f"07:{b64u(bytes(32))}"},
        {"pol": f"7:{b64u(bytes(33))}"},
        {"pol": f"9999999999999999999:{b64u(bytes(32))}"},
        {"own": (AgencyId("ngo-a"),)},
        {"out": "deny", "rsn": "FORBIDDEN"},
    ],
)
def test_a_heads_entry_that_says_nothing_readable_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EntryInvalid):
        Heads.of_entry(entry(**changes))


def test_the_parties_are_read_from_the_bytes() -> None:
    own = (AgencyId("embassy-a"), AgencyId("ngo-a"), AgencyId("ngo-b"))
    named = entry(act=Act.GRANT_FETCH, pol=None, opr=None, own=own, fld=("name_given", "sex"))
    assert parties_of(named) == own
    assert parties_of(entry()) == ()
    assert parties_of(b'{"n":1}') == ()
