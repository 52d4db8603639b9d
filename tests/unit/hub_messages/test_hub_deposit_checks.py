"""The pure checks of a deposit: lengths, names and limits that need no hub."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.hub.services.deposit_checks import (
    Draft,
    DraftGrant,
    check_equality,
    check_self_grant,
    names_of,
    read_deposit,
)
from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, grant_digest, seal_envelope
from exchange_keys.manifest import sign_manifest
from exchange_keys.padding import padded_length
from exchange_keys.parts import sealed_length
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.envelope import NO_PREVIOUS, PartRef, TreeHead
from exchange_schemas.errors import Malformed, ManifestMismatch, SenderMismatch, TooLarge
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, PartId, ThreadId, new_id

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "exchange.example"
SENDER = AgencyId("ngo")
SIGNER = SigningKey.generate()
ENC = EncKey.generate()
OTHER = Digest(b64u(sha256(b"other")))


def recipient(agency: str, fields: tuple[str, ...]) -> Recipient:
    return Recipient(
        agency=AgencyId(agency),
        kid=ENC.public.kid,
        enc_public_raw=ENC.public.raw,
        thread=ThreadId(new_id(os.urandom)),
        seq=1,
        prev=NO_PREVIOUS,
        fields=fields,
        consent_digest=OTHER,
        subj=OTHER,
    )


def sealed_to(*agencies: str, fields: tuple[str, ...] = ("sex",)) -> SealedEnvelope:
    draft = EnvelopeDraft(
        origin=ORIGIN,
        eid=EnvelopeId(new_id(os.urandom)),
        kind="information_response",
        sender=SENDER,
        purpose="trace",
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
        directory=TreeHead(size=1, root=OTHER),
        values=dict.fromkeys(fields, b'{"v":"x"}'),
    )
    own = replace(recipient("ngo", ()), consent_digest=None, subj=None)
    return seal_envelope(draft, [recipient(name, fields) for name in agencies], own, SIGNER)


def body_of(sealed: SealedEnvelope) -> dict[str, Any]:
    return {
        "manifest": sealed.manifest.to_json(),
        "grants": [{"core": b64u(item.core), "sealed": b64u(item.sealed)} for item in sealed.grants],
        "parts": [{"sha256": digest, "ct": b64u(ct)} for digest, ct in sealed.parts.items()],
    }


def check(draft: Draft, *, first: bool = True) -> None:
    check_equality(draft, origin=ORIGIN, now=NOW, catalogue=load_catalogue())
    check_self_grant(draft, first=first)


def with_parts(draft: Draft, refs: tuple[PartRef, ...]) -> Draft:
    """The same deposit, its cores naming these parts; digests and manifest made to fit."""
    grants = []
    for item in draft.grants:
        core = replace(item.core, parts=refs)
        data, keys = core.to_bytes(), bytes(1136 + 32 * len(refs))
        grants.append(DraftGrant(core, data, keys, grant_digest(data, keys)))
    digests = tuple(sorted(item.digest for item in grants))
    return replace(draft, grants=tuple(grants), manifest=replace(draft.manifest, grants=digests), inline={})


def ref(field: str, length: int) -> PartRef:
    return PartRef(p=PartId(new_id(os.urandom)), f=field, len=length, sha256=OTHER)


def test_a_good_deposit_passes() -> None:
    draft = read_deposit(body_of(sealed_to("embassy", "commission")), SENDER)
    check(draft)
    assert [item.core.rcp for item in draft.shared()] == ["embassy", "commission"]
    assert names_of(draft.grants) == ("sex",)


@pytest.mark.parametrize("name", sorted({*load_catalogue().fields, *load_catalogue().message_fields}))
def test_a_part_has_the_length_of_its_fields_bucket(name: str) -> None:
    catalogue = load_catalogue()
    spec = catalogue.fields.get(name) or catalogue.message_fields[name]
    good = sealed_length(padded_length(100, None) if spec.bucket is None else spec.bucket)
    draft = read_deposit(body_of(sealed_to("embassy")), SENDER)
    check(with_parts(draft, (ref(name, good),)))
    if spec.bucket is None:
        return
    for wrong in (good - 1, good + 1, good + 16, 1):
        with pytest.raises(Malformed) as caught:
            check(with_parts(draft, (ref(name, wrong),)))
        assert (caught.value.field, caught.value.rule) == (name, "bucket")


@given(st.integers(0, 26_214_400))
def test_every_padded_attachment_passes(size: int) -> None:
    draft = read_deposit(BODY, SENDER)
    check(with_parts(draft, (ref("photo", sealed_length(padded_length(size, None))),)))


@given(st.integers(1, 200_000))
def test_an_attachment_has_a_padded_length_and_no_other(length: int) -> None:
    draft = with_parts(read_deposit(BODY, SENDER), (ref("photo", length),))
    if length in PADDED:
        check(draft)
    else:
        with pytest.raises(Malformed):
            check(draft)


BODY = body_of(sealed_to("embassy"))
PADDED = {sealed_length(padded_length(size, None)) for size in range(200_001)}


def test_sixty_four_recipients_are_the_most() -> None:
    draft = read_deposit(body_of(sealed_to(*(f"agency-{n}" for n in range(64)))), SENDER)
    check(draft)
    shared = tuple(item for item in draft.grants if item.core.rcp != SENDER)
    one = shared[0]
    more = DraftGrant(
        replace(one.core, rcp=AgencyId("agency-64"), gid=new_id(os.urandom)),  # type: ignore[arg-type]
        one.core_bytes,
        one.sealed,
        OTHER,
    )
    grants = (*shared, more)
    digests = tuple(sorted(item.digest for item in grants))
    with pytest.raises(TooLarge):
        check(replace(draft, grants=grants, manifest=replace(draft.manifest, grants=digests)), first=False)


def test_a_later_manifest_needs_no_grant_of_the_senders_own() -> None:
    sealed = sealed_to("embassy")
    grants = [item for item in sealed.grants if item.rcp != SENDER]
    eid = read_deposit(body_of(sealed), SENDER).manifest.eid
    later = sign_manifest(
        SIGNER, origin=ORIGIN, eid=eid, sender=SENDER, issued_at=NOW, grants=[grants[0].digest]
    )
    body = {**body_of(sealed), "manifest": later.to_json()}
    body["grants"] = body["grants"][:1]
    draft = read_deposit(body, SENDER)
    check(draft, first=False)
    with pytest.raises(ManifestMismatch):
        check(draft, first=True)


def test_the_sender_is_compared_before_anything_else_is_read() -> None:
    body = {**BODY, "grants": [{"core": "!", "sealed": "!"}], "parts": []}
    with pytest.raises(SenderMismatch):
        read_deposit(body, AgencyId("embassy"))
    with pytest.raises(Malformed):
        read_deposit(body, SENDER)


def test_a_manifest_of_the_future_is_malformed() -> None:
    draft = read_deposit(BODY, SENDER)
    late = replace(draft, manifest=replace(draft.manifest, iat=NOW + timedelta(seconds=121)))
    with pytest.raises(Malformed):
        check(late)
    check(replace(draft, manifest=replace(draft.manifest, iat=NOW + timedelta(seconds=120))))


def test_one_position_of_the_directory_is_named_by_all() -> None:
    draft = read_deposit(BODY, SENDER)
    first, *rest = draft.grants
    moved = replace(first, core=replace(first.core, dir=TreeHead(size=2, root=OTHER)))
    with pytest.raises(ManifestMismatch):
        check(replace(draft, grants=(moved, *rest)))
