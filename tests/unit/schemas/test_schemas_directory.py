"""Directory events and the enrolment bundle: rules over several members."""

import json
from dataclasses import replace

import pytest

from exchange_schemas.codec import b64u
from exchange_schemas.enrolment import Enrolment, EnrolmentKey, Root
from exchange_schemas.errors import Malformed
from exchange_schemas.event import GovernanceEvent, KeyEvent, RevokeEvent, SuspendEvent
from exchange_schemas.limits import LIMITS
from tests.unit.schemas.examples import FRAME, KEY, NOW, enrolment, events, jws, operator, some_digest


def passes(value) -> bool:
    return type(value).from_bytes(value.to_bytes()) == value


def refused(value, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        value.to_bytes()
    assert caught.value.field == field


def governance(k, *operators) -> GovernanceEvent:
    return GovernanceEvent(**FRAME, k=k, operators=operators)


def test_no_more_operators_must_sign_than_there_are():
    assert passes(governance(1, operator(1)))
    refused(governance(2, operator(1)), "k")
    refused(governance(0, operator(1)), "k")
    refused(governance(1), "operators")


def test_operators_do_not_share_a_key_or_a_name():
    one, two = operator(1), operator(2)
    refused(governance(1, one, replace(one, name="Other")), "operators")
    refused(governance(1, one, replace(two, name=one.name)), "operators")


def test_an_operators_kid_is_the_digest_of_the_key():
    refused(governance(1, replace(operator(1), kid=operator(2).kid)), "operators.kid")
    refused(governance(1, replace(operator(1), key=b"short")), "operators.key")


@pytest.mark.parametrize(
    ("use", "alg"),
    [
        ("envelope", "Ed25519"),
        ("approver", "Ed25519"),
        ("enc", "X-Wing"),
        ("auth", "ES256"),
        ("auth", "PS256"),
    ],
)
def test_each_use_has_its_algorithms(use, alg):
    assert passes(KeyEvent(**FRAME, **(KEY | {"use": use, "alg": alg})))


@pytest.mark.parametrize(
    ("use", "alg"),
    [("envelope", "X-Wing"), ("enc", "Ed25519"), ("auth", "Ed25519"), ("approver", "ES256")],
)
def test_a_key_of_another_algorithm_is_refused(use, alg):
    refused(KeyEvent(**FRAME, **(KEY | {"use": use, "alg": alg})), "alg")


def test_a_root_key_is_no_key_event():
    refused(KeyEvent(**FRAME, **(KEY | {"alg": "ML-DSA-65"})), "alg")
    refused(KeyEvent(**FRAME, **(KEY | {"use": "root"})), "use")


def test_a_key_ends_after_it_begins():
    refused(KeyEvent(**FRAME, **(KEY | {"exp": NOW})), "exp")


def test_reasons_are_codes():
    refused(RevokeEvent(**FRAME, agency="ngo-one", kid=some_digest(), reason="because"), "reason")
    refused(SuspendEvent(**FRAME, agency="ngo-one", reason="because"), "reason")


def test_an_admitted_agency_has_a_kind_a_country_and_a_printable_name():
    admit = events()[1]
    refused(replace(admit, kind="club"), "kind")
    refused(replace(admit, country="Jordan"), "country")
    refused(replace(admit, name="Ngo\u202eOne"), "name")
    refused(replace(admit, public_authority=1), "public_authority")


def test_root_keys_have_their_lengths():
    refused(enrolment(root=Root(ed25519=bytes(31), mldsa65=bytes(1952))), "root.ed25519")
    refused(enrolment(root=Root(ed25519=bytes(32), mldsa65=bytes(1951))), "root.mldsa65")


def test_a_bundle_has_events_and_each_key_once():
    key = EnrolmentKey(kid=some_digest(), key=bytes(32))
    refused(enrolment(keys=(key, key)), "keys")
    refused(enrolment(keys=()), "keys")
    refused(enrolment(events=()), "events")
    refused(enrolment(keys=(EnrolmentKey(kid=some_digest(), key=b""),)), "keys.key")


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "="},
        {"payload": ""},
        {"payload": "A" * 30_000},
        {"signatures": []},
        {"signatures": [{"protected": "e30"}]},
        {"signatures": [{"protected": "e30", "signature": "AA", "header": {}}]},
        {"extra": 1},
    ],
)
def test_an_event_of_a_bundle_has_the_shape_of_a_jws(change):
    refused_field = "events"
    with pytest.raises(Malformed) as caught:
        enrolment(events=(jws() | change,)).to_bytes()
    assert caught.value.field.split(".")[0] == refused_field


def test_the_largest_bundle_is_within_its_limit():
    hybrid = {"protected": b64u(bytes(200)), "signature": b64u(bytes(3309))}
    event = {"payload": b64u(bytes(900)), "signatures": [hybrid] * 4}
    keys = tuple(EnrolmentKey(kid=some_digest(n), key=bytes(1216)) for n in range(8))
    value = enrolment(events=(event, *[event | {"signatures": [hybrid] * 2}] * 7), keys=keys)
    assert passes(value)
    assert len(value.to_bytes()) < LIMITS.enrolment_bytes
    assert json.loads(value.to_bytes())["events"][0] == event
    assert Enrolment.typ == "hx-enrol"
