"""Whole answers of a hub to a recipient: one that opens, and each way in which one can be wrong.

What a dishonest hub changes is changed in the answer; what a dishonest sender does is signed and sealed anew.
"""

from __future__ import annotations

import copy as copying
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from exchange_keys.jws import sign
from exchange_keys.manifest import sign_manifest
from exchange_keys.signing import SigningKey
from exchange_schemas import message, record
from exchange_schemas.codec import b64u, format_time, unb64u
from exchange_schemas.consent import Authority, Screening
from exchange_schemas.envelope import TreeHead
from exchange_schemas.ids import EnvelopeId, FamilyId, ThreadId
from tests.vectors.recording.recipient import Copy, Keys, open_answer
from tests.vectors.recording.seeds import NOW, ORIGIN, Case, an_id, code_of, digest, enc, flipped, signing
from tests.vectors.recording.sender import EMBASSY_ENC, Answer, Sender, a_consent, json_of
from tests.vectors.recording.world import COMMISSION, EMBASSY, NGO, World, approver, envelope_key


def _flip(answer: Answer, name: str, at: int) -> Answer:
    return {**answer, name: b64u(flipped(unb64u(answer[name], field=name), at))}


def _deep(answer: Answer, change: Callable[[Answer], object]) -> Answer:
    copied = copying.deepcopy(answer)
    change(copied)
    return copied


def _flip_in(holder: dict[str, Any], name: str, at: int) -> None:
    holder[name] = b64u(flipped(unb64u(holder[name], field=name), at))


def hub_cases(sender: Sender) -> dict[str, tuple[Answer, str | None]]:
    """What a hub can do with what it was given."""
    sent = sender.send()
    good = sent.answer()
    other_child = sender.send(
        consent=a_consent(subj=digest(b"other"), family=FamilyId(an_id("other")))
    ).answer()
    second = sender.send(draft={"eid": EnvelopeId(an_id("second"))}).answer()
    own_grant = sent.answer(1)
    parts = good["parts"]

    def part(number: int, change: Callable[[dict[str, Any]], object]) -> Answer:
        return _deep(good, lambda answer: change(answer["parts"][number]))

    return {
        "opens": (good, None),
        "opens with its parts in another order": ({**good, "parts": parts[::-1]}, None),
        "a flipped manifest payload": (
            _deep(good, lambda answer: _flip_in(answer["manifest"], "payload", 2)),
            "MALFORMED",
        ),
        "a flipped manifest signature": (
            _deep(good, lambda answer: _flip_in(answer["manifest"]["signatures"][0], "signature", 3)),
            "SIG_INVALID",
        ),
        "the manifest of another envelope": ({**good, "manifest": second["manifest"]}, "MANIFEST_MISMATCH"),
        "a flipped core": (_flip(good, "core", 0), "MALFORMED"),
        "another core": ({**good, "core": second["core"]}, "MANIFEST_MISMATCH"),
        "flipped sealed keys": (_flip(good, "sealed", 1130), "MANIFEST_MISMATCH"),
        "the sealed keys of another envelope": ({**good, "sealed": second["sealed"]}, "MANIFEST_MISMATCH"),
        "another envelope than the one asked for": (second, "MANIFEST_MISMATCH"),
        "the sender's grant for itself": (own_grant, "RECIPIENT_DENIED"),
        "no consent": ({**good, "consent": None}, "CONSENT_UNKNOWN"),
        "another consent": ({**good, "consent": other_child["consent"]}, "CONSENT_MISMATCH"),
        "a flipped consent signature": (
            _deep(good, lambda answer: _flip_in(answer["consent"]["signatures"][0], "signature", 3)),
            "SIG_INVALID",
        ),
        "a part left out": ({**good, "parts": parts[:-1]}, "PART_MISSING"),
        "a part twice": ({**good, "parts": [*parts, parts[0]]}, "PART_DIGEST"),
        "a part of another envelope beside": ({**good, "parts": [*parts, second["parts"][0]]}, "PART_DIGEST"),
        "a part under another digest": (
            part(0, lambda one: one.update(sha256=parts[1]["sha256"])),
            "PART_DIGEST",
        ),
        "a ciphertext left out": (part(1, lambda one: one.pop("ct")), "PART_MISSING"),
        "a flipped ciphertext": (part(1, lambda one: _flip_in(one, "ct", 100)), "PART_DIGEST"),
        "two ciphertexts exchanged": (
            _deep(
                good,
                lambda answer: [answer["parts"][n].update(ct=parts[1 - n]["ct"]) for n in (0, 1)],
            ),
            "PART_DIGEST",
        ),
        "a ciphertext of another envelope": (
            part(1, lambda one: one.update(ct=second["parts"][1]["ct"])),
            "PART_DIGEST",
        ),
        "no core": ({**good, "core": ""}, "MALFORMED"),
    }


