"""What the hub destroys: nothing that somebody may still be given, and everything else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.hub.services.retention_rules import KeptGrant, commitment, over, to_unseal
from exchange_schemas.ids import AgencyId, Digest, GrantId

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEEP = timedelta(days=30)
ME, YOU, THIRD = AgencyId("ngo"), AgencyId("embassy"), AgencyId("commission")


def kept(gid: str = "g", rcp: AgencyId = YOU, **changes: Any) -> KeptGrant:
    values: dict[str, Any] = {
        "gid": GrantId(gid),
        "snd": ME,
        "rcp": rcp,
        "deposited": NOW - timedelta(days=40),
        "dies": NOW + timedelta(days=10),
        "receipted": False,
        "withdrawn": False,
        "key_revoked": False,
        "sealed": True,
        "head": False,
    }
    return KeptGrant(**(values | changes))


OWN = kept("own", rcp=ME)


def judged(*grants: KeptGrant) -> set[str]:
    return set(over(grants, now=NOW, keep=KEEP))


def test_what_may_still_be_given_is_kept_with_the_senders_own_grant() -> None:
    assert judged(kept(), OWN) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"dies": NOW},
        {"dies": NOW - timedelta(seconds=1)},
        {"withdrawn": True},
        {"receipted": True},
        {"receipted": True, "deposited": NOW - KEEP},
    ],
)
def test_each_rule_ends_a_grant_and_with_the_last_one_the_envelope(changes: dict[str, Any]) -> None:
    assert judged(kept(**changes), OWN) == {"g", "own"}
    assert judged(kept(**changes), kept("h", THIRD), OWN) == {"g"}


@pytest.mark.parametrize(
    "changes",
    [
        {"dies": NOW + timedelta(seconds=1)},
        {"receipted": True, "deposited": NOW - KEEP + timedelta(seconds=1)},
    ],
)
def test_a_second_before_it_is_kept(changes: dict[str, Any]) -> None:
    assert judged(kept(**changes), OWN) == set()


def test_a_receipt_of_the_sender_itself_ends_nothing() -> None:
    assert judged(kept(), replace(OWN, receipted=True)) == set()


def test_the_head_of_a_chain_and_what_is_gone_are_left_alone() -> None:
    ended = {"g", "h", "i"}
    grants = [kept("g", head=True), kept("h", sealed=False), kept("i")]
    assert to_unseal(grants, ended) == ["i"]  # type: ignore[arg-type]


def test_keys_sealed_to_a_revoked_key_go_while_the_envelope_stays() -> None:
    grants = [kept(key_revoked=True), OWN]
    ended = over(grants, now=NOW, keep=KEEP)
    assert ended == frozenset()
    assert to_unseal(grants, ended) == ["g"]


def test_commitments_tell_kinds_apart() -> None:
    digest = Digest("D" * 42 + "A")
    assert commitment("grant", digest) != commitment("part", digest)
    assert len(commitment("grant", digest)) == 43


grants = st.lists(
    st.builds(
        kept,
        gid=st.text("abcdef", min_size=1, max_size=4),
        rcp=st.sampled_from([ME, YOU, THIRD]),
        dies=st.sampled_from([NOW - KEEP, NOW, NOW + KEEP]),
        deposited=st.sampled_from([NOW - 2 * KEEP, NOW]),
        receipted=st.booleans(),
        withdrawn=st.booleans(),
        key_revoked=st.booleans(),
    ),
    min_size=1,
    unique_by=lambda one: one.gid,
)


@given(grants, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_what_is_over_stays_over(found: list[KeptGrant], later: timedelta) -> None:
    assert over(found, now=NOW, keep=KEEP) <= over(found, now=NOW + later, keep=KEEP)


@given(grants)
def test_nothing_that_may_be_given_goes(found: list[KeptGrant]) -> None:
    ended = over(found, now=NOW, keep=KEEP)
    for one in found:
        if one.rcp != ME and one.dies > NOW and not one.withdrawn and not one.receipted:
            assert one.gid not in ended
