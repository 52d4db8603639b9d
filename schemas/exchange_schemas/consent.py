"""The consent artefact and its withdrawal: what an issuer allows one recipient, on what authority, how long.

An allow-list for one recipient: it must never name another recipient, or whom to withhold from. The hub
reads it, so it holds digests and codes; what a person said or decided stays with the issuer.
Sources: protocol.md "Consent artefact", fields.md "Authority in a consent", ISO/IEC TS 27560 (`record`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.errors import AuthorityMissing
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import (
    Code,
    ListOf,
    Pattern,
    Text,
    Time,
    Whole,
    agency,
    country,
    digest,
    language,
    random_id,
)
from exchange_schemas.payload import Object, Payload, SignedSchema, StrictSchema
from exchange_schemas.text_rules import refuse

_CATALOGUE = load_catalogue()
VITAL_INTEREST = "vital_interest"
"""The basis that counts for 72 hours at most."""


class AuthoritySchema(StrictSchema):
    """What allows the sharing of one subject's data."""

    about = Code(_CATALOGUE.subjects)
    basis = Code(_CATALOGUE.bases)
    evidence_digest = digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """`about`: whose data (child, relative, caregiver); `evidence_digest`: salted, of the evidence."""

    about: str
    basis: str
    evidence_digest: Digest


