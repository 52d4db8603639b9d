"""Granting again: to a later recipient, to a new key, from the sender's own grant only."""

import json
from dataclasses import replace

import pytest

from exchange_keys.envelope import (
    SealedEnvelope,
    UnlockedGrant,
    open_grant,
    regrant,
    unlock_grant,
)
from exchange_keys.jws import Signed
from exchange_keys.manifest import check_grant, open_manifest
from exchange_keys.sealing import EncKey
from exchange_schemas.errors import (
    FieldDenied,
    KidUnknown,
    Malformed,
    ManifestMismatch,
    PartMissing,
    RecipientDenied,
    SenderMismatch,
)
from exchange_schemas.ids import EnvelopeId
from exchange_schemas.limits import LIMITS
from tests.unit.keys.keys_factory import (
    ORIGIN,
    VALUES,
    A,
    B,
    D,
    a_digest,
    an_id,
    draft,
    grant_of,
    keys_of,
    parts_of,
    seal,
    seed,
)


def held(sealed: SealedEnvelope) -> UnlockedGrant:
    return unlock_grant(*grant_of(sealed, A), A.enc)


def test_a_later_recipient_opens_the_parts_that_were_sealed_before() -> None:
    first = seal()
    later = regrant(draft(values={}), held(first), [D.recipient()], A.envelope)
    assert [grant.rcp for grant in later.grants] == [D.id]
    assert len(later.parts) == 1
    both = {**first.parts, **later.parts}
    assert open_grant(*grant_of(later, D), D.enc, lambda ref: both[ref.sha256]) == {
        "name_given": VALUES["name_given"],
        "sex": VALUES["sex"],
        "child_ref": b"ref for agency-d",
    }


def test_a_later_grant_stands_in_a_supplementary_manifest_of_the_same_envelope() -> None:
    first = seal()
    later = regrant(draft(), held(first), [D.recipient()], A.envelope)
    manifest, _ = open_manifest(later.manifest, origin=ORIGIN, key_for=keys_of(A.envelope.public))
    assert check_grant(manifest, *grant_of(later, D)).eid == draft().eid
    with pytest.raises(ManifestMismatch):
        check_grant(manifest, *grant_of(first, B))


def test_a_grant_can_be_given_again_to_a_new_key_of_the_recipient_or_of_the_sender() -> None:
    first = seal()
    new_b = replace(B, enc=EncKey.from_seed(seed("agency-b enc 2")))
    new_a = replace(A, enc=EncKey.from_seed(seed("agency-a enc 2")))
    again = [
        new_b.recipient(fields=("sex",), values={}, seq=2, prev=a_digest("grant 1")),
        new_a.itself(fields=("sex", "name_given", "languages"), seq=2, prev=a_digest("own grant 1")),
    ]
    later = regrant(draft(), held(first), again, A.envelope)
    assert later.parts == {}
    assert open_grant(*grant_of(later, new_b), new_b.enc, parts_of(first)) == {"sex": VALUES["sex"]}
    assert open_grant(*grant_of(later, new_a), new_a.enc, parts_of(first)) == VALUES


def test_only_the_senders_own_grant_of_that_envelope_can_be_granted_again() -> None:
    first = seal()
    for changes in (
        {"eid": EnvelopeId(an_id("envelope 2"))},
        {"origin": "other.example"},
        {"kind": "sighting"},
        {"sender": D.id},
    ):
        with pytest.raises(ManifestMismatch):
            regrant(draft(**changes), held(first), [D.recipient()], A.envelope)
    received = unlock_grant(*grant_of(first, B), B.enc)
    with pytest.raises(SenderMismatch):
        regrant(draft(), received, [D.recipient()], A.envelope)


def test_what_was_never_sealed_cannot_be_granted_again() -> None:
    with pytest.raises(PartMissing):
        regrant(draft(), held(seal()), [D.recipient(fields=("marks",), values={})], A.envelope)
    with pytest.raises(FieldDenied):
        regrant(draft(), held(seal()), [D.recipient(values={})], A.envelope)
    with pytest.raises(Malformed):
        regrant(draft(), held(seal()), [], A.envelope)


def test_a_later_grant_is_checked_like_a_first_one() -> None:
    with pytest.raises(RecipientDenied):
        regrant(draft(), held(seal()), [D.recipient(), D.recipient()], A.envelope)
    with pytest.raises(KidUnknown):
        regrant(draft(), held(seal()), [D.recipient(kid=A.enc.public.kid)], A.envelope)


def test_a_sealed_envelope_survives_json() -> None:
    sealed = seal()
    manifest = Signed.from_json(json.loads(json.dumps(sealed.manifest.to_json())), LIMITS.manifest_bytes)
    assert manifest == sealed.manifest
