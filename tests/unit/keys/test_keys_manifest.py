"""The manifest, and every swap between sender, envelope, grant and deployment that it must catch."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.envelope import SealedEnvelope, grant_digest, open_grant, seal_envelope
from exchange_keys.jws import sign
from exchange_keys.manifest import check_grant, open_manifest, sign_manifest
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, encode, lp, sha256
from exchange_schemas.envelope import GrantCore, Manifest
from exchange_schemas.errors import (
    DecryptFailed,
    ExchangeError,
    KidUnknown,
    Malformed,
    ManifestMismatch,
    OriginMismatch,
    SenderMismatch,
    SigInvalid,
)
from exchange_schemas.ids import EnvelopeId
from tests.unit.keys.keys_factory import (
    NOW,
    ORIGIN,
    A,
    B,
    C,
    a_digest,
    an_id,
    draft,
    flip,
    keys_of,
    parts_of,
    seed,
)

KNOWN = keys_of(A.envelope.public, B.envelope.public)


def seal(**changes: Any) -> SealedEnvelope:
    return seal_envelope(draft(**changes), [B.recipient(), C.recipient()], A.itself(), A.envelope)


SEALED = seal()
TO_B = SEALED.grants[0]


def manifest_of(sealed: SealedEnvelope) -> Manifest:
    return open_manifest(sealed.manifest, origin=ORIGIN, key_for=KNOWN)[0]


def test_a_grant_digest_is_the_hash_of_the_framed_core_and_sealed_keys() -> None:
    assert grant_digest(TO_B.core, TO_B.sealed) == b64u(sha256(lp(TO_B.core, TO_B.sealed))) == TO_B.digest


def test_a_manifest_lists_every_grant_sorted_and_is_signed_by_the_sender() -> None:
    manifest, kid = open_manifest(SEALED.manifest, origin=ORIGIN, key_for=KNOWN)
    assert kid == A.envelope.public.kid
    assert manifest.grants == tuple(sorted(grant.digest for grant in SEALED.grants))
    assert (manifest.eid, manifest.snd, manifest.iat) == (draft().eid, A.id, NOW)


def test_a_grant_in_its_manifest_is_accepted() -> None:
    for grant in SEALED.grants:
        assert check_grant(manifest_of(SEALED), grant.core, grant.sealed).gid == grant.gid


def test_a_manifest_of_another_deployment_or_an_unknown_key_is_refused() -> None:
    with pytest.raises(OriginMismatch):
        open_manifest(SEALED.manifest, origin="production.example", key_for=KNOWN)
    with pytest.raises(KidUnknown):
        open_manifest(SEALED.manifest, origin=ORIGIN, key_for=keys_of(B.envelope.public))


def test_a_manifest_has_exactly_one_signature() -> None:
    other = SigningKey.from_seed(seed("other"))
    twice = sign(SEALED.manifest.payload, "hx-manifest", [A.envelope, other])
    with pytest.raises(SigInvalid):
        open_manifest(twice, origin=ORIGIN, key_for=keys_of(A.envelope.public, other.public))


def test_an_object_of_another_type_is_no_manifest() -> None:
    receipt = sign(encode({"v": 1, "typ": "hx-receipt", "origin": ORIGIN}), "hx-receipt", [A.envelope])
    with pytest.raises(Malformed):
        open_manifest(receipt, origin=ORIGIN, key_for=KNOWN)


def test_a_signed_manifest_that_breaks_its_schema_is_refused() -> None:
    members = json.loads(SEALED.manifest.payload)
    for change in (
        {"grants": list(reversed(members["grants"]))},
        {"grants": []},
        {"note": "x"},
        {"eid": "x"},
    ):
        signed = sign(encode({**members, **change}), "hx-manifest", [A.envelope])
        with pytest.raises(Malformed):
            open_manifest(signed, origin=ORIGIN, key_for=KNOWN)


def test_a_grant_that_the_manifest_does_not_list_is_refused() -> None:
    other = seal()
    with pytest.raises(ManifestMismatch):
        check_grant(manifest_of(SEALED), other.grants[0].core, other.grants[0].sealed)


def test_sealed_keys_exchanged_between_two_grants_are_refused() -> None:
    with pytest.raises(ManifestMismatch):
        check_grant(manifest_of(SEALED), TO_B.core, SEALED.grants[1].sealed)


def manifest_over(**changes: Any) -> Manifest:
    """A validly signed manifest by whoever, over the grant to B."""
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "eid": draft().eid,
        "sender": A.id,
        "issued_at": NOW,
        "grants": [TO_B.digest],
        **changes,
    }
    signed = sign_manifest(B.envelope, **values)
    return open_manifest(signed, origin=values["origin"], key_for=KNOWN)[0]


def test_b_depositing_the_bytes_of_a_under_its_own_name_is_refused() -> None:
    with pytest.raises(SenderMismatch):
        check_grant(manifest_over(sender=B.id), TO_B.core, TO_B.sealed)


def test_a_grant_carried_into_another_envelope_or_deployment_is_refused() -> None:
    for changes in ({"eid": EnvelopeId(an_id("envelope 2"))}, {"origin": "production.example"}):
        with pytest.raises(ManifestMismatch):
            check_grant(manifest_over(**changes), TO_B.core, TO_B.sealed)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_bit_of_core_or_sealed_keys_can_be_turned(data: st.DataObject) -> None:
    core, sealed = TO_B.core, TO_B.sealed
    if data.draw(st.booleans()):
        core = flip(core, data.draw(st.integers(0, len(core) * 8 - 1)))
    else:
        sealed = flip(sealed, data.draw(st.integers(0, len(sealed) * 8 - 1)))
    with pytest.raises(ExchangeError):
        check_grant(manifest_of(SEALED), core, sealed)
    # And without a manifest to compare with, the sealed keys are bound to the core all the same.
    with pytest.raises(ExchangeError):
        open_grant(core, sealed, B.enc, parts_of(SEALED))


@pytest.mark.parametrize(
    "change",
    [
        {"pur": "care"},
        {"cns": a_digest("another consent")},
        {"subj": a_digest("another child")},
        {"thread": an_id("another thread")},
        {"snd": "agency-c"},
        {"exp": "2036-01-01T00:00:00Z"},
        {"seq": 2, "prev": a_digest("another chain")},
    ],
)
def test_a_grant_whose_core_says_something_else_does_not_open(change: dict[str, Any]) -> None:
    core = encode({**json.loads(TO_B.core), **change})
    with pytest.raises(DecryptFailed):
        open_grant(core, TO_B.sealed, B.enc, parts_of(SEALED))


def test_reordered_but_equal_core_bytes_do_not_open() -> None:
    members = json.loads(TO_B.core)
    reordered = json.dumps(dict(reversed(members.items())), separators=(",", ":")).encode()
    assert GrantCore.from_bytes(reordered) == GrantCore.from_bytes(TO_B.core)
    with pytest.raises(DecryptFailed):
        open_grant(reordered, TO_B.sealed, B.enc, parts_of(SEALED))
    with pytest.raises(ManifestMismatch):
        check_grant(manifest_of(SEALED), reordered, TO_B.sealed)


def test_a_recipient_cannot_pass_a_grant_on_to_another_key() -> None:
    core = encode({**json.loads(TO_B.core), "rcp": C.id, "rcp_kid": C.enc.public.kid})
    with pytest.raises(DecryptFailed):
        open_grant(core, TO_B.sealed, C.enc, parts_of(SEALED))


def test_a_field_outside_the_catalogue_is_refused() -> None:
    members = json.loads(TO_B.core)
    members["parts"][0]["f"] = "favourite_colour"
    with pytest.raises(Malformed):
        open_grant(encode(members), TO_B.sealed, B.enc, parts_of(SEALED))


def test_a_part_whose_length_is_not_that_of_its_bucket_is_malformed() -> None:
    sealed = seal_envelope(draft(), [B.recipient(fields=("sex",), values={})], A.itself(), A.envelope)
    (ref,) = GrantCore.from_bytes(sealed.grants[0].core).parts
    # A sender that names another field than it sealed: the digest fits, the bucket does not.
    from exchange_keys.grants import UnlockedGrant, unlock_grant
    from exchange_schemas.catalogue import load_catalogue

    unlocked = unlock_grant(sealed.grants[0].core, sealed.grants[0].sealed, B.enc)
    renamed = replace(unlocked.core, parts=(replace(ref, f="name_given"),))
    with pytest.raises(Malformed):
        UnlockedGrant(renamed, [unlocked.key_of("sex")[1]], load_catalogue()).fields(parts_of(sealed))
