"""No mutation of a valid envelope opens: bytes, texts, JSON, parts, grants, manifests, consents, tombstones.

The recipient is the agency program's own checks over a replayed directory. Whatever is refused is refused
with an error of the one tree: anything else is a defect, as is a value that comes out.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.agency.signatures import signers_once
from exchange_keys.envelope import unlock_grant
from exchange_keys.grants import grant_digest
from exchange_keys.jws import Signed, sign
from exchange_keys.manifest import sign_manifest
from exchange_keys.sealing import seal_keys
from exchange_keys.signing import SigningKey
from exchange_schemas import record
from exchange_schemas.codec import b64u, encode, unb64u
from exchange_schemas.consent import Withdrawal
from exchange_schemas.errors import ExchangeError, KeyWrongUse
from exchange_schemas.ids import ConsentId, EnvelopeId, FamilyId
from exchange_schemas.tombstone import Tombstone
from tests.integration.envelope.mutations import (
    as_bytes,
    get,
    leaves,
    means_the_same,
    mutated,
    other_bytes,
    put,
)
from tests.soak import soaked
from tests.vectors.recording.objects import a_withdrawal
from tests.vectors.recording.recipient import Copy, Keys, open_answer
from tests.vectors.recording.seeds import NOW, ORIGIN, an_id, digest, enc
from tests.vectors.recording.sender import EMBASSY_ENC, VALUES, Answer, Sender, a_consent
from tests.vectors.recording.world import COMMISSION, EMBASSY, NGO, World, approver, envelope_key, story


@dataclass(frozen=True, slots=True)
class Scene:
    """A valid answer to the embassy, and others whose pieces may be put into it."""

    world: World
    good: Answer
    others: Sequence[Answer]

    def open(self, answer: Answer) -> dict[str, Any]:
        asked = json.loads(unb64u(self.good["core"], field="core"))["gid"]
        return open_answer(
            Copy(tuple(self.world.log), self.world.state),
            Keys({EMBASSY_ENC.public.kid: EMBASSY_ENC}),
            agency=EMBASSY,
            gid=asked,
            answer=answer,
            now=NOW,
            withdrawn=False,
        )


@cache
def scene() -> Scene:
    """Made once: of another envelope, child, recipient; the sender's own grant; a later manifest."""
    world = story()
    roots = [b64u(world.state.frontier.root())] * len(world.log)
    sender = Sender(roots)
    sent = sender.send()
    other_child = a_consent(
        subj=digest(b"other"), family=FamilyId(an_id("other")), cid=ConsentId(an_id("other cid"))
    )
    others = [
        sent.answer(1),
        sender.send(draft={"eid": EnvelopeId(an_id("second"))}).answer(),
        sender.send(consent=other_child, draft={"eid": EnvelopeId(an_id("third"))}).answer(),
        sender.send(to={"agency": COMMISSION}, draft={"eid": EnvelopeId(an_id("fourth"))}).answer(),
        sender.regranted().answer(),
    ]
    return Scene(world, sent.answer(), others)


@cache
def pictured() -> Scene:
    """The same with a photo, whose ciphertext stands in the answer as well; others may be put there."""
    sender = Sender([b64u(scene().world.state.frontier.root())] * len(scene().world.log))
    rests = a_consent(fields=("child_ref", "last_seen", "photo", "sex"))
    answers = []
    with tempfile.TemporaryDirectory() as name:
        for number, photo in enumerate((PHOTO, PHOTO[::-1], PHOTO + b"more")):
            file = File(name, "photo")
            file.write_bytes(photo)
            draft = {"eid": EnvelopeId(an_id(f"pictured {number}")), "attachments": {"photo": file}}
            fields = ("child_ref", "last_seen", "photo", "sex")
            sent = sender.send(consent=rests, fields=fields, draft=draft, spool=File(name))
            answers.append(sent.answer())
    return Scene(scene().world, answers[0], [*answers[1:], scene().good])


@cache
def later() -> Scene:
    """A grant in a supplementary manifest, and a first one beside it."""
    first = scene()
    return Scene(first.world, first.others[-1], [first.good, *first.others[:-1]])


PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 3
SCENES = {"first": scene, "later": later, "pictured": pictured}


@pytest.mark.parametrize("name", SCENES)
def test_the_envelope_opens_as_it_is(name: str) -> None:
    made = SCENES[name]()
    expected = {**VALUES, "photo": PHOTO} if name == "pictured" else VALUES
    assert made.open(made.good) == expected
    assert made.open({**made.good, "parts": made.good["parts"][::-1]}) == expected


@soaked(600)
@given(st.sampled_from(sorted(SCENES)), st.data())
def test_nothing_that_a_hub_changes_opens(name: str, data: st.DataObject) -> None:
    """Of a first envelope, of a later grant in a supplementary manifest, and of one with a photo."""
    made = SCENES[name]()
    answer = data.draw(mutated(made.good, made.others))
    assume(not means_the_same(answer, made.good))
    with pytest.raises(ExchangeError):
        made.open(answer)


# -- a sender that signs and seals what does not belong together ----------------------------------------