def sender_cases(sender: Sender) -> dict[str, tuple[Answer, str | None]]:
    """What a sender can do with keys and consents of its own."""
    good = sender.send()

    def resigned(manifest_signers: tuple[SigningKey, ...], **changes: Any) -> Answer:
        values = {
            "origin": ORIGIN,
            "eid": EnvelopeId(an_id("eid")),
            "sender": NGO,
            "issued_at": NOW,
            "grants": [grant.digest for grant in good.envelope.grants],
            **changes,
        }
        signed = sign_manifest(manifest_signers[0], **values)
        signed = sign(signed.payload, "hx-manifest", manifest_signers)
        return {**good.answer(), "manifest": signed.to_json()}

    def under(**changes: Any) -> Answer:
        return sender.send(consent=a_consent(**changes)).answer()

    mine, urgent = (
        envelope_key(NGO),
        (Authority(about="child", basis="vital_interest", evidence_digest=digest(b"evidence")),),
    )
    short = {"nbf": NOW - timedelta(hours=1), "exp": NOW + timedelta(hours=71), "authorities": urgent}
    asked = {
        "kind": "information_request",
        "fields": ("asked_fields", "need_code"),
        "own": {},
        "values": {
            "asked_fields": message.encode_field("asked_fields", ["sex"]),
            "need_code": message.encode_field("need_code", "identify"),
        },
        "to": {"consent_digest": None, "subj": None},
        "draft": {"reply_by": NOW + timedelta(days=3)},
    }
    request = sender.send(**asked).answer()
    return {
        "a manifest by an approver": (resigned((approver(NGO, "amal"),)), "KEY_WRONG_USE"),
        "a manifest by another agency": (resigned((envelope_key(COMMISSION),)), "KEY_WRONG_USE"),
        "a manifest by a stranger": (resigned((signing("stranger"),)), "KID_UNKNOWN"),
        "a manifest by two keys": (resigned((mine, approver(NGO, "amal"))), "SIG_INVALID"),
        "a manifest of another deployment": (resigned((mine,), origin="x.example"), "ORIGIN"),
        "a manifest of another envelope": (
            resigned((mine,), eid=EnvelopeId(an_id("x"))),
            "MANIFEST_MISMATCH",
        ),
        "a manifest before its key was valid": (
            resigned((mine,), issued_at=NOW - timedelta(days=400)),
            "KEY_NOT_ACTIVE",
        ),
        "the manifest of one who passes it off": (
            resigned((envelope_key(COMMISSION),), sender=COMMISSION),
            "SENDER_MISMATCH",
        ),
        "a manifest that lists another grant": (
            resigned((mine,), grants=[digest(b"x")]),
            "MANIFEST_MISMATCH",
        ),
        "a core of another deployment": (
            sender.send(draft={"origin": "x.example"}).answer(),
            "ORIGIN",
        ),
        "another directory": (
            sender.send(draft={"directory": replace(sender.directory, root=digest(b"x"))}).answer(),
            "LOG_FORK",
        ),
        "an earlier directory": (
            sender.send(draft={"directory": TreeHead(size=0, root=digest(b""))}).answer(),
            None,
        ),
        "a grant to another agency": (sender.send(to={"agency": COMMISSION}).answer(), "RECIPIENT_DENIED"),
        "a grant to a lost key": (
            sender.send(
                to={"kid": enc("lost").public.kid, "enc_public_raw": enc("lost").public.raw}
            ).answer(),
            "KID_UNKNOWN",
        ),
        "a grant from the future": (
            sender.send(draft={"issued_at": NOW + timedelta(seconds=121)}).answer(),
            "MALFORMED",
        ),
        "a grant from a clock that is a little ahead": (
            sender.send(draft={"issued_at": NOW + timedelta(seconds=120)}).answer(),
            None,
        ),
        "a grant past its time": (
            sender.send(draft={"issued_at": NOW - timedelta(days=1), "expires_at": NOW}).answer(),
            "GRANT_EXPIRED",
        ),
        "a consent by an envelope key": (sender.send(approvers=(mine,)).answer(), "KEY_WRONG_USE"),
        "a consent by another agency's approver": (
            sender.send(approvers=(approver(COMMISSION, "amal"),)).answer(),
            "KEY_WRONG_USE",
        ),
        "a consent by a stranger": (sender.send(approvers=(signing("stranger"),)).answer(), "KID_UNKNOWN"),
        "a consent by two approvers": (
            sender.send(approvers=(approver(NGO, "amal"), approver(NGO, "badr"))).answer(),
            None,
        ),
        "a consent by an approver and an envelope key": (
            sender.send(approvers=(approver(NGO, "amal"), mine)).answer(),
            "KEY_WRONG_USE",
        ),
        "a consent of another deployment": (under(origin="x.example"), "ORIGIN"),
        "vital interest by one person": (under(**short), "AUTHORITY_MISSING"),
        "vital interest by two persons": (
            sender.send(
                consent=a_consent(**short), approvers=(approver(NGO, "amal"), approver(NGO, "badr"))
            ).answer(),
            None,
        ),
        "vital interest for too long": (
            sender.send(
                consent=a_consent(authorities=urgent),
                approvers=(approver(NGO, "amal"), approver(NGO, "badr")),
            ).answer(),
            "AUTHORITY_MISSING",
        ),
        "a consent for another agency": (under(rcp=COMMISSION), "RECIPIENT_DENIED"),
        "a consent for another child": (
            sender.send(to={"subj": digest(b"another")}).answer(),
            "SUBJECT_MISMATCH",
        ),
        "a consent for another thread": (under(thread=ThreadId(an_id("x"))), "CONSENT_MISMATCH"),
        "a consent that is over": (under(exp=NOW - timedelta(seconds=120)), "CONSENT_EXPIRED"),
        "a consent that is over within the leeway": (under(exp=NOW - timedelta(seconds=119)), None),
        "a consent that begins later": (under(nbf=NOW + timedelta(seconds=121)), "CONSENT_EXPIRED"),
        "a purpose outside the consent": (under(pur=("verify",)), "PURPOSE_DENIED"),
        "a field outside the consent": (under(fields=("child_ref", "last_seen")), "FIELD_DENIED"),
        "a field that is not for the purpose": (
            sender.send(draft={"purpose": "verify"}, consent=a_consent(pur=("health",))).answer(),
            "PURPOSE_DENIED",
        ),
        "no screening": (under(screening=Screening(state="not_required")), None),
        "a field that the kind has not": (
            sender.send(
                fields=("child_ref", "last_seen", "sex", "current_facility"),
                values={"current_facility": record.encode_field("current_facility", "House")},
            ).answer(),
            "FIELD_DENIED",
        ),
        "a field that the kind needs": (sender.send(fields=("child_ref", "sex")).answer(), "FIELD_DENIED"),
        "a value of another field": (
            sender.send(values={"sex": record.encode_field("birth_date", "2019")}).answer(),
            "MALFORMED",
        ),
        "a value with a member beside": (
            sender.send(values={"sex": b'{"v":"female","w":1}'}).answer(),
            "MALFORMED",
        ),
        "a later grant in a supplementary manifest": (sender.regranted().answer(), None),
        "a request without a consent": (request, None),
        "a request with a consent beside": ({**request, "consent": good.consent}, "CONSENT_MISMATCH"),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer, the grant that was asked for, and when."""

    answer: Answer
    gid: str
    now: datetime = NOW
    withdrawn: bool = False

    @classmethod
    def for_own(cls, answer: Answer) -> Asked:
        return cls(answer, json_of(unb64u(answer["core"], field="core"))["gid"])


def envelope_file(world: World, roots: list[str]) -> Case:
    """`now`, the embassy's enc key by its label, and cases with the gid asked for."""
    sender = Sender(roots)
    hub = hub_cases(sender)
    good = Asked.for_own(hub["opens"][0])
    own = hub.pop("the sender's grant for itself")
    asked: dict[str, tuple[Asked, str | None]] = {
        **{name: (replace(good, answer=answer), error) for name, (answer, error) in hub.items()},
        "the sender's grant for itself": (Asked.for_own(own[0]), own[1]),
        **{name: (Asked.for_own(answer), error) for name, (answer, error) in sender_cases(sender).items()},
        "a withdrawal that the recipient has seen": (replace(good, withdrawn=True), "CONSENT_WITHDRAWN"),
        "after the grant's time": (replace(good, now=NOW + timedelta(days=50)), "GRANT_EXPIRED"),
    }
    copy = Copy(tuple(world.log), world.state)
    cases = [_case(name, one, error, copy) for name, (one, error) in asked.items()]
    return {"agency": EMBASSY, "enc": "embassy enc", "cases": cases}


def _case(name: str, asked: Asked, error: str | None, copy: Copy) -> Case:
    keys = Keys({EMBASSY_ENC.public.kid: EMBASSY_ENC})
    values: Answer = {}
    code = code_of(
        lambda: values.update(
            open_answer(
                copy,
                keys,
                agency=EMBASSY,
                gid=asked.gid,
                answer=asked.answer,
                now=asked.now,
                withdrawn=asked.withdrawn,
            )
        )
    )
    if code != error:
        raise AssertionError(f"{name}: {code} and not {error}")
    return {
        "name": name,
        "gid": asked.gid,
        "now": format_time(asked.now),
        "withdrawn": asked.withdrawn,
        "answer": asked.answer,
        "error": error,
        "values": values if error is None else None,
    }
