"""Sealing an envelope to several recipients, opening each grant, and granting again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange_keys.envelope import (
    Recipient,
    SealedEnvelope,
    open_grant,
    seal_envelope,
    unlock_grant,
)
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import (
    ExchangeError,
    FieldDenied,
    KeyWrongUse,
    KidUnknown,
    Malformed,
    PartDigest,
    PartMissing,
    RecipientDenied,
    SenderMismatch,
    TooLarge,
)
from exchange_schemas.ids import AgencyId, EnvelopeId
from exchange_schemas.limits import LIMITS
from tests.unit.keys.keys_factory import (
    NOW,
    ORIGIN,
    VALUES,
    A,
    B,
    C,
    a_digest,
    an_id,
    draft,
    grant_of,
    opened,
    parts_of,
    seal,
    seed,
)


def test_each_recipient_opens_its_own_fields_and_no_others() -> None:
    sealed = seal()
    assert opened(sealed, B) == {
        "name_given": VALUES["name_given"],
        "sex": VALUES["sex"],
        "child_ref": b"ref for agency-b",
    }
    assert opened(sealed, C) == {"sex": VALUES["sex"], "languages": VALUES["languages"]}


def test_the_sender_always_gets_a_grant_with_every_shared_part() -> None:
    assert opened(seal(), A) == VALUES
    core = GrantCore.from_bytes(grant_of(seal(), A)[0])
    assert (core.snd, core.rcp, core.cns, core.subj) == (A.id, A.id, None, None)
    own = seal(itself=A.itself(values={"child_ref": b"ours"}))
    assert opened(own, A) == {**VALUES, "child_ref": b"ours"}


def test_a_shared_part_is_sealed_once_and_a_per_recipient_part_for_each() -> None:
    sealed = seal(B.recipient(), C.recipient())
    b, c = (GrantCore.from_bytes(grant_of(sealed, who)[0]) for who in (B, C))
    by_field = [{ref.f: ref for ref in core.parts} for core in (b, c)]
    assert by_field[0]["sex"] == by_field[1]["sex"]
    assert by_field[0]["child_ref"] != by_field[1]["child_ref"]
    assert opened(sealed, C)["child_ref"] == b"ref for agency-c"
    assert len(sealed.parts) == 2 + 2


def test_a_value_that_nobody_is_granted_is_not_sealed() -> None:
    sealed = seal(B.recipient(fields=("sex",), values={}))
    assert len(sealed.parts) == 1
    assert opened(sealed, A) == {"sex": VALUES["sex"]}


def test_a_grant_says_what_its_recipient_and_draft_say() -> None:
    recipient = B.recipient(
        purpose="verify", expires_at=NOW + timedelta(days=1), seq=4, prev=a_digest("grant 3")
    )
    sealed = seal(
        recipient,
        reply_by=NOW + timedelta(hours=5),
        in_reply_to=EnvelopeId(an_id("other")),
        supersedes=EnvelopeId(an_id("older")),
    )
    core = GrantCore.from_bytes(grant_of(sealed, B)[0])
    assert core.parts
    assert core == GrantCore(
        origin=ORIGIN,
        eid=EnvelopeId(an_id("envelope 1")),
        gid=core.gid,
        kind="found_notice",
        thread=recipient.thread,
        snd=A.id,
        rcp=B.id,
        rcp_kid=B.enc.public.kid,
        sch=1,
        pur="verify",
        iat=NOW,
        exp=NOW + timedelta(days=1),
        seq=4,
        prev=a_digest("grant 3"),
        dir=draft().directory,
        parts=core.parts,
        cns=a_digest("consent agency-b"),
        subj=a_digest("subject agency-b"),
        reply_by=NOW + timedelta(hours=5),
        in_reply_to=EnvelopeId(an_id("other")),
        supersedes=EnvelopeId(an_id("older")),
    )


def test_the_cores_are_the_bytes_that_the_schema_writes() -> None:
    sealed = seal(reply_by=NOW + timedelta(hours=1))
    for grant in sealed.grants:
        assert GrantCore.from_bytes(grant.core).to_bytes() == grant.core


def test_the_lengths_show_the_bucket_and_nothing_else() -> None:
    lengths = []
    for text in (b"", b"a" * 200):
        sealed = seal(B.recipient(fields=("name_given",), values={}), values={"name_given": text})
        lengths.append([len(part) for part in sealed.parts.values()])
    assert lengths == [[512 + 72], [512 + 72]]


def test_a_message_without_fields_can_be_sealed() -> None:
    sealed = seal(B.recipient(fields=(), values={}))
    assert opened(sealed, B) == {}
    assert opened(sealed, A) == {}


def test_nothing_of_a_draft_or_recipient_shows_a_value() -> None:
    shown = repr(draft()) + repr(B.recipient()) + repr(unlock_grant(*grant_of(seal(), A), A.enc))
    for value in (*VALUES.values(), b"ref for agency-b"):
        assert value.decode() not in shown


def test_ids_and_keys_come_from_the_given_randomness() -> None:
    drawn: list[int] = []

    def counted(length: int) -> bytes:
        drawn.append(length)
        return seed(f"draw {len(drawn)}")[:length]

    given = (B.recipient(fields=("sex",), values={}),)
    sealed = seal_envelope(draft(), given, A.itself(), A.envelope, random=counted)
    assert sorted(drawn) == [16, 16, 16, 32]
    assert opened(sealed, B) == {"sex": VALUES["sex"]}


# -- what is refused before anything is sealed ----------------------------------------


@pytest.mark.parametrize(
    ("recipient", "error"),
    [
        (A.recipient(), RecipientDenied),
        (B.recipient(kid=C.enc.public.kid), KidUnknown),
        (B.recipient(fields=("sex", "sex"), values={}), FieldDenied),
        (B.recipient(fields=("sex", "marks"), values={}), FieldDenied),
        (B.recipient(fields=("favourite_colour",), values={}), FieldDenied),
        (B.recipient(values={}), FieldDenied),
        (B.recipient(values={"child_ref": b"r", "sex": b"s"}), FieldDenied),
        (B.recipient(fields=("sex",)), FieldDenied),
        (B.recipient(agency=AgencyId("B!")), Malformed),
        (B.recipient(thread="thread"), Malformed),
        (B.recipient(seq=0), Malformed),
        (B.recipient(seq=2), Malformed),
        (B.recipient(prev=a_digest("x")), Malformed),
        (B.recipient(purpose="curiosity"), Malformed),
        (B.recipient(consent_digest=None), Malformed),
        (B.recipient(subj=None), Malformed),
        (B.recipient(consent_digest=None, subj=None), Malformed),
        (B.recipient(expires_at=NOW), Malformed),
        (B.recipient(expires_at=NOW + timedelta(microseconds=5)), Malformed),
    ],
)
def test_a_recipient_that_does_not_fit_is_refused(recipient: Recipient, error: type[ExchangeError]) -> None:
    with pytest.raises(error):
        seal(recipient)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"values": {"name_given": b"x", "sex": b"y" * 256}}, Malformed),
        ({"values": {"name_given": b"x"}}, FieldDenied),
        ({"origin": "UPPER"}, Malformed),
        ({"eid": "short"}, Malformed),
        ({"kind": "gossip"}, Malformed),
        ({"expires_at": NOW - timedelta(days=1)}, Malformed),
        ({"issued_at": NOW.replace(tzinfo=None)}, Malformed),
    ],
)
def test_a_draft_that_does_not_fit_is_refused(changes: dict[str, Any], error: type[ExchangeError]) -> None:
    with pytest.raises(error):
        seal(B.recipient(), **changes)


def test_a_key_that_nothing_can_be_sealed_to_is_refused() -> None:
    low = B.enc.public.raw[:1184] + bytes(32)
    kid = replace(B.enc.public, raw=low).kid
    with pytest.raises(KeyWrongUse):
        seal(B.recipient(enc_public_raw=low, kid=kid))


def test_no_recipient_too_many_and_one_twice_are_refused() -> None:
    with pytest.raises(Malformed):
        seal_envelope(draft(), [], A.itself(), A.envelope)
    many = [B.recipient(agency=AgencyId(f"agency-{number}"), fields=(), values={}) for number in range(65)]
    assert len(seal(*many[:64]).grants) == 65
    with pytest.raises(Malformed):
        seal(*many)
    with pytest.raises(RecipientDenied):
        seal(B.recipient(), B.recipient())


def test_a_missing_or_foreign_self_grant_is_refused() -> None:
    with pytest.raises(SenderMismatch):
        seal(B.recipient(), itself=C.itself())
    with pytest.raises(KidUnknown):
        seal(B.recipient(), itself=A.itself(kid=B.enc.public.kid))


# -- what is refused on opening ----------------------------------------


def test_another_recipients_grant_is_refused() -> None:
    sealed = seal()
    with pytest.raises(KidUnknown):
        open_grant(*grant_of(sealed, B), C.enc, parts_of(sealed))


def test_parts_swapped_between_fields_grants_and_envelopes_are_refused() -> None:
    sealed = seal(B.recipient(), C.recipient())
    other = seal(values={**VALUES, "sex": b'{"v":"male"}'})
    refs = {ref.f: ref for ref in GrantCore.from_bytes(grant_of(sealed, B)[0]).parts}
    of_c = {ref.f: ref for ref in GrantCore.from_bytes(grant_of(sealed, C)[0]).parts}
    theirs = {ref.f: ref for ref in GrantCore.from_bytes(grant_of(other, B)[0]).parts}
    swaps: dict[str, Callable[[PartRef], bytes]] = {
        "fields": lambda ref: sealed.parts[refs["child_ref" if ref.f == "sex" else ref.f].sha256],
        "grants": lambda ref: sealed.parts[of_c[ref.f].sha256],
        "envelopes": lambda ref: other.parts[theirs[ref.f].sha256],
    }
    for swapped in swaps.values():
        with pytest.raises(PartDigest):
            open_grant(*grant_of(sealed, B), B.enc, swapped)


def test_a_part_that_the_hub_leaves_out_or_cuts_is_named() -> None:
    sealed = seal()

    def missing(ref: PartRef) -> bytes:
        if ref.f == "sex":
            raise PartMissing("sex: the hub did not give the part", field="sex")
        return sealed.parts[ref.sha256]

    with pytest.raises(PartMissing) as left_out:
        open_grant(*grant_of(sealed, B), B.enc, missing)
    with pytest.raises(PartDigest) as cut:
        open_grant(
            *grant_of(sealed, B),
            B.enc,
            lambda ref: sealed.parts[ref.sha256][: -1 if ref.f == "sex" else None],
        )
    assert left_out.value.field == cut.value.field == "sex"


def test_every_digest_is_checked_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal()
    last = GrantCore.from_bytes(grant_of(sealed, B)[0]).parts[-1]

    def never(**_arguments: object) -> bytes:
        raise AssertionError("opened")

    monkeypatch.setattr("exchange_keys.grants.open_part", never)
    with pytest.raises(PartDigest):
        open_grant(
            *grant_of(sealed, B),
            B.enc,
            lambda ref: b"x" * ref.len if ref == last else sealed.parts[ref.sha256],
        )


def test_a_field_that_a_grant_lacks_has_no_key() -> None:
    with pytest.raises(PartMissing):
        unlock_grant(*grant_of(seal(), C), C.enc).key_of("name_given")


# -- attachments ----------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(range(256)) * 400)
    return path


def with_photo(photo: Path, **changes: Any) -> SealedEnvelope:
    spool = photo.parent / "spool"
    spool.mkdir(exist_ok=True)
    recipients = (B.recipient(fields=("sex", "photo"), values={}), C.recipient(fields=("sex",), values={}))
    return seal_envelope(
        draft(attachments={"photo": photo}, **changes), recipients, A.itself(), A.envelope, spool=spool
    )


def test_an_attachment_travels_as_a_file_beside_the_small_parts(photo: Path) -> None:
    sealed = with_photo(photo)
    (digest,) = sealed.attachments
    assert digest not in sealed.parts
    assert opened(sealed, B) == {"sex": VALUES["sex"]}
    for who in (A, B):
        grant = unlock_grant(*grant_of(sealed, who), who.enc)
        target = photo.parent / f"{who.id}.jpg"
        assert grant.attachment("photo", sealed.attachments[digest], target) == 102_400
        assert target.read_bytes() == photo.read_bytes()
    with pytest.raises(PartMissing):
        unlock_grant(*grant_of(sealed, C), C.enc).attachment("photo", photo, photo.parent / "c.jpg")


def test_an_envelope_that_fails_leaves_no_sealed_attachment(photo: Path) -> None:
    with pytest.raises(Malformed):
        with_photo(photo, kind="gossip")
    assert list((photo.parent / "spool").iterdir()) == []


def test_an_attachment_over_its_limit_is_too_large(photo: Path) -> None:
    with photo.open("r+b") as file:
        file.truncate(LIMITS.attachment_bytes + 1)
    with pytest.raises(TooLarge):
        with_photo(photo)
    assert list((photo.parent / "spool").iterdir()) == []


def test_an_attachment_without_spool_or_for_a_small_field_and_a_value_for_a_photo_are_refused(
    photo: Path,
) -> None:
    with pytest.raises(Malformed):
        seal(B.recipient(fields=("photo",), values={}), attachments={"photo": photo})
    with pytest.raises(Malformed):
        seal_envelope(
            draft(attachments={"sex": photo}),
            [B.recipient(fields=("sex",), values={})],
            A.itself(),
            A.envelope,
            spool=photo.parent,
        )
    with pytest.raises(Malformed):
        seal(B.recipient(fields=("photo",), values={}), values={"photo": b"jpeg"})
