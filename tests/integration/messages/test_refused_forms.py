"""What a deposit must be refused for by the bytes alone: sizes, form, manifest, grants, parts.

One hub for all: each test has agencies of its own.
"""

import os
from typing import Any

import pytest

from exchange.hub.services.deposit_checks import INLINE_BYTES
from exchange_keys.envelope import SealedEnvelope
from exchange_schemas.codec import b64u, decode, encode, sha256, unb64u
from exchange_schemas.errors import (
    ExchangeError,
    FieldDenied,
    Malformed,
    ManifestMismatch,
    PartDigest,
    PartMissing,
    SenderMismatch,
    TooLarge,
    VersionUnsupported,
)
from exchange_schemas.ids import new_id
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, GivenConsent, World
from tests.integration.messages.edits import body_of, core_of, edited, grant_of, signed_request
from tests.integration.messages.refusals import OTHER, flipped, refused


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def given(world: World, ngo: Agency, embassy: Agency) -> GivenConsent:
    return world.consent(ngo, embassy)


@pytest.fixture
def sealed(world: World, ngo: Agency, embassy: Agency, given: GivenConsent) -> SealedEnvelope:
    """A good envelope, not sent yet."""
    return world.seal(ngo, [world.recipient(ngo, embassy, given)])


def test_the_good_envelope_is_taken(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    assert world.deposit(ngo, sealed).status == 201


# -- (1) to (3) ------------------------------------------------------------------------------------


def test_anothers_signed_bytes_are_refused(world: World, commission: Agency, sealed: SealedEnvelope) -> None:
    refused(world, commission, sealed, SenderMismatch)


def test_too_many_grants_are_too_large(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    refused(world, ngo, {**body, "grants": body["grants"] * 33}, TooLarge)


@pytest.mark.parametrize("name", ["core", "sealed"])
def test_a_grant_over_its_limit_is_too_large(
    world: World, ngo: Agency, sealed: SealedEnvelope, name: str
) -> None:
    body = body_of(sealed)
    body["grants"][0] = {**body["grants"][0], name: b64u(bytes(17 * 1024))}
    refused(world, ngo, body, TooLarge)


def test_an_inline_part_over_its_limit_is_too_large(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    data = bytes(INLINE_BYTES + 1)
    body = body_of(sealed)
    body["parts"].append({"sha256": b64u(sha256(data)), "ct": b64u(data)})
    refused(world, ngo, body, TooLarge)


def test_too_many_parts_are_too_large(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    refused(world, ngo, {**body, "parts": body["parts"] * 1000}, TooLarge)


@pytest.mark.parametrize("text", ["====", "AA==", "A A", "AB", "\u00e9\u00e9", "QQ\n"])
@pytest.mark.parametrize("place", ["core", "sealed", "ct"])
def test_base64_that_is_not_strict_is_malformed(
    world: World, ngo: Agency, sealed: SealedEnvelope, place: str, text: str
) -> None:
    body = body_of(sealed)
    where = body["parts"][0] if place == "ct" else body["grants"][0]
    where[place] = text
    refused(world, ngo, body, Malformed)


def test_a_part_sent_twice_is_malformed(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    refused(world, ngo, {**body, "parts": body["parts"] * 2}, Malformed)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", Malformed),
        (b"[]", Malformed),
        (b'{"v":1,"v":1}', Malformed),
        (b'{"v":2,"typ":"hx-grant"}', VersionUnsupported),
    ],
)
def test_a_core_that_is_no_core_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope, raw: bytes, error: type[ExchangeError]
) -> None:
    body = signed_request(sealed, [(raw, item.sealed) for item in sealed.grants], ngo)
    refused(world, ngo, body, error)


# -- (5) manifest, grants, parts -------------------------------------------------------------------


def test_a_flipped_byte_in_sealed_keys_is_not_in_the_manifest(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = body_of(sealed)
    body["grants"][0]["sealed"] = flipped(body["grants"][0]["sealed"])
    refused(world, ngo, body, ManifestMismatch)


def test_a_changed_core_is_not_in_the_manifest(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    changed = edited(sealed, ngo, lambda core: core.update(seq=2, prev=OTHER), only=embassy)
    refused(world, ngo, {**changed, "manifest": sealed.manifest.to_json()}, ManifestMismatch)


def test_equal_json_in_another_order_is_not_in_the_manifest(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = body_of(sealed)
    core = decode(unb64u(body["grants"][0]["core"], field="core"), limit=16 * 1024)
    pairs = ",".join(f"{encode(name).decode()}:{encode(core[name]).decode()}" for name in reversed(core))
    body["grants"][0]["core"] = b64u(f"{{{pairs}}}".encode())
    refused(world, ngo, body, ManifestMismatch)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_grant_left_out_is_missed(world: World, ngo: Agency, sealed: SealedEnvelope, kept: int) -> None:
    body = body_of(sealed)
    refused(world, ngo, {**body, "grants": [body["grants"][kept]]}, ManifestMismatch)


def test_a_grant_of_another_envelope_is_not_in_the_manifest(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent, sealed: SealedEnvelope
) -> None:
    other = body_of(world.seal(ngo, [world.recipient(ngo, embassy, given)]))
    body = body_of(sealed)
    refused(world, ngo, {**body, "grants": [other["grants"][0], body["grants"][1]]}, ManifestMismatch)


def test_the_senders_own_grant_must_be_there(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    item = grant_of(sealed, embassy)
    body = signed_request(sealed, [(item.core, item.sealed)], ngo)
    named = {ref.sha256 for ref in core_of(item.core).parts}
    body["parts"] = [part for part in body["parts"] if part["sha256"] in named]
    error = refused(world, ngo, body, ManifestMismatch)
    assert error.rule == "self-grant"


def test_a_flipped_byte_in_a_part_is_found(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    body["parts"][0]["ct"] = flipped(body["parts"][0]["ct"])
    refused(world, ngo, body, PartDigest)


def test_a_part_cut_short_is_found(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    body["parts"][0]["ct"] = b64u(unb64u(body["parts"][0]["ct"], field="ct")[:-16])
    refused(world, ngo, body, PartDigest)


def test_two_parts_exchanged_are_found(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    one, two = body["parts"][:2]
    one["ct"], two["ct"] = two["ct"], one["ct"]
    refused(world, ngo, body, PartDigest)


def test_a_part_that_no_grant_names_is_refused(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    body["parts"].append({"sha256": b64u(sha256(b"more")), "ct": b64u(b"more")})
    refused(world, ngo, body, ManifestMismatch)


def test_a_part_left_out_is_missing(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    body = body_of(sealed)
    refused(world, ngo, {**body, "parts": body["parts"][1:]}, PartMissing)


@pytest.mark.parametrize("inline", [False, True])
def test_a_part_of_another_envelope_is_missing_also_when_its_bytes_come_again(
    world: World, ngo: Agency, given: GivenConsent, embassy: Agency, inline: bool
) -> None:
    first = world.send(ngo, given)
    taken = next(ref for ref in core_of(first.grants[0].core).parts if ref.f == "sex")
    second = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    replaced = next(ref for ref in core_of(second.grants[0].core).parts if ref.f == "sex")

    def name_the_first(core: dict[str, Any]) -> None:
        for ref in core["parts"]:
            if ref["f"] == "sex":
                ref.update(p=taken.p, sha256=taken.sha256)

    body = edited(second, ngo, name_the_first)
    body["parts"] = [item for item in body["parts"] if item["sha256"] != replaced.sha256]
    if inline:
        body["parts"].append({"sha256": taken.sha256, "ct": b64u(first.parts[taken.sha256])})
    refused(world, ngo, body, PartMissing)


def test_an_attachment_has_a_padded_length(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy, fields=tuple(sorted((*FOUND, "photo"))))
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    photo = {"p": new_id(os.urandom), "f": "photo", "len": 56 + 1001 + 16, "sha256": OTHER}

    def add_photo(core: dict[str, Any]) -> None:
        core["parts"].append(photo)

    grants = []
    for item in sealed.grants:
        members = decode(item.core, limit=16 * 1024)
        add_photo(members)
        grants.append((encode(members), item.sealed + bytes(32)))
    error = refused(world, ngo, signed_request(sealed, grants, ngo), Malformed)
    assert (error.field, error.rule) == ("photo", "bucket")


def test_a_field_of_every_recipient_is_sealed_for_each(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, given: GivenConsent
) -> None:
    other = world.consent(ngo, commission)
    recipients = [world.recipient(ngo, embassy, given), world.recipient(ngo, commission, other)]
    sealed = world.seal(ngo, recipients)
    shared = next(
        ref for ref in decode(sealed.grants[0].core, limit=16384)["parts"] if ref["f"] == "child_ref"
    )  # type: ignore[union-attr,index,call-overload]
    dropped: list[str] = []

    def share(core: dict[str, Any]) -> None:
        for at, ref in enumerate(core["parts"]):
            if ref["f"] == "child_ref":
                dropped.append(ref["sha256"])
                core["parts"][at] = shared

    body = edited(sealed, ngo, share, only=commission)
    body["parts"] = [item for item in body["parts"] if item["sha256"] not in dropped]
    error = refused(world, ngo, body, FieldDenied)
    assert (error.field, error.rule) == ("child_ref", "per-recipient")
