"""Disclosed evidence fits the consent that it was signed for, and nothing else passes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.member.evidence import check_evidence, evidence_digest, subject, write_evidence
from exchange_keys.jws import Signed, sign
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.errors import (
    ConsentMismatch,
    ExchangeError,
    KidUnknown,
    Malformed,
    SigInvalid,
    SubjectMismatch,
)
from exchange_schemas.ids import AgencyId, ConsentId, FamilyId

KEY = SigningKey.generate()
SALTS = {"child": b"c" * 32, "relative": b"r" * 32, "screening": b"s" * 32}
TEXTS = {"child": "minutes of 3 May", "relative": "file 12", "screening": "form, signed by two"}
NOW = datetime(2026, 11, 23, tzinfo=UTC)
EVIDENCE = {name: {"text": TEXTS[name], "salt": b64u(SALTS[name])} for name in TEXTS}
OPENED = (b"o" * 32, "7Hq2")


def signed(*keys: SigningKey) -> Signed:
    digests = {name: evidence_digest(SALTS[name], TEXTS[name]) for name in TEXTS}
    consent = Consent(
        origin="exchange.example",
        cid=ConsentId("c" * 21 + "A"),
        family=FamilyId("f" * 21 + "A"),
        iss=AgencyId("ngo"),
        rcp=AgencyId("embassy"),
        pur=("trace",),
        fields=("relatives", "sex"),
        authorities=(
            Authority(about="child", basis="best_interests_decision", evidence_digest=digests["child"]),
            Authority(about="relative", basis="public_task", evidence_digest=digests["relative"]),
        ),
        screening=Screening(state="cleared", evidence_digest=digests["screening"]),
        nbf=NOW,
        exp=NOW + timedelta(days=30),
        retention_days=90,
        subj=subject(*OPENED),
        iat=NOW,
        record=ConsentRecord(schema_version="1"),
    )
    return sign(consent.to_bytes(), Consent.typ, list(keys) or [KEY])


def file(**changes: Any) -> bytes:
    data = json.loads(write_evidence(signed(), {KEY.public.kid: KEY.public.raw}, EVIDENCE, OPENED))
    return json.dumps(data | changes).encode()


def test_evidence_that_fits_is_told_with_its_keys_and_its_child() -> None:
    found = check_evidence(file())
    assert found.texts == TEXTS
    assert (found.issuer, found.recipient, found.ref) == ("ngo", "embassy", "7Hq2")
    assert (found.kids, found.missing) == ((KEY.public.kid,), ())
    assert found.bases == {"child": "best_interests_decision", "relative": "public_task"}


def test_a_part_may_be_disclosed_and_what_is_missing_is_named() -> None:
    part = {"child": EVIDENCE["child"]}
    found = check_evidence(write_evidence(signed(), {KEY.public.kid: KEY.public.raw}, part))
    assert (set(found.texts), found.missing, found.ref) == ({"child"}, ("relative", "screening"), None)


OTHER = SigningKey.generate()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"evidence": {"child": {**EVIDENCE["child"], "text": "minutes of 4 May"}}}, ConsentMismatch),
        ({"evidence": {"child": {**EVIDENCE["child"], "salt": b64u(b"x" * 32)}}}, ConsentMismatch),
        ({"evidence": {"child": EVIDENCE["relative"]}}, ConsentMismatch),
        ({"evidence": {"caregiver": EVIDENCE["child"]}}, ConsentMismatch),
        ({"evidence": {"child": {"text": "x"}}}, Malformed),
        ({"evidence": {"child": {"text": 7, "salt": b64u(b"x" * 32)}}}, Malformed),
        ({"evidence": {"child": {"text": "x", "salt": "AA"}}}, Malformed),
        ({"evidence": {"child": {**EVIDENCE["child"], "text": "x" * 70_000}}}, Malformed),
        ({"evidence": []}, Malformed),
        ({"subject": {"salt": b64u(OPENED[0]), "ref": "8Hq2"}}, SubjectMismatch),
        ({"subject": {"salt": b64u(OPENED[0])}}, Malformed),
        ({"keys": {}}, Malformed),
        ({"keys": {KEY.public.kid: b64u(OTHER.public.raw)}}, Malformed),
        ({"keys": {OTHER.public.kid: b64u(OTHER.public.raw)}}, KidUnknown),
        ({"typ": "hx-consent"}, Malformed),
        ({"v": 2}, Malformed),
        ({"note": "x"}, Malformed),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], error: type[ExchangeError]) -> None:
    with pytest.raises(error):
        check_evidence(file(**changes))


def test_a_changed_signature_is_refused() -> None:
    data = json.loads(file())
    signature = data["consent"]["signatures"][0]
    signature["signature"] = ("B" if signature["signature"][0] == "A" else "A") + signature["signature"][1:]
    with pytest.raises(SigInvalid):
        check_evidence(json.dumps(data).encode())


def test_two_approvers_are_both_told() -> None:
    keys = {key.public.kid: key.public.raw for key in (KEY, OTHER)}
    found = check_evidence(write_evidence(signed(KEY, OTHER), keys, EVIDENCE))
    assert set(found.kids) == set(keys)
