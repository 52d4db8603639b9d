"""From terms to a consent payload: subject, authorities with salted digests, ISO/IEC TS 27560 members.

Pure but for the randomness it is given. What the evidence is never stands in the payload.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.agency.model import Record
from exchange.agency.terms import Terms, basis_for, expiry, fields_of, subjects_of
from exchange.member.evidence import SALT_BYTES, evidence_digest, subject
from exchange.member.profile import Profile
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId, check_id, new_id
from exchange_schemas.limits import LIMITS

# The hub's clock decides and knows no leeway: a consent made by a clock that is ahead must count at once.
RECORD_VERSION = "ts-27560-2023"


@dataclass(frozen=True, slots=True)
class Family:
    """What a consent shares with those that it supersedes: family, subject and its salt."""

    family: FamilyId
    salt: bytes
    supersedes: ConsentId | None = None


@dataclass(frozen=True, slots=True)
class Drafted:
    """A consent that is not signed yet, and what stays here."""

    consent: Consent
    salt: bytes
    evidence: Mapping[str, JsonValue]


def new_family(random: Callable[[int], bytes]) -> Family:
    """A family of its own, with a fresh salt."""
    return Family(FamilyId(_tame_id(random)), random(SALT_BYTES))


def draft(
    record: Record,
    to: AgencyId,
    terms: Terms,
    profile: Profile,
    family: Family,
    *,
    offered: Collection[str],
    now: datetime,
    random: Callable[[int], bytes],
) -> Drafted:
    """The payload for one recipient. Raises: Malformed, FieldDenied, NotPermitted (terms.py's rules)."""
    names = fields_of(terms, offered, load_catalogue())
    evidence: dict[str, JsonValue] = {}

    def digest_of(what: str, text: str) -> Digest:
        salt = random(SALT_BYTES)
        evidence[what] = {"text": text, "salt": b64u(salt)}
        return evidence_digest(salt, text)

    consent = Consent(
        origin=profile.deployment.origin,
        cid=ConsentId(_tame_id(random)),
        family=family.family,
        iss=profile.agency,
        rcp=to,
        pur=tuple(sorted(set(terms.purposes))),
        fields=names,
        authorities=tuple(
            Authority(
                about=about, basis=_basis(terms, about), evidence_digest=digest_of(about, terms.evidence)
            )
            for about in subjects_of(names, load_catalogue()) or ("child",)
        ),
        screening=_screening(terms, digest_of),
        nbf=now.replace(microsecond=0) - LIMITS.clock_leeway,
        exp=expiry(terms, record.fields, now),
        retention_days=terms.retention_days,
        subj=subject(family.salt, record.ref),
        iat=now,
        record=_consent_record(profile, random),
        thread=None if terms.thread is None else ThreadId(check_id(terms.thread, field="thread")),
        after=_after(terms),
        supersedes=family.supersedes,
    )
    return Drafted(consent, family.salt, evidence)


def _consent_record(profile: Profile, random: Callable[[int], bytes]) -> ConsentRecord:
    """The ISO/IEC TS 27560 members: about law and procedure, never about a person."""
    return ConsentRecord(
        schema_version=RECORD_VERSION,
        record_id=new_id(random),
        collection_method="agency_program",
        jurisdiction=profile.country,
        withdrawal_method="through any caseworker of the issuing agency, at any time",
    )


def _basis(terms: Terms, about: str) -> str:
    basis = basis_for(terms, about)
    if basis is None:
        raise Malformed(f"{about}: a basis is needed", field=about)
    return basis


def _screening(terms: Terms, digest_of: Callable[[str, str], Digest]) -> Screening:
    if terms.screening != "cleared":
        return Screening(state=terms.screening)
    if terms.screening_evidence is None:
        raise Malformed("screening: cleared needs its evidence", field="screening_evidence")
    return Screening(state="cleared", evidence_digest=digest_of("screening", terms.screening_evidence))


def _after(terms: Terms) -> tuple[EnvelopeId, EnvelopeId] | None:
    if terms.after is None:
        return None
    first, second = (EnvelopeId(check_id(eid, field="after")) for eid in terms.after)
    return first, second


def _tame_id(random: Callable[[int], bytes]) -> str:
    """A random id that begins with a letter or digit, so that it never looks like an option."""
    while True:
        ident = new_id(random)
        if ident[0].isalnum():
            return ident