def resealed(core: Mapping[str, Any], keys: Sequence[bytes], answer: Answer, signer: Any) -> Answer:
    """The answer with this core, its keys sealed to it, in a manifest that `signer` signs."""
    data = encode(core)
    sealed = seal_keys(EMBASSY_ENC.public.raw, keys, data)
    manifest = sign_manifest(
        signer,
        origin=ORIGIN,
        eid=core["eid"],
        sender=core["snd"],
        issued_at=NOW,
        grants=[grant_digest(data, sealed)],
    )
    return {**answer, "core": b64u(data), "sealed": b64u(sealed), "manifest": manifest.to_json()}


def part_keys(answer: Answer) -> list[bytes]:
    unlocked = unlock_grant(
        unb64u(answer["core"], field="core"), unb64u(answer["sealed"], field="sealed"), EMBASSY_ENC
    )
    return [unlocked.key_of(ref.f)[1] for ref in unlocked.core.parts]


BOUND = ("origin", "eid", "snd", "rcp", "rcp_kid", "cns", "subj", "gid")
"""Members of a core that its parts, its manifest, its consent or its recipient hold fast."""


@soaked(100)
@given(st.data())
def test_a_signed_grant_whose_pieces_do_not_belong_together_does_not_open(data: st.DataObject) -> None:
    good, others = scene().good, [scene().others[at] for at in (1, 2)]
    core = json.loads(unb64u(good["core"], field="core"))
    keys, parts = part_keys(good), [dict(ref) for ref in core["parts"]]
    other = data.draw(st.sampled_from(others))
    theirs = json.loads(unb64u(other["core"], field="core"))
    at, to = data.draw(st.permutations(range(len(parts))))[:2]
    how = data.draw(
        st.sampled_from(("member", "fields", "ids", "digests", "keys", "key", "length", "sender"))
    )
    signer = envelope_key(NGO)
    if how == "member":
        name = data.draw(st.sampled_from(BOUND))
        value = {**theirs, "origin": "x.example", "snd": COMMISSION, "rcp": COMMISSION}[name]
        core[name] = enc("lost").public.kid if name == "rcp_kid" else value
        assume(core[name] != json.loads(unb64u(good["core"], field="core"))[name])
    elif how in {"fields", "ids", "digests"}:
        member = {"fields": "f", "ids": "p", "digests": "sha256"}[how]
        parts[at][member], parts[to][member] = parts[to][member], parts[at][member]
    elif how == "keys":
        keys[at], keys[to] = keys[to], keys[at]
    elif how == "key":
        keys[at] = data.draw(other_bytes(keys[at], part_keys(other)).filter(lambda key: len(key) == 32))
        assume(keys != part_keys(good))
    elif how == "length":
        parts[at]["len"] += data.draw(st.sampled_from((-1, 1, 16, 16400)))
    else:
        core["snd"], signer = COMMISSION, envelope_key(COMMISSION)
    with pytest.raises(ExchangeError):
        scene().open(resealed({**core, "parts": parts}, keys, good, signer))


@soaked(100)
@given(st.data())
def test_a_part_that_was_made_for_another_place_does_not_open(data: st.DataObject) -> None:
    """A sender names a ciphertext of another envelope or field in its grant, with its key and digest."""
    good = scene().good
    other = data.draw(st.sampled_from([scene().others[1], scene().others[2], good]))
    core, theirs = (json.loads(unb64u(one["core"], field="core")) for one in (good, other))
    keys, their_keys = part_keys(good), part_keys(other)
    at = data.draw(st.integers(0, len(keys) - 1))
    of = data.draw(st.integers(0, len(their_keys) - 1))
    assume((other is not good) or at != of)
    keep_id = data.draw(st.booleans())
    named = {name: theirs["parts"][of][name] for name in ("len", "sha256")}
    if not keep_id and other is not good:
        named["p"] = theirs["parts"][of]["p"]
    keys[at] = their_keys[of]
    parts = [dict(ref) for ref in core["parts"]]
    parts[at] |= named
    shown = [dict(part) for part in good["parts"]]
    shown[at] = {**other["parts"][of], "p": parts[at]["p"], "sha256": named["sha256"]}
    answer = resealed({**core, "parts": parts}, keys, {**good, "parts": shown}, envelope_key(NGO))
    with pytest.raises(ExchangeError):
        scene().open(answer)


def test_the_resealing_of_these_tests_is_good() -> None:
    good = scene().good
    core = json.loads(unb64u(good["core"], field="core"))
    assert scene().open(resealed(core, part_keys(good), good, envelope_key(NGO))) == VALUES


# -- consents and tombstones -------------------------------------------------------------------------


@soaked(100)
@given(st.data())
def test_no_value_of_another_shape_comes_out(data: st.DataObject) -> None:
    """Plaintext that is not exactly a value of its field is refused, though all else is right."""
    plain = record.encode_field("sex", VALUES["sex"])
    bent = data.draw(other_bytes(plain, [b'{"v":"male"}', b'{"v":{"text":"x"}}']))
    assume(len(bent) < 256)
    sender = Sender([b64u(scene().world.state.frontier.root())] * len(scene().world.log))
    answer = sender.send(values={"sex": bent}).answer()
    fresh = replace(scene(), good=answer)
    try:
        values = fresh.open(answer)
    except ExchangeError:
        return
    assert values["sex"] in {"female", "male", "unknown"}
    assert json.loads(bent) == {"v": values["sex"]}