class ScreeningSchema(StrictSchema):
    """Protection screening: asylum, non-refoulement."""

    state = Code(_CATALOGUE.codes["screening_state"])
    evidence_digest = digest(required=False)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if (values["state"] == "cleared") is not ("evidence_digest" in values):
            refuse("screening", "evidence", "cleared needs the digest of its evidence, not_required has none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """`state`: cleared or not_required; the digest of the evidence comes with cleared and only then."""

    state: str
    evidence_digest: Digest | None = None


class ConsentRecordSchema(StrictSchema):
    """Members of a consent record after ISO/IEC TS 27560 that may stand where the hub can read them."""

    schema_version = Pattern("[A-Za-z0-9][A-Za-z0-9.:_-]{0,39}", "a version tag")
    record_id = random_id(required=False)
    notice_language = language(required=False)
    notice_digest = digest(required=False)
    language = language(required=False)
    collection_method = Pattern("[a-z][a-z0-9_]{1,39}", "a short name in lower case", required=False)
    jurisdiction = country(required=False)
    storage_location = country(required=False)
    lawful_basis_note = Text(chars=200, required=False)
    withdrawal_method = Text(chars=120, required=False)
    privacy_rights = Text(chars=120, required=False)
    code_of_conduct = Text(chars=80, required=False)
    impact_assessment_digest = digest(required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """The ISO/IEC TS 27560 members; texts are about the law and the procedure, never about a person.

    `language`: of the consent; `jurisdiction`, `storage_location`: ISO 3166 codes; digests are of the notice
    that was given and of the impact assessment.
    """

    schema_version: str
    record_id: str | None = None
    language: str | None = None
    notice_digest: Digest | None = None
    notice_language: str | None = None
    collection_method: str | None = None
    jurisdiction: str | None = None
    storage_location: str | None = None
    lawful_basis_note: str | None = None
    withdrawal_method: str | None = None
    privacy_rights: str | None = None
    code_of_conduct: str | None = None
    impact_assessment_digest: Digest | None = None


class ConsentSchema(SignedSchema):
    """What an approver signs."""

    typ = Code(["hx-consent"])
    cid = random_id()
    family = random_id()
    iss = agency()
    rcp = agency()
    thread = random_id(required=False)
    pur = ListOf(Code(_CATALOGUE.purposes), least=1, most=LIMITS.purposes_per_consent, in_order=True)
    # `fields` is also the name of a Schema attribute; marshmallow takes the declaration out of the class.
    fields = ListOf(  # type: ignore[assignment]  # the attribute is set per instance, from the declarations
        Code(_CATALOGUE.fields), most=LIMITS.fields_per_consent, in_order=True
    )
    authorities = ListOf(Object(AuthoritySchema, Authority), least=1, most=LIMITS.authorities_per_consent)
    screening = Object(ScreeningSchema, Screening)
    after = ListOf(random_id(), least=2, most=2, unique=True, required=False)
    nbf = Time()
    exp = Time()
    retention_days = Whole(1, LIMITS.retention_days)
    subj = digest()
    supersedes = random_id(required=False)
    iat = Time()
    record = Object(ConsentRecordSchema, ConsentRecord)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if values["iss"] == values["rcp"]:
            refuse("rcp", "parties", "an agency gives no consent to itself")
        if values["nbf"] >= values["exp"]:
            refuse("exp", "order", "it must be after nbf")
        if values["exp"] > years_after(values["nbf"], LIMITS.consent_years):
            refuse("exp", "range", f"a consent lasts at most {LIMITS.consent_years} years")
        if values.get("supersedes") == values["cid"]:
            refuse("supersedes", "family", "a consent cannot supersede itself")
        _check_authorities(values["authorities"], values["fields"])


def _check_authorities(authorities: tuple[Authority, ...], names: tuple[str, ...]) -> None:
    subjects = [authority.about for authority in authorities]
    if len(set(subjects)) != len(subjects):
        refuse("authorities", "unique", "there is one authority for each subject")
    for name in names:
        if not _CATALOGUE.fields[name].about.issubset(subjects):
            raise AuthorityMissing(f"{name}: its subject has no authority", field=name, rule="authority")


def years_after(when: datetime, years: int) -> datetime:
    """The same day and time `years` later; 1 March where there is no 29 February.

    Years past 9999 give the last instant that a time can be.
    """
    year = when.year + years
    if year > 9999:
        return datetime.max.replace(tzinfo=when.tzinfo)
    if (when.month, when.day) == (2, 29) and not (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        return when.replace(year=year, month=3, day=1)
    return when.replace(year=year)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent(Payload):
    """One issuer's consent for one recipient. Times are aware UTC.

    `cid`: its id. `family`: what a withdrawal acts on. `iss`, `rcp`: agencies. `thread`: only there.
    `pur`, `fields`: sorted names. `authorities`: one for every subject of the fields. `after`: the two
    match_confirmation envelopes that must come before. `subj`: salted digest of the child. `supersedes`: cid.
    """

    origin: str
    cid: ConsentId
    family: FamilyId
    iss: AgencyId
    rcp: AgencyId
    pur: tuple[str, ...]
    fields: tuple[str, ...]
    authorities: tuple[Authority, ...]
    screening: Screening
    nbf: datetime
    exp: datetime
    retention_days: int
    subj: Digest
    iat: datetime
    record: ConsentRecord
    thread: ThreadId | None = None
    after: tuple[EnvelopeId, EnvelopeId] | None = None
    supersedes: ConsentId | None = None

    typ: ClassVar[str] = "hx-consent"
    SCHEMA: ClassVar[type[StrictSchema]] = ConsentSchema
    LIMIT: ClassVar[int] = LIMITS.consent_bytes

    @property
    def vital(self) -> bool:
        """Whether it rests on vital interest for anybody in it."""
        return any(item.basis == VITAL_INTEREST for item in self.authorities)


class WithdrawalSchema(SignedSchema):
    """What an approver signs to withdraw a consent or revoke a decision."""

    typ = Code(["hx-withdrawal"])
    iss = agency()
    family = random_id()
    reason = Code(_CATALOGUE.codes["reason_code"])
    iat = Time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal(Payload):
    """The end of a consent family, for good; `reason` is a reason_code."""

    origin: str
    iss: AgencyId
    family: FamilyId
    reason: str
    iat: datetime

    typ: ClassVar[str] = "hx-withdrawal"
    SCHEMA: ClassVar[type[StrictSchema]] = WithdrawalSchema
    LIMIT: ClassVar[int] = LIMITS.withdrawal_bytes
