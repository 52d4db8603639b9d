"""What a deposit must be refused for, each with its code, and that nothing of it stays but its entry.

One hub for all of them: each test has agencies of its own.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.models.envelopes import chain_head, grant, manifest
from exchange.hub.models.parts import part
from exchange.hub.services import deposit
from exchange.hub.services.deposit_checks import INLINE_BYTES
from exchange_keys.envelope import SealedEnvelope
from exchange_keys.jws import Signed, sign
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u, decode, encode, format_time, sha256, unb64u
from exchange_schemas.consent import Authority
from exchange_schemas.errors import (
    AuthorityMissing,
    ConsentExpired,
    ConsentSuperseded,
    ConsentUnknown,
    ExchangeError,
    FieldDenied,
    GrantExpired,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    LogFork,
    Malformed,
    ManifestMismatch,
    OriginMismatch,
    PartDigest,
    PartMissing,
    PurposeDenied,
    RecipientDenied,
    SenderMismatch,
    SigInvalid,
    StageDenied,
    SubjectMismatch,
    TooLarge,
    VersionUnsupported,
)
from exchange_schemas.ids import Digest, EnvelopeId, GrantId, new_id
from tests.integration.messages.builders import (
    EVIDENCE,
    FOUND,
    REFERRAL,
    REFERRED,
    Agency,
    GivenConsent,
    World,
    body_of,
    core_of,
    edited,
    grant_of,
    signed_request,
)

Edit = Callable[[World, dict[str, Any]], object]
TABLES = (manifest, grant, part, chain_head)
OTHER = Digest(b64u(sha256(b"other")))


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


def refused(
    world: World, snd: Agency, sent: SealedEnvelope | dict[str, Any], error: type[ExchangeError]
) -> ExchangeError:
    """Deposit; the refusal, after making sure that nothing stays but its entry."""
    before = [world.count(table) for table in TABLES]
    body = sent if isinstance(sent, dict) else body_of(sent)
    with pytest.raises(error) as caught:
        deposit.deposit(world.hub, world.caller(snd), body)
    assert type(caught.value) is error
    assert [world.count(table) for table in TABLES] == before
    if "receipt" in vars(caught.value):
        entry = world.last()
        assert (entry.act, entry.out, entry.rsn) == ("envelope:deposit", "deny", error.code)
        assert entry.org == snd.id
    return caught.value


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


def set_(name: str, value: Any) -> Edit:
    return lambda world, core: core.update({name: value(world) if callable(value) else value})


def enc_of(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].enc.public.kid


def envelope_of(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].envelope.public.kid


def agency(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].id


def later(delta: timedelta) -> Callable[[World], str]:
    return lambda world: format_time(world.now + delta)


def long_over(world: World, core: dict[str, Any]) -> None:
    core["iat"], core["exp"] = (format_time(world.now - timedelta(days=days)) for days in (2, 1))


def position(**changes: Any) -> Edit:
    return lambda world, core: core["dir"].update(changes)


def swap_two_parts(_world: World, core: dict[str, Any]) -> None:
    one, two = (ref for ref in core["parts"] if ref["f"] in ("sex", "age_range"))
    one["sha256"], two["sha256"] = two["sha256"], one["sha256"]


def longer_part(_world: World, core: dict[str, Any]) -> None:
    core["parts"][0]["len"] += 1


def other_part_id(_world: World, core: dict[str, Any]) -> None:
    ref = next(ref for ref in core["parts"] if ref["f"] == "sex")
    ref["p"] = new_id(os.urandom)


def without(field: str) -> Edit:
    return lambda world, core: core.update(parts=[ref for ref in core["parts"] if ref["f"] != field])


# What one recipient's core may not say, everything signed as it should be.
ONE_CORE: Sequence[tuple[str, Edit, type[ExchangeError]]] = [
    ("an unknown member", set_("extra", 1), Malformed),
    ("an unknown kind", set_("kind", "gossip"), Malformed),
    ("another catalogue", set_("sch", 99), VersionUnsupported),
    ("another typ", set_("typ", "hx-manifest"), Malformed),
    ("another deployment", set_("origin", "test.example"), OriginMismatch),
    ("another envelope", set_("eid", EnvelopeId("A" * 22)), ManifestMismatch),
    ("another sender", set_("snd", agency("commission")), SenderMismatch),
    ("another directory than the other grant", position(size=0), ManifestMismatch),
    ("a time in the future", set_("iat", later(timedelta(minutes=5))), Malformed),
    ("a time that is over", long_over, GrantExpired),
    ("a length that is not its bucket's", longer_part, Malformed),
    ("two parts swapped", swap_two_parts, ManifestMismatch),
    ("a part under another id", other_part_id, ManifestMismatch),
    ("fewer parts than sealed keys", without("sex"), Malformed),
    ("a key that nobody has", set_("rcp_kid", OTHER), KidUnknown),
    ("another agency's key", set_("rcp_kid", enc_of("commission")), KeyWrongUse),
    ("a key of another use", set_("rcp_kid", envelope_of("embassy")), KeyWrongUse),
    ("a recipient that was never admitted", set_("rcp", "nobody-at-all"), RecipientDenied),
    ("a consent that nobody gave", set_("cns", OTHER), ConsentUnknown),
    ("another child", set_("subj", OTHER), SubjectMismatch),
    ("a purpose outside the consent", set_("pur", "care"), PurposeDenied),
    ("a kind that needs other fields", set_("kind", "tracing_request"), FieldDenied),
    ("a kind that carries no field", set_("kind", "deletion_request"), FieldDenied),
]


@pytest.mark.parametrize(("edit", "error"), [c[1:] for c in ONE_CORE], ids=[c[0] for c in ONE_CORE])
def test_a_recipients_core_may_not_say(
    world: World,
    ngo: Agency,
    embassy: Agency,
    sealed: SealedEnvelope,
    edit: Edit,
    error: type[ExchangeError],
) -> None:
    body = edited(sealed, ngo, lambda core: edit(world, core), only=embassy)
    refused(world, ngo, body, error)


# What all cores of an envelope may not say.
ALL_CORES: Sequence[tuple[str, Edit, type[ExchangeError]]] = [
    ("another deployment", set_("origin", "test.example"), OriginMismatch),
    ("another root of the directory", position(root=OTHER), LogFork),
    ("a directory that is still to come", position(size=10**6), LogFork),
    ("one recipient twice", set_("rcp", agency("ngo")), ManifestMismatch),
    ("one grant id twice", set_("gid", GrantId("A" * 22)), ManifestMismatch),
]


@pytest.mark.parametrize(("edit", "error"), [c[1:] for c in ALL_CORES], ids=[c[0] for c in ALL_CORES])
def test_no_core_may_say(
    world: World, ngo: Agency, sealed: SealedEnvelope, edit: Edit, error: type[ExchangeError]
) -> None:
    refused(world, ngo, edited(sealed, ngo, lambda core: edit(world, core)), error)


# -- (5) manifest, grants, parts -------------------------------------------------------------------


def flipped(text: str) -> str:
    data = bytearray(unb64u(text, field="x"))
    data[-1] ^= 1
    return b64u(bytes(data))


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


def test_a_part_of_another_envelope_is_missing(
    world: World, ngo: Agency, given: GivenConsent, embassy: Agency
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
    refused(world, ngo, body, PartMissing)


def test_a_part_of_another_envelope_is_not_taken_again_inline(
    world: World, ngo: Agency, given: GivenConsent, embassy: Agency
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


# -- (6) keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error"), [("draining", KeyNotActive), ("revoked", KeyRevoked)])
@pytest.mark.parametrize("whose", ["recipient", "signer", "self"])
def test_a_key_that_is_not_active_is_refused(
    world: World,
    ngo: Agency,
    embassy: Agency,
    sealed: SealedEnvelope,
    whose: str,
    status: str,
    error: type[ExchangeError],
) -> None:
    key = {"recipient": embassy.enc, "signer": ngo.envelope, "self": ngo.enc}[whose]
    world.set_key(key.public, status)
    refused(world, ngo, sealed, error)


def test_a_recipient_that_takes_no_part_is_refused(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    world.set_agency(embassy, "suspended")
    refused(world, ngo, sealed, RecipientDenied)


@pytest.mark.parametrize(
    ("signer", "error"),
    [
        (lambda world: world.agencies["ngo"].approver, KeyWrongUse),
        (lambda world: world.agencies["commission"].envelope, KeyWrongUse),
        (lambda world: Agency(world.agencies["ngo"].id).envelope, KidUnknown),
    ],
    ids=["an approver", "another agency", "nobody"],
)
def test_the_manifest_is_signed_by_the_senders_envelope_key(
    world: World, ngo: Agency, sealed: SealedEnvelope, signer: Any, error: type[ExchangeError]
) -> None:
    refused(world, ngo, edited(sealed, ngo, lambda core: None, signer=signer(world)), error)


# -- (7) consent -----------------------------------------------------------------------------------


def test_own_content_under_anothers_consent_is_refused(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, given: GivenConsent
) -> None:
    # The commission sends to the embassy under the NGO's consent to the embassy.
    sealed = world.seal(commission, [world.recipient(commission, embassy, given)])
    refused(world, commission, sealed, ConsentUnknown)


def test_a_recipient_sends_nothing_under_the_consent_that_it_received(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    sealed = world.seal(embassy, [world.recipient(embassy, ngo, given)])
    error = refused(world, embassy, sealed, SenderMismatch)
    assert error.rule == "C03-issuer"


def test_a_consent_for_another_recipient_is_refused(
    world: World, ngo: Agency, commission: Agency, given: GivenConsent
) -> None:
    sealed = world.seal(ngo, [world.recipient(ngo, commission, given)])
    error = refused(world, ngo, sealed, RecipientDenied)
    assert error.rule == "C04-recipient"


def test_a_field_outside_the_consent_is_refused(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy, fields=tuple(sorted(set(FOUND) - {"sex"})))
    error = refused(world, ngo, world.seal(ngo, [world.recipient(ngo, embassy, given)]), FieldDenied)
    assert (error.rule, error.field) == ("C11-field", "sex")


@pytest.mark.parametrize("when", ["over", "to come"])
def test_a_consent_at_another_time_is_refused(
    world: World, ngo: Agency, embassy: Agency, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {
        "over": {"nbf": world.now - timedelta(days=2), "exp": world.now + timedelta(seconds=20)},
        "to come": {"nbf": world.now + timedelta(days=1)},
    }[when]
    given = world.consent(ngo, embassy, **times)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    if when == "over":
        # The log would refuse a clock that is wrong by more than 30 seconds.
        ahead = replace(world.hub, clock=lambda: given.consent.exp)
        world = replace(world, hub=ahead)
    refused(world, ngo, sealed, ConsentExpired)


def test_a_superseded_consent_gives_what_the_newest_gives_too(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    world.supersede(given)
    assert world.deposit(ngo, world.seal(ngo, [world.recipient(ngo, embassy, given)])).status == 201


def test_a_superseded_consent_gives_nothing_that_the_newest_does_not(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent
) -> None:
    world.supersede(given, fields=tuple(sorted(set(FOUND) - {"sex"})))
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    refused(world, ngo, sealed, ConsentSuperseded)


def test_a_public_authority_does_not_send_abroad_on_consent(world: World, commission: Agency) -> None:
    basis = (Authority(about="child", basis="consent", evidence_digest=EVIDENCE),)
    embassy = world.admit(
        f"embassy-{os.urandom(4).hex()}", kind="embassy", country="SY", public_authority=True
    )
    given = world.consent(embassy, commission, authorities=basis)
    sealed = world.seal(embassy, [world.recipient(embassy, commission, given)])
    error = refused(world, embassy, sealed, AuthorityMissing)
    assert error.rule == "C14-third-country"


@pytest.mark.parametrize("wrong", ["none", "missing", "unanswered", "another thread"])
def test_the_facility_is_told_only_after_both_sides_confirmed(
    world: World, ngo: Agency, embassy: Agency, wrong: str
) -> None:
    after, thread = world.confirmations(ngo, embassy, answered=wrong != "unanswered")
    if wrong == "missing":
        after = (after[0], EnvelopeId(new_id(os.urandom)))
    if wrong == "another thread":
        thread = world.confirmations(ngo, embassy)[1]
    given = world.consent(
        ngo, embassy, pur=("health",), fields=REFERRED, after=None if wrong == "none" else after
    )
    draft = world.draft(ngo, REFERRAL, kind="service_referral", purpose="health")
    recipient = world.recipient(ngo, embassy, given, fields=REFERRAL, values={}, thread=thread)
    refused(world, ngo, world.seal(ngo, [recipient], draft), StageDenied)


def test_a_field_for_one_recipient_goes_to_one(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    recipients = []
    for rcp in (embassy, commission):
        after, thread = world.confirmations(ngo, rcp)
        given = world.consent(ngo, rcp, pur=("health",), fields=REFERRED, after=after)
        recipients.append(world.recipient(ngo, rcp, given, fields=REFERRAL, values={}, thread=thread))
    draft = world.draft(ngo, REFERRAL, kind="service_referral", purpose="health")
    error = refused(world, ngo, world.seal(ngo, recipients, draft), FieldDenied)
    assert error.rule == "C19-one-recipient"


# -- (8) signatures --------------------------------------------------------------------------------


def test_a_flipped_byte_in_the_signature_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = body_of(sealed)
    body["manifest"]["signatures"][0]["signature"] = flipped(body["manifest"]["signatures"][0]["signature"])
    refused(world, ngo, body, SigInvalid)


def test_another_manifests_signature_is_refused(
    world: World, ngo: Agency, embassy: Agency, given: GivenConsent, sealed: SealedEnvelope
) -> None:
    other = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    forged = Signed(sealed.manifest.payload, other.manifest.signatures)
    refused(world, ngo, {**body_of(sealed), "manifest": forged.to_json()}, SigInvalid)


def test_a_signature_for_another_type_of_object_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    members = decode(sealed.manifest.payload, limit=16 * 1024) | {"typ": "hx-receipt"}
    other = sign(encode(members), "hx-receipt", [ngo.envelope])
    forged = Signed(sealed.manifest.payload, other.signatures)
    refused(world, ngo, {**body_of(sealed), "manifest": forged.to_json()}, Malformed)


def test_a_manifest_has_one_signature(world: World, ngo: Agency, sealed: SealedEnvelope) -> None:
    second = Agency(ngo.id).envelope
    world.add_key(ngo, "envelope", second.public)
    both = sign(sealed.manifest.payload, "hx-manifest", [ngo.envelope, second])
    refused(world, ngo, {**body_of(sealed), "manifest": both.to_json()}, SigInvalid)


def test_a_manifest_of_another_deployment_is_refused(
    world: World, ngo: Agency, sealed: SealedEnvelope
) -> None:
    body = edited(sealed, ngo, lambda core: None, origin="test.example")
    refused(world, ngo, body, OriginMismatch)


# -- the order -------------------------------------------------------------------------------------


def test_the_first_check_that_fails_is_the_answer(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, sealed: SealedEnvelope
) -> None:
    """Everything is wrong at once; mended one by one, the answers come in the order of protocol.md."""
    fresh = EncKey.generate()
    world.add_key(embassy, "enc", fresh.public)
    world.set_key(embassy.enc.public, "revoked")
    wrong = {"cns": OTHER, "origin": "test.example", "extra": 1}
    answers: list[type[ExchangeError]] = []

    def attempt(caller: Agency, core: dict[str, Any], *, parts: list[Any], good_signature: bool) -> None:
        body = edited(sealed, ngo, lambda members: members.update(core), only=embassy)
        if not good_signature:
            mark = body["manifest"]["signatures"][0]
            mark["signature"] = flipped(mark["signature"])
        body["parts"] = body["parts"] + parts
        with pytest.raises(ExchangeError) as caught:
            deposit.deposit(world.hub, world.caller(caller), body)
        answers.append(type(caught.value))

    big = [{"sha256": OTHER, "ct": b64u(bytes(INLINE_BYTES + 1))}]
    attempt(commission, wrong, parts=big, good_signature=False)
    attempt(ngo, wrong, parts=big, good_signature=False)
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["extra"]
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["origin"]
    attempt(ngo, wrong, parts=[], good_signature=False)
    wrong["rcp_kid"] = fresh.public.kid
    attempt(ngo, wrong, parts=[], good_signature=False)
    del wrong["cns"]
    attempt(ngo, wrong | {"seq": 2, "prev": OTHER}, parts=[], good_signature=False)
    attempt(ngo, wrong | {"seq": 2, "prev": OTHER}, parts=[], good_signature=True)
    assert [error.code for error in answers] == [
        "SENDER_MISMATCH",
        "TOO_LARGE",
        "MALFORMED",
        "ORIGIN",
        "KEY_REVOKED",
        "CONSENT_UNKNOWN",
        "SIG_INVALID",
        "SEQ_CONFLICT",
    ]


def test_a_refused_deposit_keeps_its_proof_and_its_entry(
    world: World, ngo: Agency, embassy: Agency, sealed: SealedEnvelope
) -> None:
    caller = world.caller(ngo)
    body = edited(sealed, ngo, lambda core: core.update(cns=OTHER), only=embassy)
    with pytest.raises(ConsentUnknown):
        deposit.deposit(world.hub, caller, body)
    entry = world.last()
    assert (entry.out, entry.rsn, entry.knd) == ("deny", "CONSENT_UNKNOWN", "found_notice")
    assert set(entry.own) == {ngo.id, embassy.id}
    with pytest.raises(ExchangeError):
        deposit.deposit(world.hub, caller, body_of(sealed))
    assert world.last().rsn == "REPLAY"