def believed(stone: Any) -> Withdrawal | None:
    """The withdrawal in a tombstone that a recipient believes; None where there is none."""
    read = Tombstone.from_json(stone)
    if read.withdrawal is None:
        return None
    signed = Signed.from_json(dict(read.withdrawal), Withdrawal.LIMIT)
    withdrawal = Withdrawal.from_bytes(signed.payload)
    signers_once(
        scene().world.state,
        signed,
        Withdrawal.typ,
        agency=withdrawal.iss,
        use="approver",
        signed_at=min(withdrawal.iat, NOW),
    )
    return withdrawal


def tombstone(withdrawal: Withdrawal, by: Sequence[SigningKey]) -> Answer:
    return {
        "seq": 1,
        "digest": digest(b"grant"),
        "reason": "CONSENT_WITHDRAWN",
        "withdrawal": json.loads(json.dumps(sign(withdrawal.to_bytes(), Withdrawal.typ, by).to_json())),
    }


BENT_ONCE = ("json", "less", "member", "more", "text", "theirs", "bytes")
BENT_AGAIN = BENT_ONCE[3:]
"""What can be done to a tombstone whose payload may be no JSON any more."""


@st.composite
def bent_stone(draw: st.DrawFn, stone: Answer, others: Sequence[Answer], ways: Sequence[str]) -> Answer:
    """A byte, a text or a member of a tombstone is another, is left out, or comes from another tombstone."""
    path = draw(st.sampled_from(leaves(stone)))
    other = draw(st.sampled_from(others))
    how = draw(st.sampled_from(ways))
    text = get(stone, path)
    data = as_bytes(text)
    if how == "bytes" and data is not None:
        donor = as_bytes(get(other, path)) or bytes(64)
        return put(stone, path, b64u(draw(other_bytes(data, [donor]))))
    if how in ("bytes", "text"):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        return put(stone, path, text[:at] + draw(st.sampled_from("Az0-=\n ")) + text[at + 1 :])
    if how == "member":
        return put(
            stone, (draw(st.sampled_from(sorted(stone))),), draw(st.sampled_from((None, 0, 2, "x", {})))
        )
    if how == "theirs":
        whole = path[: draw(st.integers(1, len(path)))]
        return put(stone, whole, get(other, whole))
    if how == "less":
        gone = draw(st.sampled_from(sorted(stone)))
        return {name: value for name, value in stone.items() if name != gone}
    if how == "more":
        signatures = [*stone["withdrawal"]["signatures"], *other["withdrawal"]["signatures"]]
        return put(stone, ("withdrawal", "signatures"), draw(st.permutations(signatures)))
    said = json.loads(unb64u(stone["withdrawal"]["payload"], field="x"))
    theirs = json.loads(unb64u(other["withdrawal"]["payload"], field="x"))
    name = draw(st.sampled_from(sorted(said)))
    return put(stone, ("withdrawal", "payload"), b64u(json.dumps({**said, name: theirs[name]}).encode()))


@soaked(250)
@given(st.data())
def test_no_mutation_of_a_tombstone_withdraws_anything_else(data: st.DataObject) -> None:
    """It is refused, or what is believed is a true withdrawal, as an approver of its issuer signed it."""
    true = a_withdrawal()
    another = replace(true, family=FamilyId(an_id("another family")))
    theirs = replace(true, iss=COMMISSION, family=FamilyId(an_id("their family")))
    stone = tombstone(true, [approver(NGO, "amal")])
    others = [
        tombstone(another, [approver(NGO, "badr")]),
        tombstone(theirs, [approver(COMMISSION, "amal")]),
        # Signed by one who may not: these are never believed.
        tombstone(another, [approver(COMMISSION, "amal")]),
        tombstone(another, [envelope_key(NGO)]),
    ]
    assert believed(stone) == true
    bent = data.draw(bent_stone(stone, others, BENT_ONCE))
    for _ in range(data.draw(st.integers(0, 1))):
        assume(isinstance(bent.get("withdrawal"), dict) and leaves(bent) == leaves(stone))
        bent = data.draw(bent_stone(bent, others, BENT_AGAIN))
    try:
        found = believed(bent)
    except ExchangeError:
        return
    assert found in (None, true, another, theirs)
    if found is not None and found != true:
        # Whole, in the place of the other: what its issuer has signed counts wherever it comes from.
        assert bent["withdrawal"]["payload"] in [one["withdrawal"]["payload"] for one in others[:2]]


def test_a_tombstone_of_another_agencys_making_withdraws_nothing() -> None:
    theirs = sign(a_withdrawal().to_bytes(), Withdrawal.typ, [approver(COMMISSION, "amal")]).to_json()
    stone = {"seq": 1, "digest": digest(b"grant"), "reason": "CONSENT_WITHDRAWN", "withdrawal": theirs}
    with pytest.raises(KeyWrongUse):
        believed(stone)
