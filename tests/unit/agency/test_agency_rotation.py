"""The rules of changing a key: every order of facts ends, and no calm change loses what is in flight."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import product

import pytest

from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, ROOT, KeyState, KeyStatus
from exchange.member.rotation import (
    COMPROMISED,
    ROTATED,
    USES,
    Facts,
    Step,
    drain_until,
    due_at,
    next_step,
    steps_of,
)
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import AgencyId

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACTIVE, DRAINING, REVOKED = KeyStatus.ACTIVE, KeyStatus.DRAINING, KeyStatus.REVOKED
PUBLIC = SigningKey.from_seed(bytes(32)).public
EVERY = [
    Facts(logged, taken_up, old, emptied, held)
    for logged, taken_up, emptied, held in product((False, True), repeat=4)
    for old in ((), (ACTIVE,), (DRAINING,), (REVOKED,), (ACTIVE, REVOKED), (DRAINING, ACTIVE))
]


def after(facts: Facts, step: Step) -> Facts:
    """What a step leaves behind."""
    drained = tuple(DRAINING if one is ACTIVE else one for one in facts.old)
    return {
        Step.TAKE_UP: replace(facts, taken_up=True),
        Step.LOG_NEW: replace(facts, logged=True),
        Step.DRAIN: replace(facts, old=drained),
        Step.EMPTY: replace(facts, emptied=True),
        Step.REVOKE: replace(facts, old=tuple(REVOKED for _ in facts.old)),
        Step.DELETE: replace(facts, held=False),
    }[step]


def way(use: str, reason: str, facts: Facts) -> list[Step]:
    """The steps from these facts to the end."""
    found: list[Step] = []
    while (step := next_step(use, reason, facts)) is not None:
        found.append(step)
        assert len(found) <= len(Step), found
        facts = after(facts, step)
    return found


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("reason", [ROTATED, COMPROMISED])
def test_from_any_facts_the_change_ends_with_every_step_done(use: str, reason: str) -> None:
    for begun in EVERY:
        steps = way(use, reason, begun)
        assert len(set(steps)) == len(steps)
        ended = reduce(after, steps, begun)
        assert all(ended.done(step) for step in steps_of(use, reason))


def test_a_calm_change_revokes_an_enc_key_only_when_it_is_drained_and_empty() -> None:
    for facts in EVERY:
        if next_step(ENC, ROTATED, facts) is Step.REVOKE:
            assert facts.emptied
            assert ACTIVE not in facts.old


def test_an_enc_key_opens_before_anybody_can_seal_to_it() -> None:
    assert all(facts.taken_up for facts in EVERY if next_step(ENC, ROTATED, facts) is Step.LOG_NEW)


@pytest.mark.parametrize("use", [ENVELOPE, AUTH, APPROVER])
@pytest.mark.parametrize("reason", [ROTATED, COMPROMISED])
def test_a_key_that_signs_is_used_only_once_it_is_logged(use: str, reason: str) -> None:
    assert all(facts.logged for facts in EVERY if next_step(use, reason, facts) is Step.TAKE_UP)


@pytest.mark.parametrize("use", [ENVELOPE, APPROVER])
def test_what_a_key_signed_goes_on_counting_after_a_calm_change(use: str) -> None:
    assert Step.REVOKE not in steps_of(use, ROTATED)


@pytest.mark.parametrize("use", [ENC, ENVELOPE, APPROVER])
def test_a_stolen_key_is_revoked_first(use: str) -> None:
    assert steps_of(use, COMPROMISED)[0] is Step.REVOKE


def test_the_way_to_log_in_is_never_revoked_before_there_is_another() -> None:
    for reason in (ROTATED, COMPROMISED):
        assert all(
            facts.logged and facts.taken_up
            for facts in EVERY
            if next_step(AUTH, reason, facts) is Step.REVOKE
        )


def test_a_secret_goes_last() -> None:
    for use, reason in product((ENC, ENVELOPE, AUTH), (ROTATED, COMPROMISED)):
        assert steps_of(use, reason)[-1] is Step.DELETE


def key(use: str, *, days: int = 730, status: KeyStatus = ACTIVE) -> KeyState:
    end = NOW + timedelta(days=days)
    return KeyState(PUBLIC.kid, AgencyId("ngo"), use, PUBLIC, status, nbf=NOW, exp=end)


def test_a_drained_enc_key_opens_for_30_days_and_a_signing_key_counts_to_its_end() -> None:
    assert drain_until(key(ENC), NOW) == NOW + timedelta(days=30)
    assert drain_until(key(ENC, days=9), NOW) == NOW + timedelta(days=9)
    assert drain_until(key(ENVELOPE), NOW) == NOW + timedelta(days=730)
    assert drain_until(replace(key(ENC), exp=None), NOW) == NOW + timedelta(days=30)


def test_a_change_is_due_after_a_year_and_well_before_the_end() -> None:
    assert due_at(key(ENC)) == NOW + timedelta(days=365)
    assert due_at(key(ENC, days=100)) == NOW + timedelta(days=40)
    assert due_at(key(ENC, status=DRAINING)) is None
    assert due_at(replace(key(ROOT), nbf=None, exp=None)) is None
    assert due_at(replace(key(ENC), exp=None)) == NOW + timedelta(days=365)
