"""The enrolment bundle: it holds together, or it is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.directory import events
from exchange.directory.enrolment import CheckedEnrolment, NewKey, build_bundle, check_bundle, fingerprint
from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE
from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import Signer
from exchange_schemas.enrolment import Enrolment, EnrolmentKey, Root
from exchange_schemas.errors import (
    Conflict,
    ExchangeError,
    KeyWrongUse,
    KidUnknown,
    Malformed,
    ManifestMismatch,
    OriginMismatch,
    PartMissing,
    Replay,
    SenderMismatch,
    SigInvalid,
)
from exchange_schemas.limits import LIMITS
from tests.unit.directory.applying import apply_event
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    ORIGIN,
    START,
    YEAR,
    Deployment,
    public_key,
    root_key,
    signing_key,
)

NOW = START + timedelta(days=1)
USES = (APPROVER, ENVELOPE, ENC, AUTH)
ROOT_KEY = root_key(ALPHA)


def new_key(use: str, name: str = "1", **changes: Any) -> NewKey:
    holder = "p-1" if use == APPROVER else None
    return replace(NewKey(use, public_key(use, ALPHA, name), START, START + YEAR, holder), **changes)


def bundle(**changes: Any) -> Signed:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "iat": NOW,
        "agency": ALPHA,
        "name": "Agency alpha",
        "kind": "ngo",
        "country": "DE",
        "public_authority": False,
        "contact": "office@alpha.test",
        "root": ROOT_KEY,
        "keys": [new_key(use) for use in USES],
    }
    return build_bundle(**(values | changes))


def check(signed: Signed) -> CheckedEnrolment:
    return check_bundle(signed, origin=ORIGIN, now=NOW)


def resigned(
    change: Callable[[Enrolment], Enrolment], signers: tuple[Signer, ...] = ROOT_KEY.signers
) -> Signed:
    """The good bundle with a change, signed anew."""
    changed = change(Enrolment.from_bytes(bundle().payload))
    return jws.sign(changed.to_bytes(), "hx-enrol", signers)


def refused(signed: Signed, error: type[ExchangeError], rule: str | None = None) -> None:
    with pytest.raises(error) as caught:
        check(signed)
    assert type(caught.value) is error
    assert rule is None or caught.value.rule == rule


def test_a_good_bundle_is_accepted_and_its_events_can_be_logged_as_they_are() -> None:
    signed = Signed.from_bytes(bundle().to_bytes(), LIMITS.enrolment_bytes)
    checked = check(signed)
    assert checked.root == ROOT_KEY.public.digest
    assert checked.fingerprint == fingerprint(ROOT_KEY.public.digest)
    assert sorted(key.use for key in checked.agency.keys.values()) == sorted([*USES, "root", "root"])
    world = Deployment().begin()
    world.apply(world.admit(root=checked.root))
    for event, key_bytes in checked.events:
        world.state = apply_event(world.state, event, key_bytes, now=NOW)
    assert world.state.agencies[ALPHA].keys == checked.agency.keys
    assert world.state.agencies[ALPHA].root == checked.root


def test_more_keys_than_needed_are_welcome() -> None:
    keys = [new_key(use) for use in USES] + [new_key(ENC, "2"), new_key(APPROVER, "2")]
    assert len(check(bundle(keys=keys)).events) == 7


def test_the_fingerprint_is_eight_groups_of_four_and_changes_with_every_root() -> None:
    one = fingerprint(ROOT_KEY.public.digest)
    assert [len(group) for group in one.split("-")] == [4] * 8
    assert set(one) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-")
    assert one != fingerprint(root_key(BETA).public.digest)
    with pytest.raises(Malformed):
        fingerprint(ROOT_KEY.public.digest[:-1])  # type: ignore[arg-type]  # what somebody mistyped


def test_e1_a_bundle_is_for_one_deployment_and_one_purpose() -> None:
    refused(bundle(origin="other.test"), OriginMismatch)
    refused(
        jws.sign(bundle().payload.replace(b"hx-enrol", b"hx-event"), "hx-event", ROOT_KEY.signers), Malformed
    )


def test_e2_both_keys_of_the_root_inside_sign_and_nobody_else() -> None:
    for half in ROOT_KEY.signers:
        refused(resigned(lambda same: same, (half,)), SenderMismatch, "E2-signature")
    refused(resigned(lambda same: same, root_key(BETA).signers), KidUnknown)
    refused(resigned(lambda same: same, (*ROOT_KEY.signers, signing_key("eve"))), KidUnknown)
    signed = bundle()
    refused(Signed(signed.payload.replace(b"office@", b"0ffice@"), signed.signatures), SigInvalid)


def test_e3_the_root_set_comes_first_and_once_and_the_rest_are_keys_of_this_agency() -> None:
    other = Enrolment.from_bytes(bundle(agency=BETA).payload).events
    world = Deployment()
    revoked = world.revoke().to_json()
    for change in (
        lambda good: replace(good, events=good.events[1:]),
        lambda good: replace(good, events=good.events[::-1]),
        lambda good: replace(good, events=(good.events[0], *good.events)),
        lambda good: replace(good, events=(*good.events, revoked)),
        lambda good: replace(good, events=other),
    ):
        refused(resigned(change), Malformed, "E3-events")


def test_e3_the_root_that_is_set_is_the_one_that_signs_the_bundle() -> None:
    def other_root(good: Enrolment) -> Enrolment:
        beta = root_key(BETA)
        first = events.root_set_event(
            origin=ORIGIN, iat=NOW, agency=ALPHA, root=beta.public, signers=beta.signers
        )
        keys = (*good.keys, EnrolmentKey(kid=beta.public.mldsa65.kid, key=beta.public.mldsa65.raw))
        return replace(good, events=(first.to_json(), *good.events[1:]), keys=keys)

    refused(resigned(other_root), SenderMismatch, "E3-events")

    def other_ed25519(good: Enrolment) -> Enrolment:
        return replace(good, root=Root(ed25519=signing_key("eve").public.raw, mldsa65=good.root.mldsa65))

    signers = (signing_key("eve"), ROOT_KEY.signers[1])
    refused(resigned(other_ed25519, signers), SenderMismatch, "E3-events")


def test_e3_a_root_set_of_another_root_is_refused_even_signed_by_this_one() -> None:
    def wrong_half(good: Enrolment) -> Enrolment:
        public = replace(ROOT_KEY.public, ed25519=signing_key("eve").public)
        first = events.root_set_event(
            origin=ORIGIN, iat=NOW, agency=ALPHA, root=public, signers=ROOT_KEY.signers
        )
        return replace(good, events=(first.to_json(), *good.events[1:]))

    refused(resigned(wrong_half), KidUnknown, "D06-signer")


def test_e3_every_event_is_signed_by_the_root_alone() -> None:
    def by_approver(good: Enrolment) -> Enrolment:
        key = public_key(ENC, ALPHA, "2")
        event = events.key_event(
            origin=ORIGIN,
            iat=NOW,
            agency=ALPHA,
            use=ENC,
            key=key,
            nbf=START,
            exp=START + YEAR,
            signers=[signing_key(APPROVER, ALPHA, "1")],
        )
        return replace(
            good,
            events=(*good.events, event.to_json()),
            keys=(*good.keys, EnrolmentKey(kid=key.kid, key=key.raw)),
        )

    refused(resigned(by_approver), SenderMismatch, "E3-events")


def test_e3_the_directorys_rules_hold_for_every_event() -> None:
    keys = [new_key(use) for use in USES]
    good = public_key(ENC, ALPHA, "1").raw
    low_order = PublicKey("X-Wing", good[:1184] + bytes(32))
    refused(bundle(keys=[*keys[:2], new_key(ENC, public=low_order), keys[3]]), KeyWrongUse)
    refused(bundle(keys=[new_key(APPROVER, holder=None), *keys[1:]]), Malformed, "D11-holder")
    refused(bundle(iat=NOW + timedelta(seconds=121)), Conflict, "D04-newer")
    refused(
        resigned(lambda same: replace(same, events=(*same.events, same.events[1]))), Replay, "D09-new-kid"
    )
    refused(resigned(lambda same: replace(same, keys=same.keys[1:])), PartMissing, "D05-key-bytes")
    refused(
        resigned(lambda same: replace(same, keys=(replace(same.keys[0], key=bytes(32)), *same.keys[1:]))),
        Malformed,
        "D05-key-bytes",
    )


@pytest.mark.parametrize("use", USES)
def test_e4_an_agency_needs_a_key_of_every_use_that_is_not_over(use: str) -> None:
    others = [new_key(other) for other in USES if other != use]
    refused(bundle(keys=others), PartMissing, "E4-keys")
    refused(bundle(keys=[*others, new_key(use, exp=NOW)]), PartMissing, "E4-keys")
    check(bundle(keys=[*others, new_key(use, exp=NOW + timedelta(seconds=1))]))


def test_e4_no_bytes_are_left_over() -> None:
    more = EnrolmentKey(kid=public_key(ENC, BETA, "9").kid, key=public_key(ENC, BETA, "9").raw)
    refused(resigned(lambda good: replace(good, keys=(*good.keys, more))), Malformed, "E4-keys")


def test_the_root_digest_that_was_admitted_is_the_one_that_can_be_set() -> None:
    checked = check(bundle())
    world = Deployment().begin()
    world.apply(world.admit(root=root_key(BETA).public.digest))
    event, key_bytes = checked.events[0]
    with pytest.raises(ManifestMismatch):
        apply_event(world.state, event, key_bytes)
