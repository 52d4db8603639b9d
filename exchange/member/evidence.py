"""Evidence behind a consent, disclosed: the file that its issuer writes and an auditor checks.

A consent carries salted digests of what it rests on. The file holds the signed consent, the texts with their
salts, the public keys that signed, and where asked for what opens the subject. It proves that these texts,
and no others, were behind the consent when it was signed. Whose the keys are only the key directory can say;
that a text is true, nobody's mathematics. The file is as delicate as a case file: it must never be written
into a log or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.public import ED25519, PublicKey
from exchange_schemas.codec import JsonValue, b64u, decode, encode, lp, sha256, unb64u
from exchange_schemas.consent import Consent
from exchange_schemas.errors import ConsentMismatch, Malformed, SubjectMismatch
from exchange_schemas.ids import AgencyId, ConsentId, Digest, Kid
from exchange_schemas.limits import LIMITS

TYP: Final = "hx-evidence"
VERSION: Final = 1
SALT_BYTES: Final = 32
FILE_BYTES: Final = 256 * 1024
_TEXT_BYTES: Final = 64 * 1024
_MEMBERS: Final = {"v", "typ", "consent", "keys", "evidence"}
SCREENING: Final = "screening"


def evidence_digest(salt: bytes, text: str) -> Digest:
    """`H(LP("hx1/evidence") ‖ LP(salt32) ‖ LP(text))`."""
    return Digest(b64u(sha256(lp(b"hx1/evidence", salt, text.encode()))))


def subject(salt: bytes, ref: str) -> Digest:
    """`H(LP("hx1/subject") ‖ LP(salt32) ‖ LP(local id))`: binds a consent to one child, names none."""
    return Digest(b64u(sha256(lp(b"hx1/subject", salt, ref.encode()))))


@dataclass(frozen=True, slots=True)
class Proven:
    """Evidence that fits its consent. `kids`: the keys that signed; the key directory says whose they are.

    `texts`: by what they are evidence of (child, relative, caregiver, screening). `missing`: what the consent
    has a digest of and the file no text. `ref`: the issuer's own reference of the child, if it was disclosed.
    """

    cid: ConsentId
    issuer: AgencyId
    recipient: AgencyId
    kids: tuple[Kid, ...]
    bases: Mapping[str, str]
    texts: Mapping[str, str]
    missing: tuple[str, ...]
    ref: str | None


def write_evidence(
    signed: Signed,
    keys: Mapping[Kid, bytes],
    evidence: Mapping[str, JsonValue],
    opened: tuple[bytes, str] | None = None,
) -> bytes:
    """The file; `evidence` as it is kept: {about: {text, salt}}. `opened`: salt and reference of the subject.

    Raises: Malformed when it would not be read again.
    """
    members: dict[str, JsonValue] = {
        "v": VERSION,
        "typ": TYP,
        "consent": signed.to_json(),
        "keys": {kid: b64u(raw) for kid, raw in keys.items()},
        "evidence": dict(evidence),
    }
    if opened is not None:
        members["subject"] = {"salt": b64u(opened[0]), "ref": opened[1]}
    data = encode(members, limit=FILE_BYTES)
    check_evidence(data)
    return data


def check_evidence(data: bytes) -> Proven:
    """Check a file that `write_evidence` wrote, in these steps:

    (1) strict form (2) every signature of the consent verifies with the key beside it (3) every text has the
    digest that stands in the consent for it (4) the reference, if any, is the one of the consent's subject.
    Raises: Malformed, VersionUnsupported (1); KidUnknown, SigInvalid (2); ConsentMismatch (3);
    SubjectMismatch (4).
    """
    members = decode(data, limit=FILE_BYTES)
    if members.get("typ") != TYP or members.get("v") != VERSION:
        raise Malformed("the file is not evidence of a consent", field="typ")
    if not _MEMBERS <= set(members) <= {*_MEMBERS, "subject"}:
        raise Malformed("the file of evidence has other members than it should", field="evidence")
    signed = Signed.from_json(members["consent"], LIMITS.consent_bytes)
    consent = Consent.from_bytes(signed.payload)
    keys = _keys(members["keys"])
    kids = jws.verify(signed, Consent.typ, origin=consent.origin, key_for=keys.get)
    digests = _digests(consent)
    texts = _texts(members["evidence"], digests)
    return Proven(
        cid=consent.cid,
        issuer=consent.iss,
        recipient=consent.rcp,
        kids=kids,
        bases={item.about: item.basis for item in consent.authorities},
        texts=texts,
        missing=tuple(sorted(set(digests) - set(texts))),
        ref=_reference(members.get("subject"), consent),
    )


def _digests(consent: Consent) -> dict[str, Digest]:
    found = {item.about: item.evidence_digest for item in consent.authorities}
    if consent.screening.evidence_digest is not None:
        found[SCREENING] = consent.screening.evidence_digest
    return found


def _keys(value: JsonValue) -> dict[Kid, PublicKey]:
    if not isinstance(value, dict) or not 0 < len(value) <= LIMITS.signatures_per_object:
        raise Malformed("keys: the keys that signed are needed", field="keys")
    found = [PublicKey(ED25519, unb64u(raw, field="keys", length=32)) for raw in value.values()]
    if {key.kid for key in found} != set(value):
        raise Malformed("keys: a key stands under another's id", field="keys")
    return {key.kid: key for key in found}


def _texts(value: JsonValue, digests: Mapping[str, Digest]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Malformed("evidence: an object is needed", field="evidence")
    found: dict[str, str] = {}
    for about, item in value.items():
        if not isinstance(item, dict) or set(item) != {"text", "salt"} or not isinstance(item["text"], str):
            raise Malformed(f"evidence: text and salt are needed for {about}", field="evidence")
        text, salt = item["text"], unb64u(item["salt"], field="salt", length=SALT_BYTES)
        if len(text.encode()) > _TEXT_BYTES:
            raise Malformed("evidence: the text is too long", field="evidence")
        if evidence_digest(salt, text) != digests.get(about):
            raise ConsentMismatch(
                f"evidence: the text for {about} is not the one that the consent was signed over",
                field="evidence",
                rule="evidence-digest",
            )
        found[about] = text
    return found


def _reference(value: JsonValue, consent: Consent) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"salt", "ref"} or not isinstance(value["ref"], str):
        raise Malformed("subject: salt and ref are needed", field="subject")
    if subject(unb64u(value["salt"], field="salt", length=SALT_BYTES), value["ref"]) != consent.subj:
        raise SubjectMismatch("subject: not the child that the consent is about", field="subject")
    return value["ref"]
